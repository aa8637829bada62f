//! [`Catalog`]: every series there is, in the order in which they came.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use metrics::Key;

use super::cells::{CounterCell, GaugeCell, HistogramCell};
use crate::names::{self, Kind};

/// What counts together against the limit of series, so that none of them pushes out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// What is measured of the service, and whatever a host records.
    Service,
    /// The monitor on itself, its alerts above all: they come last, when the service may have filled its own.
    Monitor,
    /// What only windows know: routes times queries must not push routes out.
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

/// A series: what it is and where its values are.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) meta: SeriesMeta,
    pub(crate) cell: Cell,
}

/// The series known at one moment. Cheap to clone; a series keeps its place for ever.
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

/// Every series there is; only ever grows.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    series: RwLock<Vec<Arc<Series>>>,
    /// How many there are of each [`Budget`].
    counts: [AtomicUsize; 3],
    index: RwLock<Index>,
}

impl Catalog {
    pub(super) fn push(&self, series: Series) {
        self.counts[Budget::of(series.meta.name()) as usize].fetch_add(1, Relaxed);
        self.series.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(series));
    }

    /// Returns how many series a budget has.
    pub(super) fn len_of(&self, budget: Budget) -> usize {
        self.counts[budget as usize].load(Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.series.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns the series known now. The index is made anew only when some have come since.
    pub(crate) fn index(&self) -> Index {
        let known = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.series.len() == self.len() {
            return known;
        }
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut by_name: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (place, series) in (0..).zip(&series) {
            match by_name.get_mut(series.meta.name()) {
                Some(places) => places.push(place),
                None => drop(by_name.insert(series.meta.name().into(), vec![place])),
            }
        }
        let index = Index { series: Arc::new(series), by_name: Arc::new(by_name) };
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index.clone();
        index
    }
}
