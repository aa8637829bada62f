//! [`SeriesTable`]: every series, in the order of their registration.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use metrics::Key;

use super::{
    cells::HistogramCell,
    counter::CounterCell,
    gauge::GaugeCell,
    meta::{Budget, SeriesMeta},
    outcome::{Outcome, OutcomeClass},
};
use crate::{
    lock::{read, write},
    names::{self, Kind},
};

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

    /// Reads what a tick is about to read of a histogram, which is most of what it reads.
    pub(super) fn read_ahead(&self) {
        if let Self::Histogram(cell) = self {
            cell.read_ahead();
        }
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

/// What the labels of a series say, read once: each evaluation asks thousands of series, several times, and texts that lie all over
/// the heap took half of a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The number of its endpoint, below [`Index::endpoint_count`]; the same for all series of an endpoint in one index.
    pub(crate) endpoint: Option<u32>,
    /// Whether its requests matched no route.
    pub(crate) is_unmatched: bool,
    /// Whether the endpoint is not one: requests that matched no route, or those of many.
    pub(crate) is_mixture: bool,
    /// Kind and part of the polls whose nanoseconds it counts: places in [`names::POLLS`].
    pub(crate) polls: Option<(u8, u8)>,
    /// Of a series of durations, how what it counts ended.
    pub(crate) class: OutcomeClass,
}

/// Reads the labels of series, and counts their endpoints.
fn facts(series: &[Arc<Series>]) -> (Arc<[Facts]>, u32) {
    let mut numbers: HashMap<_, u32, foldhash::fast::RandomState> = HashMap::default();
    let mut each = Vec::with_capacity(series.len());
    for Series { meta, .. } in series.iter().map(|series| &**series) {
        let next = numbers.len() as u32;
        let [method, route, kind] = meta.labels([names::METHOD, names::ROUTE, names::KIND]);
        each.push(Facts {
            endpoint: method.zip(route).map(|endpoint| *numbers.entry(endpoint).or_insert(next)),
            is_unmatched: route == Some(""),
            is_mixture: route.is_some_and(|route| route.is_empty() || route == names::OTHER),
            polls: kind.and_then(names::polls_of_kind),
            class: Outcome::of(meta).class,
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
    /// For each place.
    facts: Arc<[Facts]>,
    endpoint_count: u32,
    /// How many series were added or removed before.
    changes: u64,
}

impl Index {
    /// Returns the places of the series of a metric.
    pub(crate) fn named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns what the labels of a series say.
    pub(super) fn facts(&self, place: u32) -> Facts {
        self.facts[place as usize]
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
        let (facts, endpoint_count) = facts(&series);
        let index = Index { series: Arc::new(series), by_name: Arc::new(by_name), facts, endpoint_count, changes };
        *write(&self.index) = index.clone();
        index
    }
}
