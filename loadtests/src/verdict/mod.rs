//! Whether a run passed, and why.
//!
//! Everything that can fail a test becomes a [`Check`]; the [`Conclusion`] becomes the exit code. A run that the generator
//! distorted, or that was interrupted, is never called passed or breached: it proves nothing about the service.

mod implicit;
mod rules;
mod threshold;

use crate::{
    engine::StopReason,
    record::{EndpointTally, Tally},
};

pub(crate) use implicit::implicit;
pub(crate) use rules::{Rules, RulesError};
pub(crate) use threshold::{Metric, Threshold};

/// What a check comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckSource {
    /// `--threshold`.
    Threshold,
    /// A rule of the service.
    Rule {
        /// Its id.
        id: String,
        /// Severity of the threshold that was exceeded.
        severity: &'static str,
    },
    /// Every test: a test of errors must not pass.
    Always,
    /// Comparison with an earlier run.
    Baseline,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckStatus {
    /// The condition held.
    Passed,
    /// It did not, and the test fails.
    Breached,
    /// It did not, but its severity is below `--fail-on`.
    Noted,
}

/// One condition and its outcome.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// Where it comes from.
    pub(crate) source: CheckSource,
    /// The endpoint that it is about, or all requests.
    pub(crate) subject: String,
    /// The condition, as reports show it.
    pub(crate) condition: String,
    /// What was observed, as reports show it.
    pub(crate) observed: String,
    /// How it ended.
    pub(crate) status: CheckStatus,
}

/// The result of the run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// All conditions held.
    Passed,
    /// Some condition did not hold.
    Breached,
    /// Nothing was tested.
    SetUpError,
    /// The generator was the bottleneck.
    Saturated,
    /// The test was stopped by a signal.
    Interrupted,
}

impl Conclusion {
    /// Draws the conclusion of a run.
    ///
    /// Interruption and saturation come first: half a test, or a test of the generator, proves nothing either way.
    pub(crate) fn of(reason: StopReason, saturated: bool, checks: &[Check]) -> Self {
        match reason {
            StopReason::Unreachable => Self::SetUpError,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::Finished if saturated => Self::Saturated,
            StopReason::Finished if checks.iter().any(|check| check.status == CheckStatus::Breached) => Self::Breached,
            StopReason::Finished => Self::Passed,
        }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Breached => 1,
            Self::SetUpError => 2,
            Self::Saturated => 3,
            // 128 + SIGINT, the shells' convention.
            Self::Interrupted => 130,
        }
    }

    /// Returns the word that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Breached => "breached",
            Self::SetUpError => "set-up error",
            Self::Saturated => "generator saturated",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Judges a run by conditions from the command line; `seconds` is how long it was measured.
pub(crate) fn judge_thresholds(thresholds: &[Threshold], tally: &Tally, seconds: f64) -> Vec<Check> {
    thresholds.iter().flat_map(|threshold| judge_threshold(threshold, tally, seconds)).collect()
}

fn judge_threshold(threshold: &Threshold, tally: &Tally, seconds: f64) -> Vec<Check> {
    let check = |subject: String, observed: Option<f64>| Check {
        source: CheckSource::Threshold,
        subject,
        condition: threshold.to_string(),
        observed: observed.map_or_else(|| "no requests".to_owned(), |value| threshold.metric.show(value)),
        // Without requests the condition did not hold: a typo in an endpoint's name must not pass for a fast endpoint.
        status: match observed {
            Some(value) if threshold.operator.holds(value, threshold.limit) => CheckStatus::Passed,
            Some(_) | None => CheckStatus::Breached,
        },
    };
    let Some(wanted) = &threshold.endpoint else {
        return vec![check("all requests".to_owned(), observe(threshold.metric, tally.total(), seconds))];
    };
    let matching: Vec<_> = tally.endpoints().iter().filter(|course| threshold.is_about(&course.name)).collect();
    if matching.is_empty() {
        return vec![check(wanted.clone(), None)];
    }
    matching
        .into_iter()
        .map(|course| check(course.name.to_string(), observe(threshold.metric, &course.tally, seconds)))
        .collect()
}

fn observe(metric: Metric, tally: &EndpointTally, seconds: f64) -> Option<f64> {
    if tally.count() == 0 {
        return None;
    }
    match metric {
        Metric::Percentile(q) => tally.ranked().quantile_seconds(q),
        Metric::FirstByte(q) => tally.first_byte().and_then(|latency| latency.quantile_seconds(q)),
        Metric::Average => tally.ranked().mean_seconds(),
        Metric::Maximum => tally.ranked().max_seconds(),
        Metric::ErrorRate => tally.error_ratio(),
        Metric::RequestsPerSecond => tally.rate(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: CheckStatus) -> Check {
        Check {
            source: CheckSource::Threshold,
            subject: String::new(),
            condition: String::new(),
            observed: String::new(),
            status,
        }
    }

    #[test]
    fn every_end_has_its_own_code() {
        let breached = [check(CheckStatus::Passed), check(CheckStatus::Breached)];
        let cases = [
            (StopReason::Finished, false, &breached[..1], 0),
            (StopReason::Finished, false, &breached[..], 1),
            (StopReason::Unreachable, false, &breached[..1], 2),
            (StopReason::Finished, true, &breached[..], 3),
            (StopReason::Interrupted, true, &breached[..], 130),
        ];
        for (reason, saturated, checks, code) in cases {
            assert_eq!(Conclusion::of(reason, saturated, checks).exit_code(), code);
        }
        assert_eq!(Conclusion::of(StopReason::Finished, false, &[check(CheckStatus::Noted)]), Conclusion::Passed);
    }

    #[test]
    fn condition_about_nothing_is_a_breach() {
        let threshold: Threshold = "p95<1s for GET /typo".parse().unwrap();
        let checks = judge_thresholds(&[threshold], &Tally::default(), 1.0);
        assert_eq!((checks[0].status, checks[0].observed.as_str()), (CheckStatus::Breached, "no requests"));
    }
}
