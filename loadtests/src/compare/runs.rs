//! Two runs, endpoint by endpoint.

use thiserror::Error;

use super::ranks::{FEWEST, median, rank_test};
use crate::report::{Change, Comparison, Direction, EndpointResult, LoadResult, PointResult, RunResult};

/// Two runs that say nothing about one another.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum Incomparable {
    /// Different loads.
    #[error("the baseline ran with {old}, this run with {new}; latencies of different loads do not compare")]
    Load {
        /// Of the baseline.
        old: String,
        /// Of this run.
        new: String,
    },
    /// Nothing in common.
    #[error("the baseline has none of this run's endpoints")]
    NoCommonEndpoint,
}

/// Whether latencies of two loads compare at all.
pub(crate) fn check_comparable(old: &LoadResult, new: &LoadResult) -> Result<(), Incomparable> {
    if old.model == new.model && old.users == new.users && old.rate == new.rate {
        return Ok(());
    }
    Err(Incomparable::Load { old: old.describe(), new: new.describe() })
}

/// Compares two runs.
pub(crate) fn compare(old: &RunResult, new: &RunResult) -> Result<Comparison, Incomparable> {
    check_comparable(&old.load, &new.load)?;
    let find = |run: &'_ RunResult, name: &str| run.endpoints.iter().position(|endpoint| endpoint.name() == name);
    let mut changes = Vec::new();
    let mut only_in_one = Vec::new();
    for later in &new.endpoints {
        match find(old, &later.name()) {
            Some(at) => changes.extend(compare_endpoint(&old.endpoints[at], later, old.load.ramp_up)),
            None => only_in_one.push(later.name()),
        }
    }
    only_in_one.extend(old.endpoints.iter().map(EndpointResult::name).filter(|name| find(new, name).is_none()));
    if changes.is_empty() {
        return Err(Incomparable::NoCommonEndpoint);
    }
    correct_and_judge(&mut changes);
    Ok(Comparison { baseline_started_at: old.started_at.clone(), changes, only_in_one })
}

/// What a second says of an endpoint.
type Measure = fn(&PointResult) -> f64;

fn compare_endpoint(old: &EndpointResult, new: &EndpointResult, ramp_up: f64) -> Vec<Change> {
    let measures: [(&str, Measure); 3] = [
        ("p50", |point| point.p50),
        ("p95", |point| point.p95),
        ("error rate", |point| point.failed as f64 / point.requests as f64),
    ];
    let (old_points, new_points) = (steady(old, ramp_up), steady(new, ramp_up));
    measures
        .into_iter()
        .map(|(measure, value)| {
            let mut first: Vec<f64> = old_points.iter().map(value).collect();
            let mut second: Vec<f64> = new_points.iter().map(value).collect();
            let test = rank_test(&first, &second);
            // Seconds without a single error make a median of 0 on both sides; the rate of all is what people mean.
            let (before, after) = if measure == "error rate" {
                (old.error_rate / 100.0, new.error_rate / 100.0)
            } else {
                (median(&mut first), median(&mut second))
            };
            let shift = test.map_or(after - before, |test| test.shift);
            let change = if measure == "error rate" { after - before } else { shift };
            Change {
                endpoint: new.name(),
                measure: measure.to_owned(),
                old: before,
                new: after,
                change_percent: (before > 0.0).then(|| (change / before * 1e3).round() / 10.0),
                p_value: test.map(|test| test.p_value),
                direction: Direction::TooLittleData,
            }
        })
        .collect()
}

/// Seconds with requests in them, without the ramp-up, the first and the last, which are part of one only.
fn steady(endpoint: &EndpointResult, ramp_up: f64) -> Vec<PointResult> {
    let points: Vec<PointResult> = endpoint.series.iter().copied().filter(|point| point.start >= ramp_up).collect();
    let inner = if points.len() > FEWEST + 1 { &points[1..points.len() - 1] } else { &points[..] };
    inner.iter().copied().filter(|point| point.requests > 0).collect()
}

/// Holm's correction over all comparisons, then the verdict on each.
fn correct_and_judge(changes: &mut [Change]) {
    let mut order: Vec<usize> = (0..changes.len()).filter(|index| changes[*index].p_value.is_some()).collect();
    order.sort_by(|a, b| changes[*a].p_value.unwrap_or(1.0).total_cmp(&changes[*b].p_value.unwrap_or(1.0)));
    let mut least: f64 = 0.0;
    for (position, index) in order.iter().enumerate() {
        let family = (order.len() - position) as f64;
        least = least.max(changes[*index].p_value.unwrap_or(1.0) * family).min(1.0);
        changes[*index].p_value = Some(least);
    }
    for change in changes {
        change.direction = judge(change);
    }
}

fn judge(change: &Change) -> Direction {
    let Some(p_value) = change.p_value else { return Direction::TooLittleData };
    let difference = match change.change_percent {
        // The typical difference of seconds, not the difference of the medians.
        Some(percent) => change.old * percent / 100.0,
        None => change.new - change.old,
    };
    let matters = if change.measure == "error rate" {
        difference.abs() >= LEAST_ERROR_RATE
    } else {
        difference.abs() >= LEAST_SECONDS && difference.abs() >= change.old * LEAST_RATIO
    };
    if p_value >= SIGNIFICANT || !matters {
        Direction::Same
    } else if difference > 0.0 {
        Direction::Worse
    } else {
        Direction::Better
    }
}

/// Chance of calling noise a change, over all comparisons of two runs.
const SIGNIFICANT: f64 = 0.05;
/// Two runs of one build on one machine differ by some percent, since memory is laid out and threads are placed anew:
/// what is inside one run does not show that, so a smaller change is never called one.
const LEAST_RATIO: f64 = 0.10;
/// A tenth of a fast response is within what a kernel's scheduler does.
const LEAST_SECONDS: f64 = 50e-6;
/// One more error in a hundred requests.
const LEAST_ERROR_RATE: f64 = 0.01;

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
