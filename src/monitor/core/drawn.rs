//! [`Drawn`]: what the page draws over time, beside what the trends keep.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Core;
use crate::{
    alert::Transition,
    lock::lock,
    monitor::{
        marks::{Happened, Mark, Marks},
        pulse::{Pulse, Step},
    },
    rules::{Bottleneck, Course, Severity, TrendSource},
    store::{History, Moment, Tiers},
};

/// The pulse and the marks of this run, and how often a person has changed something.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pulse: Mutex<Pulse>,
    marks: Mutex<Marks>,
    changes: AtomicU64,
    /// The highest severity that fires, and since when that is so, since the Unix epoch.
    worst: Mutex<Option<(Option<Severity>, Duration)>>,
}

impl Drawn {
    pub(super) fn record(&self, history: &History, tiers: &Tiers, moment: Moment, now: Instant) {
        lock(&self.pulse).record(history, tiers, moment, now);
    }

    pub(super) fn changed(&self, at: Duration, transitions: &[Transition]) {
        if !transitions.is_empty() {
            lock(&self.marks).add_transitions(at, transitions);
        }
    }

    /// Notes the highest severity that fires.
    pub(super) fn judged(&self, at: Duration, firing: &[Arc<Bottleneck>]) {
        let worst = firing.iter().map(|one| one.severity).max();
        let known = &mut *lock(&self.worst);
        if known.is_none_or(|(before, _)| before != worst) {
            *known = Some((worst, at));
        }
    }

    /// Notes that what is shown is not that of the last evaluation any more.
    pub(super) fn touch(&self) {
        self.changes.fetch_add(1, Relaxed);
    }
}

impl Core {
    /// Notes what a person did.
    pub(crate) fn happened(&self, happened: Happened, now: Instant) {
        if happened == Happened::Cleared {
            lock(&self.drawn.pulse).clear();
        }
        lock(&self.drawn.marks).add(self.wall(now), happened);
        self.drawn.touch();
    }

    /// Returns the number of the newest evaluation, and how often a person has changed something: while both stay, so does what a page
    /// shows.
    pub(crate) fn shown_state(&self) -> (u64, u64) {
        (self.judgements.happenings().newest(), self.drawn.changes.load(Relaxed))
    }

    /// Returns the highest severity that fires, and since when that is so on the wall clock; `None` before the first evaluation.
    pub(crate) fn worst_since(&self) -> Option<(Option<Severity>, Duration)> {
        *lock(&self.drawn.worst)
    }

    /// Returns the last quarter of an hour in steps, the oldest first.
    pub(crate) fn pulse(&self) -> Vec<Step> {
        lock(&self.drawn.pulse).steps()
    }

    /// Returns the marks since a moment of the wall clock, the oldest first.
    pub(crate) fn marks(&self, from: Duration) -> Vec<Mark> {
        lock(&self.drawn.marks).since(from)
    }

    /// Returns the course of the service, or of one endpoint, over the last `length` in stretches of `width` or longer. Takes some
    /// milliseconds: not for a worker of the runtime.
    pub(crate) fn course(&self, length: Duration, width: Duration, endpoint: Option<&str>, now: Instant) -> Course {
        let source = self.trend_source(length, now);
        let mut course = Course::of(&source, width, endpoint);
        if endpoint.is_none() {
            let (from, count) = (course.from(), course.points.len());
            let cpu = lock(&self.drawn.pulse).cpu(from, course.width, count);
            course.points.iter_mut().zip(cpu).for_each(|(point, cpu)| point.cpu = cpu);
        }
        course
    }

    /// Returns the 95th percentile of each of these endpoints over the last `length`, in stretches of `width` or longer.
    pub(crate) fn sparklines(
        &self,
        length: Duration,
        width: Duration,
        endpoints: &[&str],
        now: Instant,
    ) -> HashMap<Arc<str>, Vec<Option<f64>>> {
        Course::sparklines(&self.trend_source(length, now), width, endpoints)
    }

    fn trend_source(&self, length: Duration, now: Instant) -> TrendSource {
        TrendSource::of(&lock(&self.tiers), self.clock.at(now), length)
    }
}
