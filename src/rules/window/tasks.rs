//! [`Task`]: every tracked task of one window.

use std::{borrow::Cow, sync::Arc};

use super::{
    durations::{Durations, NANOS, divide},
    endpoints::{Endpoints, HashMap},
    polls::MeasuredPolls,
};
use crate::{
    context::Part,
    names,
    rules::{evidence::Split, measure::Measure, subject::Subject},
    store::{HistogramView, SeriesView, Window},
};

/// All runs of the tasks with one name.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) durations: Durations<'a>,
    active: Option<f64>,
    oldest_active: Option<f64>,
    pub(super) busy_seconds: Option<f64>,
    /// Disjoint parts of its time, and time inside poll during any of them.
    part_seconds: [f64; Part::COUNT],
    overlap_seconds: f64,
    /// Sum of the durations of the runs that ended inside a request.
    request_seconds: f64,
    pub(super) polls: MeasuredPolls<'a>,
    pub(super) blocking_polls: Option<HistogramView<'a>>,
}

/// Returns the subject of a task.
pub(super) fn task_subject(name: &str) -> Arc<Subject> {
    Arc::new(Subject::new(name, vec![(Cow::Borrowed(names::TASK_NAME), name.into())]))
}

/// Returns the tasks that ended in a window or run at its end.
pub(crate) fn tasks(window: &Window) -> Vec<Task<'_>> {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    let mut places = HashMap::default();
    let mut place_of = |tasks: &mut Vec<Task<'_>>, name: &'_ str| {
        *places.entry(name.to_owned()).or_insert_with(|| {
            let task = Task {
                subject: task_subject(name),
                durations: Durations::default(),
                active: None,
                oldest_active: None,
                busy_seconds: None,
                part_seconds: [0.0; Part::COUNT],
                overlap_seconds: 0.0,
                request_seconds: 0.0,
                polls: MeasuredPolls::default(),
                blocking_polls: None,
            };
            tasks.push(task);
            tasks.len() - 1
        })
    };
    for series in window.series(names::TASK_DURATION.name) {
        let Some(name) = task_name(&series) else { continue };
        if series.histogram().is_none_or(|view| view.count() == 0) {
            continue;
        }
        let place = place_of(&mut tasks, name);
        tasks[place].durations.add(&series);
    }
    for series in window.series(names::TASK_ACTIVE.name) {
        let Some((name, active)) = task_name(&series).zip(series.last()) else { continue };
        let place = place_of(&mut tasks, name);
        *tasks[place].active.get_or_insert_default() += active;
    }
    for series in window.series(names::TASK_OLDEST_ACTIVE.name) {
        let Some((name, age)) = task_name(&series).zip(series.last()) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].oldest_active = Some(age);
    }
    for series in window.series(names::TASK_BUSY_NANOS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        *tasks[place].busy_seconds.get_or_insert_default() += series.increase() * NANOS;
    }
    for series in window.series(names::TASK_PART_NANOS.name) {
        let part = series.label(names::PART).and_then(Part::of_label);
        let Some((name, part)) = task_name(&series).zip(part) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].part_seconds[part as usize] += series.increase() * NANOS;
    }
    for series in window.series(names::TASK_OVERLAP_NANOS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].overlap_seconds += series.increase() * NANOS;
    }
    for series in window.series(names::TASK_REQUEST_NANOS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].request_seconds += series.increase() * NANOS;
    }
    for series in window.series(names::TASK_POLL_NANOS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].polls.add_nanos(&series);
    }
    for series in window.series(names::TASK_POLL_SIGHTS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].polls.add_sights(&series);
    }
    for series in window.series(names::TASK_BLOCKING_POLLS.name) {
        let Some((name, view)) = task_name(&series).zip(series.histogram()).filter(|(_, view)| view.count() > 0) else {
            continue;
        };
        let place = place_of(&mut tasks, name);
        tasks[place].blocking_polls = Some(view);
    }
    tasks
}

/// Returns the name of a series' task; `None` for the mixture `other`.
fn task_name<'a>(series: &SeriesView<'a>) -> Option<&'a str> {
    series.label(names::TASK_NAME).filter(|name| *name != names::OTHER)
}

impl Task<'_> {
    /// Returns the value of a measure in its base unit, and the number of observations behind it; `None` without data.
    pub(crate) fn measure(&self, measure: Measure, endpoints: &Endpoints<'_>) -> Option<(f64, u64)> {
        match measure {
            Measure::Active => Some((self.active?, 1)),
            Measure::OldestActive => Some((self.oldest_active?, 1)),
            Measure::BusyRatio => Some((self.busy_ratio()?, self.durations.count())),
            Measure::WaitingRatio => {
                Some((divide(self.split()?.unknown, self.durations.seconds())?, self.durations.count()))
            }
            Measure::PartRatio(part) => {
                let ratio = divide(self.part_seconds[part as usize], self.durations.seconds())?;
                Some((ratio.min(1.0), self.durations.count()))
            }
            // No request waits for runs in the background, and parallel runs of one request take no more than its
            // duration.
            Measure::TimeShare => {
                Some((divide(self.request_seconds, endpoints.seconds)?.min(1.0), self.durations.count()))
            }
            other => {
                let value = self.durations.measure(other, endpoints.span)?;
                Some((value, self.durations.count()))
            }
        }
    }

    /// Divides the time of its runs into disjoint parts; `None` where the time inside poll was not measured.
    pub(crate) fn split(&self) -> Option<Split> {
        Some(Split::new(self.durations.seconds(), self.part_seconds, self.busy_seconds? - self.overlap_seconds))
    }

    /// Returns the share of their time that runs spent inside poll. Of runs that have ended: both numbers are recorded
    /// then.
    fn busy_ratio(&self) -> Option<f64> {
        divide(self.busy_seconds?, self.durations.seconds()).map(|ratio| ratio.min(1.0))
    }
}
