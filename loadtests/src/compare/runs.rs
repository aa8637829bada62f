//! [`compare`]: two runs, endpoint by endpoint.

use pinchpoint::analysis::statistics::{RankSum, hodges_lehmann, holm, inflation_of_two, median, rank_sum};
use thiserror::Error;

use super::points::{FEWEST, Moment, SteadyState};
use crate::result::{Change, Comparison, Direction, ERROR_RATE, EndpointResult, LoadResult, RunResult, round_micros};

/// Chance of calling noise a change, over all comparisons of two runs.
const SIGNIFICANT: f64 = 0.05;
/// Two runs of one build on one machine differ by a few percent, since memory is laid out and threads are placed anew.
/// The points of a single run do not show that, so a smaller change is never reported.
const LEAST_RATIO: f64 = 0.10;
/// A tenth of a response that is faster than this is within what a kernel's scheduler adds or saves.
const LEAST_SECONDS: f64 = 50e-6;
/// One more error in a hundred requests.
const LEAST_ERROR_RATE: f64 = 0.01;

/// Why two runs cannot be compared.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum CompareError {
    /// The loads differ.
    #[error("the baseline ran with {old}, this run with {new}; latencies of different loads do not compare")]
    Load {
        /// Load of the baseline.
        old: String,
        /// Load of this run.
        new: String,
    },
    /// No endpoint is in both runs.
    #[error("the baseline has none of this run's endpoints")]
    NoCommonEndpoint,
    /// No difference could be told from chance, however large.
    #[error("too little data in the runs to tell any change from chance; longer runs have more")]
    TooLittleData,
}

/// Checks that the latencies of two loads can be compared.
///
/// # Errors
///
/// [`CompareError::Load`] if the model, the users or the rate differ.
pub(crate) fn check_comparable(old: &LoadResult, new: &LoadResult) -> Result<(), CompareError> {
    if old.model == new.model && old.users == new.users && old.rate == new.rate {
        return Ok(());
    }
    Err(CompareError::Load { old: old.describe(), new: new.describe() })
}

/// Compares two runs of one load.
pub(crate) fn compare(old: &RunResult, new: &RunResult) -> Comparison {
    let find = |run: &'_ RunResult, name: &str| run.endpoints.iter().position(|endpoint| endpoint.name() == name);
    let steady = SteadyState::of(old, new);
    let (mut candidates, mut only_in_one) = (Vec::new(), Vec::new());
    for later in &new.endpoints {
        match find(old, &later.name()) {
            Some(at) => candidates.extend(compare_endpoint(&old.endpoints[at], later, steady)),
            None => only_in_one.push(later.name()),
        }
    }
    only_in_one.extend(old.endpoints.iter().map(EndpointResult::name).filter(|name| find(new, name).is_none()));
    Comparison {
        baseline_started_at: old.started_at.clone(),
        point_seconds: steady.map(|(_, new)| round_micros(Some(new.length()))),
        changes: correct_and_judge(candidates),
        only_in_one,
    }
}

/// Checks that a comparison has a result.
///
/// # Errors
///
/// [`CompareError::NoCommonEndpoint`] or [`CompareError::TooLittleData`].
pub(crate) fn check_conclusive(comparison: &Comparison) -> Result<(), CompareError> {
    if comparison.changes.is_empty() {
        return Err(CompareError::NoCommonEndpoint);
    }
    let is_conclusive = |change: &Change| change.direction != Direction::TooLittleData;
    if comparison.changes.iter().any(is_conclusive) { Ok(()) } else { Err(CompareError::TooLittleData) }
}

/// A change before it is judged.
struct Candidate {
    change: Change,
    /// Smallest p-value that so many points can have.
    least_p_value: f64,
}

