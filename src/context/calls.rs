//! [`CallTable`]: the services that are called over HTTP, by method and address.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram};
use tokio::time::Instant;

use super::{DynRecorder, labelled, methods::KnownMethods, named::NamedTable, statements::Statements};
use crate::{lock::lock, names};

/// Endings of the calls of one service that are told apart: statuses and kinds of failure. HTTP defines some sixty statuses.
const ENDINGS: usize = 32;

/// A service that is called. Never has the path of a call: it may contain anything.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Callee<'a> {
    pub(crate) method: &'a str,
    /// Host, without user and port.
    pub(crate) address: &'a str,
    pub(crate) port: u16,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallEnding {
    pub(crate) status: Option<u16>,
    /// Kind of failure, where it is not the status.
    pub(crate) error: Option<&'static str>,
}

impl CallEnding {
    /// Returns whether the call failed. OpenTelemetry: to a client, a status of 400 or more is an error.
    pub(crate) fn failed(self) -> bool {
        self.error.is_some() || self.status.is_some_and(|status| status >= 400)
    }
}

/// The calls of one service with one method.
pub(crate) struct CallSeries {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    recorder: DynRecorder,
    labels: Vec<(&'static str, Arc<str>)>,
    /// Append-only, so that reading takes no lock.
    durations: Box<[OnceLock<(CallEnding, Histogram)>; ENDINGS]>,
    adding: Mutex<()>,
}

impl fmt::Debug for CallTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTable").finish_non_exhaustive()
    }
}

impl fmt::Debug for CallSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSeries").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CallSeries {
    pub(crate) fn record(&self, ending: CallEnding, duration: Duration) {
        let known = || self.durations.iter().map_while(OnceLock::get).find(|(known, _)| *known == ending);
        if known().is_none() {
            let _adding = lock(&self.adding);
            if known().is_none() {
                // Where all are taken, the last one counts for the rest.
                let free = self.durations.iter().find(|slot| slot.get().is_none());
                free.into_iter().for_each(|slot| drop(slot.set((ending, self.histogram(ending)))));
            }
        }
        if let Some((_, durations)) = known().or_else(|| self.durations.last().and_then(OnceLock::get)) {
            durations.record(duration.as_secs_f64());
        }
    }

    fn histogram(&self, ending: CallEnding) -> Histogram {
        let mut labels = self.labels.clone();
        labels.extend(ending.status.map(|status| (names::STATUS, status.to_string().into())));
        let of_status = ending.status.filter(|status| *status >= 400).map(|status| Arc::from(status.to_string()));
        labels.extend(ending.error.map(Arc::from).or(of_status).map(|error| (names::ERROR_TYPE, error)));
        labelled::histogram(&self.recorder, &names::CALL_DURATION, &labels)
    }
}

/// Every service that was called.
pub(super) struct CallTable {
    recorder: DynRecorder,
    hasher: foldhash::fast::RandomState,
    known: Statements,
    table: NamedTable<CallSeries>,
    methods: KnownMethods,
}

impl CallTable {
    pub(super) fn new(recorder: DynRecorder, dropped: Counter, limit: usize, methods: KnownMethods) -> Self {
        Self {
            recorder,
            hasher: foldhash::fast::RandomState::default(),
            known: Statements::new(limit),
            table: NamedTable::new(limit, dropped),
            methods,
        }
    }

    /// Returns the series of a service.
    pub(super) fn resolve(&self, callee: Callee<'_>) -> Arc<CallSeries> {
        // A proxy calls with the methods of its clients, so that unknown ones share a label.
        let callee = Callee { method: self.methods.label(callee.method), ..callee };
        let hash = self.hasher.hash_one(callee);
        if let Some(id) = self.known.get(hash)
            && let Some(known) = self.table.use_by_id(id)
        {
            return known;
        }
        let Callee { method, address, port } = callee;
        let found = self.table.resolve(&format!("{method} {address}:{port}"), |id, name| {
            let is_folded = &*name == names::OTHER;
            let port = port.to_string();
            let [method, address, port] =
                if is_folded { [names::OTHER; 3] } else { [method, address, &port] }.map(Arc::from);
            CallSeries {
                id,
                name,
                recorder: self.recorder.clone(),
                labels: vec![(names::METHOD, method), (names::SERVER_ADDRESS, address), (names::SERVER_PORT, port)],
                durations: Box::new([const { OnceLock::new() }; ENDINGS]),
                adding: Mutex::default(),
            }
        });
        if found.is_settled {
            self.known.remember(hash, found.series.id);
        }
        found.series
    }

    /// Takes the time of a tick; see [`NamedTable::give_back`].
    pub(super) fn give_back(&self, now: Instant, unused: Duration) {
        if self.table.give_back(now, unused) {
            self.known.clear();
        }
    }

    pub(super) fn name(&self, id: u32) -> Option<Arc<str>> {
        self.table.by_id(id).map(|call| call.name.clone())
    }
}
