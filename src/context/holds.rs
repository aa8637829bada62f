//! [`TaskHolds`]: for how long the runs of a task held what they had waited for.
//!
//! Recorded when a hold ends, and not when the run does: a task of the background may run for ever.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge};

use super::{DynRecorder, Part, Place, labelled, nanos::nanos};
use crate::names;

/// Names that are remembered for a task, which holds a handful. When there are more, all are forgotten and found again.
const NAMES: usize = 64;

/// What one task holds, by the part and the number of the name. Only windows read these series.
pub(crate) struct TaskHolds {
    recorder: DynRecorder,
    task: Arc<str>,
    known: ArcSwap<HashMap<(Part, u32), Arc<HoldSeries>, foldhash::fast::RandomState>>,
}

#[derive(Debug)]
struct HoldSeries {
    nanos: Counter,
    holds: Counter,
    place: Gauge,
}

impl fmt::Debug for TaskHolds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHolds").field("task", &self.task).finish_non_exhaustive()
    }
}

impl TaskHolds {
    pub(super) fn new(recorder: DynRecorder, task: Arc<str>) -> Self {
        Self { recorder, task, known: ArcSwap::default() }
    }

    /// Records a hold; `name` names what was held, the first time.
    pub(super) fn record(&self, part: Part, id: u32, place: Place, held: Duration, name: impl FnOnce() -> Arc<str>) {
        let series = self.series(part, id, name);
        series.nanos.increment(nanos(held));
        series.holds.increment(1);
        if place != Place::NONE {
            series.place.set(f64::from(place.number()));
        }
    }

    /// Two threads may make the series of a new name at once: they register the same, so it does not matter whose handles stay.
    fn series(&self, part: Part, id: u32, name: impl FnOnce() -> Arc<str>) -> Arc<HoldSeries> {
        if let Some(known) = self.known.load().get(&(part, id)) {
            return known.clone();
        }
        let labels = [
            (names::TASK_NAME, self.task.clone()),
            (names::WAIT_KIND, part.label().into()),
            (names::WAIT_NAME, name()),
        ];
        let made = Arc::new(HoldSeries {
            nanos: labelled::counter(&self.recorder, &names::TASK_HELD_NANOS, &labels),
            holds: labelled::counter(&self.recorder, &names::TASK_HOLDS, &labels),
            place: labelled::gauge(&self.recorder, &names::TASK_HOLD_PLACE, &labels),
        });
        self.known.rcu(|known| {
            let mut known = if known.len() < NAMES { HashMap::clone(known) } else { HashMap::default() };
            known.insert((part, id), made.clone());
            known
        });
        made
    }
}
