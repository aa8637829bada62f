//! [`SeriesTable`]: every series, in the order of their registration.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use metrics::{Key, Label};

use super::{
    cells::{CounterCell, HistogramCell},
    gauge::GaugeCell,
};
use crate::{
    lock::{read, write},
    names::{self, Kind},
};

/// Series that share a limit. Each budget has its own, so that one kind of series never pushes out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Measurements of the service, and the host's own metrics.
    Service,
    /// The monitor's metrics about itself. Its alerts are registered when they fire, by when the service may have used
    /// up its own budget.
    Monitor,
    /// Series of the windows. There are up to routes times queries of them.
    Windows,
    /// Those of what each endpoint uses under the name `other`. The others are folded into them, and must not lose places to them.
    Folded,
}

impl Budget {
    /// How many there are.
    const COUNT: usize = 4;

    pub(super) fn of(key: &Key) -> Self {
        let name = key.name();
        if names::WINDOWED.iter().any(|metric| metric.name == name) {
            let is_folded = |label: &Label| label.key() == names::WAIT_NAME && label.value() == names::OTHER;
            if key.labels().any(is_folded) { Self::Folded } else { Self::Windows }
        } else if names::MONITOR.iter().any(|metric| metric.name == name) {
            Self::Monitor
        } else {
            Self::Service
        }
    }
}

/// Name, labels and kind of a series.
#[derive(Debug)]
pub(crate) struct SeriesMeta {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    /// Whether `/metrics` shows it.
    pub(crate) exposed: bool,
}

impl SeriesMeta {
    pub(super) fn new(key: Key, kind: Kind) -> Self {
        let is_of_windows = matches!(Budget::of(&key), Budget::Windows | Budget::Folded);
        let exposed = names::metric(key.name()).is_some() || !is_of_windows;
        Self { key, kind, exposed }
    }

    pub(crate) fn name(&self) -> &str {
        self.key.name()
    }

    /// Returns the value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.key.labels().find(|label| label.key() == name).map(Label::value)
    }

    /// Returns the values of some labels. Looks at each label once: a tick asks for those of thousands of series.
    pub(crate) fn labels<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        let mut values = [None; N];
        for label in self.key.labels() {
            let key = label.key();
            if let Some(place) = names.iter().position(|name| *name == key)
                && values[place].is_none()
            {
                values[place] = Some(label.value());
            }
        }
        values
    }
}

/// Returns the keys that a series is recorded under past a limit, the better one first: an endpoint's use of a name as its use of
/// `other`, and any series as the one of its metric whose labels all read `other`.
pub(super) fn folded(key: &Key) -> impl Iterator<Item = Key> {
    let of_endpoint =
        key.labels().any(|label| label.key() == names::WAIT_NAME).then_some([names::WAIT_NAME].as_slice());
    let every: Vec<&str> = key.labels().map(Label::key).collect();
    let fold = |folds: &[&str]| {
        let labels = key.labels().map(|label| match folds.contains(&label.key()) {
            true => Label::new(label.key().to_owned(), names::OTHER),
            false => label.clone(),
        });
        Key::from_parts(key.name().to_owned(), labels.collect::<Vec<_>>())
    };
    of_endpoint.map(fold).into_iter().chain([fold(&every)])
}

/// The atomics of a series.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Histogram(Arc<HistogramCell>),
}

/// Returns what tells a cell from every other one that exists.
pub(super) fn address<T>(cell: &Arc<T>) -> usize {
    Arc::as_ptr(cell) as usize
}

impl Cell {
    /// Returns whether only the table and the registry hold the cell.
    pub(super) fn has_no_handle(&self) -> bool {
        let owners = match self {
            Self::Counter(cell) => Arc::strong_count(cell),
            Self::Gauge(cell) => Arc::strong_count(cell),
            Self::Histogram(cell) => Arc::strong_count(cell),
        };
        owners <= 2
    }

    pub(super) fn address(&self) -> usize {
        match self {
            Self::Counter(cell) => address(cell),
            Self::Gauge(cell) => address(cell),
            Self::Histogram(cell) => address(cell),
        }
    }
}

/// A series: its identity and its cell.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) meta: SeriesMeta,
    pub(crate) cell: Cell,
}

/// Stands for the endpoint of a series without one.
const NO_ENDPOINT: u32 = u32::MAX;

