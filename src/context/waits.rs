//! [`WaitTable`]: the locks, permits, pools and channels that are waited for, by kind and name.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use super::{DynRecorder, Outcome, OutcomeDurations, Part, labelled, named::NamedTable};
use crate::names;

/// Kinds of waits that are told apart. A program names a handful.
const KINDS: usize = 16;

/// Something that is waited for, and its series.
pub(crate) struct WaitSeries {
    /// Its number among all waits.
    pub(crate) id: u32,
    pub(crate) part: Part,
    pub(crate) kind: Arc<str>,
    pub(crate) name: Arc<str>,
    /// How many wait now.
    pub(crate) waiting: Gauge,
    pub(crate) durations: OutcomeDurations,
    recorder: DynRecorder,
    holds: OnceLock<Histogram>,
}

impl fmt::Debug for WaitSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSeries").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

impl WaitSeries {
    /// Records for how long it was held.
    pub(crate) fn held(&self, duration: Duration) {
        let holds = self.holds.get_or_init(|| {
            let metric = if self.part == Part::Pool { &names::POOL_USE } else { &names::HOLD_DURATION };
            labelled::histogram(&self.recorder, metric, &labels(self.part, &self.kind, &self.name))
        });
        holds.record(duration.as_secs_f64());
    }

    /// Returns how it is named in texts.
    fn title(&self) -> Arc<str> {
        format!("{} {}", self.kind, self.name).into()
    }
}

/// OpenTelemetry names what is known of pools of connections.
fn labels(part: Part, kind: &Arc<str>, name: &Arc<str>) -> Vec<(&'static str, Arc<str>)> {
    match part {
        Part::Pool => vec![(names::POOL_NAME, name.clone())],
        _ => vec![(names::WAIT_KIND, kind.clone()), (names::WAIT_NAME, name.clone())],
    }
}

/// The waits of one kind.
type Kind = NamedTable<WaitSeries>;

/// Everything that was waited for.
pub(super) struct WaitTable {
    recorder: DynRecorder,
    dropped: Counter,
    limit: usize,
    next_id: AtomicU32,
    kinds: NamedTable<Kind>,
}

impl fmt::Debug for WaitTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitTable").finish_non_exhaustive()
    }
}

impl WaitTable {
    pub(super) fn new(recorder: DynRecorder, dropped: Counter, limit: usize) -> Self {
        Self { recorder, kinds: NamedTable::new(KINDS, dropped.clone()), dropped, limit, next_id: AtomicU32::new(0) }
    }

    /// Returns the series of a wait of a kind, under the part that `part` gives for a new one.
    pub(super) fn resolve(&self, kind: &str, name: &str, part: Part) -> Arc<WaitSeries> {
        let table = self.kinds.resolve(kind, |_, _| NamedTable::new(self.limit, self.dropped.clone())).series;
        table.resolve(name, |_, name| self.series(part, kind.into(), name)).series
    }

    /// Returns whether there was a wait of this kind and name.
    pub(super) fn knows(&self, kind: &str, name: &str) -> bool {
        self.kinds.get(kind).is_some_and(|table| table.get(name).is_some())
    }

    /// Takes the time of a tick; see [`NamedTable::give_back`].
    pub(super) fn give_back(&self, now: Instant, unused: Duration) {
        self.kinds.give_back(now, unused);
        self.kinds.each(|kind| {
            kind.give_back(now, unused);
        });
    }

    fn series(&self, part: Part, kind: Arc<str>, name: Arc<str>) -> WaitSeries {
        let labels = labels(part, &kind, &name);
        let (wait, waiting) = match part {
            Part::Pool => (&names::POOL_WAIT, &names::POOL_PENDING),
            _ => (&names::WAIT_DURATION, &names::WAITING_NOW),
        };
        let waiting = labelled::gauge(&self.recorder, waiting, &labels);
        let durations = OutcomeDurations::new({
            let recorder = self.recorder.clone();
            move |outcome| {
                let error = match outcome {
                    Outcome::Ok => None,
                    Outcome::Error => Some(names::ERROR),
                    Outcome::Cancelled => Some(names::CANCELLED),
                    Outcome::Panicked => Some(names::PANIC),
                };
                let mut labels = labels.clone();
                labels.extend(error.map(|error| (names::ERROR_TYPE, error.into())));
                labelled::histogram(&recorder, wait, &labels)
            }
        });
        WaitSeries {
            id: self.next_id.fetch_add(1, Relaxed),
            part,
            kind,
            name,
            waiting,
            durations,
            recorder: self.recorder.clone(),
            holds: OnceLock::new(),
        }
    }

    /// Returns the kind and name of a wait. Looks at all of them: read where a slow request is described and where an endpoint
    /// waits for something for the first time.
    pub(super) fn name(&self, id: u32) -> Option<Arc<str>> {
        let mut found = None;
        self.kinds.each(|kind| {
            kind.each(|wait| {
                if wait.id == id {
                    found = Some(wait.title());
                }
            });
        });
        found
    }
}
