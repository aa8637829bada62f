//! What one window says about every task.

use std::{borrow::Cow, sync::Arc};

use super::{
    durations::{Durations, Ending, Verdict, divide},
    endpoints::{Endpoints, HashMap, NANOS},
};
use crate::{
    names,
    rules::{measure::Measure, subject::Subject},
    store::{SeriesView, Window},
};

/// The name of a tracked task.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) subject: Arc<Subject>,
    pub(crate) durations: Durations<'a>,
    active: Option<f64>,
    oldest_active: Option<f64>,
    busy_seconds: Option<f64>,
    /// Of the runs that ended inside a request.
    request_seconds: f64,
}

/// The tasks that ran or run.
pub(crate) fn tasks(window: &Window) -> Vec<Task<'_>> {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    let mut places = HashMap::default();
    let mut place_of = |tasks: &mut Vec<Task<'_>>, name: &'_ str| {
        *places.entry(name.to_owned()).or_insert_with(|| {
            let labels = vec![(Cow::Borrowed(names::TASK_NAME), name.into())];
            let subject = Arc::new(Subject { name: name.into(), labels });
            let task = Task {
                subject,
                durations: Durations::default(),
                active: None,
                oldest_active: None,
                busy_seconds: None,
                request_seconds: 0.0,
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
        let outcome = series.label(names::OUTCOME).unwrap_or_default();
        let verdict = match outcome {
            names::OK => Verdict::Good,
            names::CANCELLED => Verdict::Cancelled,
            _ => Verdict::Failed,
        };
        let place = place_of(&mut tasks, name);
        tasks[place].durations.add(Ending { verdict, name: outcome }, &series);
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
    for series in window.series(names::TASK_REQUEST_NANOS.name) {
        let Some(name) = task_name(&series) else { continue };
        let place = place_of(&mut tasks, name);
        tasks[place].request_seconds += series.increase() * NANOS;
    }
    tasks
}

fn task_name<'a>(series: &SeriesView<'a>) -> Option<&'a str> {
    series.label(names::TASK_NAME).filter(|name| *name != names::OTHER)
}

impl Task<'_> {
    /// The value of a measure, and the observations it rests on; `None` without data.
    pub(crate) fn measure(&self, measure: Measure, endpoints: &Endpoints<'_>) -> Option<(f64, u64)> {
        match measure {
            Measure::Active => Some((self.active?, 1)),
            Measure::OldestActive => Some((self.oldest_active?, 1)),
            Measure::BusyRatio => Some((self.busy_ratio()?, self.durations.count())),
            Measure::WaitingRatio => Some((1.0 - self.busy_ratio()?, self.durations.count())),
            // Runs in the background take nobody's time, and those of one request at once no more than it lasts.
            Measure::TimeShare => {
                Some((divide(self.request_seconds, endpoints.seconds)?.min(1.0), self.durations.count()))
            }
            other => {
                let value = self.durations.measure(other, endpoints.span)?;
                Some((value, self.durations.count()))
            }
        }
    }

    /// Of the runs that ended: those in progress are in neither.
    fn busy_ratio(&self) -> Option<f64> {
        divide(self.busy_seconds?, self.durations.seconds()).map(|ratio| ratio.min(1.0))
    }
}