/// Numbers the endpoints in the labels of series, and counts them. Each evaluation joins thousands of series by their endpoints, several times; two
/// texts as the key of a map took a third of a tick.
fn endpoints(series: &[Arc<Series>]) -> (Arc<[u32]>, u32) {
    let mut numbers: HashMap<_, u32, foldhash::fast::RandomState> = HashMap::default();
    let mut each = Vec::with_capacity(series.len());
    for series in series {
        let next = numbers.len() as u32;
        each.push(match series.meta.labels([names::METHOD, names::ROUTE]) {
            [Some(method), Some(route)] => *numbers.entry((method, route)).or_insert(next),
            _ => NO_ENDPOINT,
        });
    }
    (each.into(), numbers.len() as u32)
}

/// The series that exist at one moment. Cheap to clone. A series has the same place, its index in `series`, in all of
/// them, as long as it exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// A place that was given back holds a counter without a name, which is in no metric.
    pub(crate) series: Arc<Vec<Arc<Series>>>,
    by_name: Arc<HashMap<Box<str>, Vec<u32>>>,
    /// For each place the number of the endpoint in its labels, or [`NO_ENDPOINT`].
    endpoints: Arc<[u32]>,
    endpoint_count: u32,
    /// How many series were added or removed before.
    changes: u64,
}

impl Index {
    /// Returns the places of the series of a metric.
    pub(crate) fn named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of the endpoint that a series is labelled with, below [`endpoint_count`](Self::endpoint_count). It is the
    /// same for all series of an endpoint in one index.
    pub(crate) fn endpoint(&self, place: u32) -> Option<usize> {
        let number = self.endpoints.get(place as usize).copied().filter(|number| *number != NO_ENDPOINT)?;
        Some(number as usize)
    }

    /// Returns how many endpoints the labels of series have.
    pub(crate) fn endpoint_count(&self) -> usize {
        self.endpoint_count as usize
    }

    /// Returns the names of all metrics, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// Returns whether it was made after another one, and differs.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.changes > other.changes
    }
}

#[derive(Debug, Default)]
struct Places {
    series: Vec<Arc<Series>>,
    /// Places that were given back.
    vacant: Vec<u32>,
    changes: u64,
}

/// Every series. Only [`SeriesTable::vacate`] removes any, so that a place stays valid.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    places: RwLock<Places>,
    /// How many series each [`Budget`] has. Relaxed, and read before the series is added: threads that register at the
    /// same moment may exceed a limit by one series each, which does no harm.
    counts: [AtomicUsize; Budget::COUNT],
    index: RwLock<Index>,
}

impl SeriesTable {
    pub(super) fn push(&self, series: Series) {
        self.counts[Budget::of(&series.meta.key) as usize].fetch_add(1, Relaxed);
        let places = &mut *write(&self.places);
        places.changes += 1;
        match places.vacant.pop() {
            Some(place) => places.series[place as usize] = Arc::new(series),
            None => places.series.push(Arc::new(series)),
        }
    }

    /// Removes series. The caller has removed them from the registry, and their values from every window, since the next
    /// series that is registered takes their place.
    pub(super) fn vacate(&self, gone: &[u32]) {
        let places = &mut *write(&self.places);
        let nothing = SeriesMeta { key: Key::from_static_name(""), kind: Kind::Counter, exposed: false };
        let nothing = Arc::new(Series { meta: nothing, cell: Cell::Counter(Arc::default()) });
        for place in gone {
            let series = std::mem::replace(&mut places.series[*place as usize], nothing.clone());
            self.counts[Budget::of(&series.meta.key) as usize].fetch_sub(1, Relaxed);
            places.vacant.push(*place);
            places.changes += 1;
        }
    }

    /// Returns how many series a budget has.
    pub(super) fn len_of(&self, budget: Budget) -> usize {
        self.counts[budget as usize].load(Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        let places = read(&self.places);
        places.series.len() - places.vacant.len()
    }

    /// Returns the series that exist now. The index is built again only after a change.
    pub(crate) fn index(&self) -> Index {
        let known = read(&self.index).clone();
        let places = read(&self.places);
        if known.changes == places.changes {
            return known;
        }
        let (series, changes) = (places.series.clone(), places.changes);
        drop(places);
        let mut by_name: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (place, series) in (0..).zip(&series).filter(|(_, series)| !series.meta.name().is_empty()) {
            match by_name.get_mut(series.meta.name()) {
                Some(places) => places.push(place),
                None => drop(by_name.insert(series.meta.name().into(), vec![place])),
            }
        }
        let (endpoints, endpoint_count) = endpoints(&series);
        let index = Index { series: Arc::new(series), by_name: Arc::new(by_name), endpoints, endpoint_count, changes };
        *write(&self.index) = index.clone();
        index
    }
}
