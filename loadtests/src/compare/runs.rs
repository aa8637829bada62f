//! Two runs, endpoint by endpoint.

use thiserror::Error;

use super::points::{Moment, Steady};
use super::ranks::{least_p_value, median, rank_test};
use crate::result::{Change, Comparison, Direction, EndpointResult, LoadResult, RunResult};

/// Two runs that say nothing about one another.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum CompareError {
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
    /// Too short.
    #[error("too little data in the runs to tell any change from chance; longer runs have more")]
    TooLittleData,
}

/// Whether latencies of two loads compare at all.
pub(crate) fn check_comparable(old: &LoadResult, new: &LoadResult) -> Result<(), CompareError> {
    if old.model == new.model && old.users == new.users && old.rate == new.rate {
        return Ok(());
    }
    Err(CompareError::Load { old: old.describe(), new: new.describe() })
}

/// Compares two runs of one load.
pub(crate) fn compare(old: &RunResult, new: &RunResult) -> Comparison {
    let find = |run: &'_ RunResult, name: &str| run.endpoints.iter().position(|endpoint| endpoint.name() == name);
    let steady = Steady::of(old, new);
    let (mut compared, mut only_in_one) = (Vec::new(), Vec::new());
    for later in &new.endpoints {
        match find(old, &later.name()) {
            Some(at) => compared.extend(compare_endpoint(&old.endpoints[at], later, steady)),
            None => only_in_one.push(later.name()),
        }
    }
    only_in_one.extend(old.endpoints.iter().map(EndpointResult::name).filter(|name| find(new, name).is_none()));
    Comparison { baseline_started_at: old.started_at.clone(), changes: correct_and_judge(compared), only_in_one }
}

/// Whether a comparison says anything.
pub(crate) fn check_conclusive(comparison: &Comparison) -> Result<(), CompareError> {
    if comparison.changes.is_empty() {
        return Err(CompareError::NoCommonEndpoint);
    }
    let says = |change: &Change| change.direction != Direction::TooLittleData;
    if comparison.changes.iter().any(says) { Ok(()) } else { Err(CompareError::TooLittleData) }
}

/// A change that is yet to be judged.
struct Compared {
    change: Change,
    /// The least p-value that so many points can have.
    least_p_value: f64,
}

/// What a point says of an endpoint.
type Measure = fn(&Moment) -> f64;

fn compare_endpoint(
    old: &EndpointResult,
    new: &EndpointResult,
    steady: Option<(Steady, Steady)>,
) -> impl Iterator<Item = Compared> {
    let measures: [(&str, Measure); 3] =
        [("p50", |moment| moment.p50), ("p95", |moment| moment.p95), ("error rate", |moment| moment.error_ratio)];
    let (old_moments, new_moments) =
        steady.map(|(old_steady, new_steady)| (old_steady.moments(old), new_steady.moments(new))).unwrap_or_default();
    measures.into_iter().map(move |(measure, value)| {
        let mut first: Vec<f64> = old_moments.iter().map(value).collect();
        let mut second: Vec<f64> = new_moments.iter().map(value).collect();
        let test = rank_test(&first, &second);
        let least_p_value = least_p_value(first.len(), second.len());
        // Points without a single error make a median of 0 on both sides; the rate of all is what people mean.
        let (before, after) = if measure == "error rate" {
            (old.error_rate / 100.0, new.error_rate / 100.0)
        } else {
            (median(&mut first), median(&mut second))
        };
        let shift = test.map_or(after - before, |test| test.shift);
        let change = if measure == "error rate" { after - before } else { shift };
        let change = Change {
            endpoint: new.name(),
            measure: measure.to_owned(),
            old: before,
            new: after,
            change_percent: (before > 0.0).then(|| (change / before * 1e3).round() / 10.0),
            p_value: test.map(|test| test.p_value),
            direction: Direction::TooLittleData,
        };
        Compared { change, least_p_value }
    })
}

/// Holm's correction over all comparisons, then the verdict on each.
fn correct_and_judge(mut compared: Vec<Compared>) -> Vec<Change> {
    let p_value = |compared: &Compared| compared.change.p_value.unwrap_or(1.0);
    let mut order: Vec<usize> = (0..compared.len()).filter(|index| compared[*index].change.p_value.is_some()).collect();
    order.sort_by(|a, b| p_value(&compared[*a]).total_cmp(&p_value(&compared[*b])));
    let mut least: f64 = 0.0;
    for (position, index) in order.iter().enumerate() {
        let family = (order.len() - position) as f64;
        least = least.max(p_value(&compared[*index]) * family).min(1.0);
        compared[*index].change.p_value = Some(least);
    }
    let family = order.len() as f64;
    let judged = compared.into_iter().map(|Compared { change, least_p_value }| {
        let direction = match judge(&change) {
            // No difference would have been found, however large.
            Direction::Same if least_p_value * family >= SIGNIFICANT => Direction::TooLittleData,
            direction => direction,
        };
        Change { direction, ..change }
    });
    judged.collect()
}

fn judge(change: &Change) -> Direction {
    let Some(p_value) = change.p_value else { return Direction::TooLittleData };
    let difference = match change.change_percent {
        // The typical difference of points, not the difference of the medians.
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