/// What is compared: its name, and how a point has it.
type Measure = (&'static str, fn(&Moment) -> f64);

const MEASURES: [Measure; 3] =
    [("p50", |moment| moment.p50), ("p95", |moment| moment.p95), (ERROR_RATE, |moment| moment.error_ratio)];

fn compare_endpoint(
    old: &EndpointResult,
    new: &EndpointResult,
    steady: Option<(SteadyState, SteadyState)>,
) -> impl Iterator<Item = Candidate> {
    let (old_moments, new_moments) =
        steady.map(|(old_steady, new_steady)| (old_steady.moments(old), new_steady.moments(new))).unwrap_or_default();
    MEASURES.into_iter().map(move |(measure, value)| {
        let mut first: Vec<f64> = old_moments.iter().map(value).collect();
        let mut second: Vec<f64> = new_moments.iter().map(value).collect();
        let p_value = p_value(&first, &second);
        let shift = p_value.and_then(|_| hodges_lehmann(&first, &second));
        let least_p_value = rank_sum::least_p_value(first.len(), second.len());
        // With few errors the median point has none in either run; the rate of all requests is what people mean.
        let (before, after) = if measure == ERROR_RATE {
            let ratio = |run: &EndpointResult| run.error_rate.unwrap_or(0.0) / 100.0;
            (ratio(old), ratio(new))
        } else {
            (median(&mut first).unwrap_or(0.0), median(&mut second).unwrap_or(0.0))
        };
        let difference = if measure == ERROR_RATE { after - before } else { shift.unwrap_or(after - before) };
        let change = Change {
            endpoint: new.name(),
            measure: measure.to_owned(),
            old: before,
            new: after,
            change_percent: (before > 0.0).then(|| (difference / before * 1e3).round() / 10.0),
            p_value,
            direction: Direction::TooLittleData,
        };
        Candidate { change, least_p_value }
    })
}

/// Returns the chance of a difference this large between two series of one process; `None` with too few points.
fn p_value(first: &[f64], second: &[f64]) -> Option<f64> {
    if first.len() < FEWEST || second.len() < FEWEST {
        return None;
    }
    let inflation = if are_far_apart(first, second) { 1.0 } else { inflation_of_two(first, second) };
    Some(RankSum::of_values(first, second)?.p_value(inflation))
}

/// Whether more lies between two series than either varies by. Neighbours that resemble each other explain no such distance:
/// over a run a drift shows its own size. Without this, two series that hardly vary, but slowly, prove nothing at any
/// distance, since so few of their values are independent.
fn are_far_apart(first: &[f64], second: &[f64]) -> bool {
    let range = |values: &[f64]| {
        let ends = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
        (ends.0, ends.1, ends.1 - ends.0)
    };
    let ((first_low, first_high, first_range), (second_low, second_high, second_range)) = (range(first), range(second));
    let between = (second_low - first_high).max(first_low - second_high);
    between > first_range.max(second_range)
}

/// Corrects the p-values for the number of comparisons, then judges each change.
fn correct_and_judge(mut candidates: Vec<Candidate>) -> Vec<Change> {
    let tested = || candidates.iter().filter_map(|candidate| candidate.change.p_value);
    let adjusted = holm(&tested().collect::<Vec<f64>>());
    let comparisons = adjusted.len() as f64;
    let p_values = candidates.iter_mut().filter_map(|candidate| candidate.change.p_value.as_mut());
    p_values.zip(adjusted).for_each(|(p_value, adjusted)| *p_value = adjusted);
    let judged = candidates.into_iter().map(|Candidate { change, least_p_value }| {
        let direction = match judge(&change) {
            // Even the largest difference would not have been significant.
            Direction::Same if least_p_value * comparisons >= SIGNIFICANT => Direction::TooLittleData,
            direction => direction,
        };
        Change { direction, ..change }
    });
    judged.collect()
}

fn judge(change: &Change) -> Direction {
    let Some(p_value) = change.p_value else { return Direction::TooLittleData };
    let difference = match change.change_percent {
        // The typical difference of two points, which is not the difference of the medians.
        Some(percent) => change.old * percent / 100.0,
        None => change.new - change.old,
    };
    let matters = if change.measure == ERROR_RATE {
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

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
