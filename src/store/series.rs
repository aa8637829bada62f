//! [`SeriesTable`]: every series, in the order of their registration.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use metrics::Key;

use super::cells::{CounterCell, GaugeCell, HistogramCell};
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
    /// Series that only windows read. There are up to routes times queries of them.
    Windows,
}

impl Budget {
    pub(super) fn of(name: &str) -> Self {
        if names::WINDOW_ONLY.iter().any(|metric| metric.name == name) {
            Self::Windows
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
        let exposed = Budget::of(key.name()) != Budget::Windows;
        Self { key, kind, exposed }
    }

    pub(crate) fn name(&self) -> &str {
        self.key.name()
    }

    /// Returns the value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.key.labels().find(|label| label.key() == name).map(metrics::Label::value)
    }
}

/// The atomics of a series.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Histogram(Arc<HistogramCell>),
}

/// A series: its identity and its cell.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) meta: SeriesMeta,
    pub(crate) cell: Cell,
}

/// The series that exist at one moment. Cheap to clone. A series has the same place, its index in `series`, in all of
/// them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) series: Arc<Vec<Arc<Series>>>,
    by_name: Arc<HashMap<Box<str>, Vec<u32>>>,
}

impl Index {
    /// Returns the places of the series of a metric.
    pub(crate) fn named(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the names of all metrics, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }
}

/// Every series. Only grows, so that a place stays valid.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    series: RwLock<Vec<Arc<Series>>>,
    /// How many series each [`Budget`] has. Relaxed, and read before the series is added: threads that register at the
    /// same moment may exceed a limit by one series each, which does no harm.
    counts: [AtomicUsize; 3],
    index: RwLock<Index>,
}

impl SeriesTable {
    pub(super) fn push(&self, series: Series) {
        self.counts[Budget::of(series.meta.name()) as usize].fetch_add(1, Relaxed);
        write(&self.series).push(Arc::new(series));
    }

    /// Returns how many series a budget has.
    pub(super) fn len_of(&self, budget: Budget) -> usize {
        self.counts[budget as usize].load(Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        read(&self.series).len()
    }

    /// Returns the series that exist now. The index is built again only after a registration.
    pub(crate) fn index(&self) -> Index {
        let known = read(&self.index).clone();
        if known.series.len() == self.len() {
            return known;
        }
        let series = read(&self.series).clone();
        let mut by_name: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (place, series) in (0..).zip(&series) {
            match by_name.get_mut(series.meta.name()) {
                Some(places) => places.push(place),
                None => drop(by_name.insert(series.meta.name().into(), vec![place])),
            }
        }
        let index = Index { series: Arc::new(series), by_name: Arc::new(by_name) };
        *write(&self.index) = index.clone();
        index
    }
}
