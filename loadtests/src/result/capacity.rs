//! [`Capacity`]: the result of a capacity search.

use serde::{Deserialize, Serialize};

/// The highest load that the service bears, and how it was found.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Capacity {
    /// `users` or `iterations a second`.
    pub(crate) unit: String,
    /// The highest load that was confirmed on a longer hold; absent if none was.
    pub(crate) capacity: Option<f64>,
    /// Whether the service may bear more: the generator was saturated above it, or `--max-load` was reached.
    pub(crate) at_least: bool,
    /// How the search ended.
    #[serde(default)]
    pub(crate) ended: SearchEnd,
    /// The condition that a load above it breaks first.
    pub(crate) limited_by: Option<String>,
    /// What the server's counters and bottlenecks say was saturated then.
    pub(crate) evidence: Vec<String>,
    /// Every load that was tried, in order.
    pub(crate) steps: Vec<CapacityStep>,
}

/// How a capacity search ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SearchEnd {
    /// A load held, also for longer.
    #[default]
    Confirmed,
    /// Loads held for a step, but none of them for longer.
    NotConfirmed,
    /// Not even the lowest load held.
    LowestFails,
    /// The generator was saturated above the load that held, or at the lowest load.
    Saturated,
    /// The service went away under a load, and did not come back.
    WentAway,
    /// The search was interrupted.
    Interrupted,
}

/// One load that was tried.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CapacityStep {
    pub(crate) load: f64,
    /// Seconds.
    pub(crate) held: f64,
    pub(crate) requests_per_second: f64,
    /// Of everything sent, in seconds; `None`, which is `null`, without requests.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// In percent; `None` without requests.
    pub(crate) error_rate: Option<f64>,
    /// `doubling`, `bisecting` or `confirming`.
    pub(crate) phase: String,
    /// Whether this load had failed or saturated the generator before: a single step may be unlucky.
    #[serde(default)]
    pub(crate) again: bool,
    pub(crate) passed: bool,
    /// How it ended; a default for results of earlier versions, which have `passed` alone.
    #[serde(default)]
    pub(crate) ended: StepEnd,
    /// The conditions that were breached.
    pub(crate) breached: Vec<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepEnd {
    /// Every condition held.
    Passed,
    /// A condition was breached.
    #[default]
    Failed,
    /// The generator was the bottleneck, so that the step proves nothing about the service.
    Saturated,
    /// The search was interrupted.
    Interrupted,
}

impl StepEnd {
    /// Returns the words that reports use.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Saturated => "generator saturated",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Capacity {
    /// Returns the result in a sentence without its full stop.
    pub(crate) fn describe(&self) -> String {
        let unit = &self.unit;
        match (self.ended, self.capacity, self.highest_held()) {
            (SearchEnd::Saturated, Some(capacity), _) => {
                format!("at least {capacity} {unit}; above it the generator was saturated{}", self.saturation())
            }
            (SearchEnd::Interrupted, Some(capacity), _) => {
                format!(
                    "at least {capacity} {unit}; the search was interrupted before it had closed in on a higher load"
                )
            }
            (SearchEnd::WentAway, Some(capacity), _) => {
                format!("{capacity} {unit}; at a higher load the service went away and did not come back")
            }
            (_, Some(capacity), _) if self.at_least => {
                format!("at least {capacity} {unit}; no higher load could be tried")
            }
            (_, Some(capacity), _) => format!("{capacity} {unit}"),
            (SearchEnd::Interrupted, None, Some(held)) => {
                format!("not found: the search was interrupted; the highest load that had held was {held} {unit}")
            }
            (SearchEnd::Interrupted, None, None) => {
                "not found: the search was interrupted before a load had held".to_owned()
            }
            (SearchEnd::Saturated, None, Some(held)) => {
                format!(
                    "not confirmed: {held} {unit} held for a step, but on a longer hold the generator was saturated{}",
                    self.saturation()
                )
            }
            (SearchEnd::Saturated, None, None) => {
                format!("not found: the generator was saturated at the lowest load already{}", self.saturation())
            }
            (SearchEnd::WentAway, None, Some(held)) => format!(
                "not confirmed: {held} {unit} held for a step; then the service went away and did not come back"
            ),
            (SearchEnd::WentAway, None, None) => {
                "none: the service went away at the lowest load already, and did not come back".to_owned()
            }
            (_, None, Some(held)) => {
                format!("none confirmed: {held} {unit} held for a step, but no load held for longer")
            }
            (_, None, None) => "none: even the lowest load fails".to_owned(),
        }
    }

    /// Returns what broke, and at which load, in a sentence without its full stop; `None` if nothing broke.
    pub(crate) fn describe_limit(&self) -> Option<String> {
        let what = match self.ended {
            SearchEnd::LowestFails => "The lowest load",
            SearchEnd::WentAway if self.highest_held().is_none() => "The lowest load",
            SearchEnd::NotConfirmed => "A longer hold",
            SearchEnd::Confirmed | SearchEnd::Saturated | SearchEnd::WentAway | SearchEnd::Interrupted => {
                "A higher load"
            }
        };
        self.limited_by.as_ref().map(|limit| format!("{what} breaks: {limit}"))
    }

    /// Returns why the generator was saturated, as `: it used …`; empty where no step has a reason.
    fn saturation(&self) -> String {
        let steps = self.steps.iter().rev().filter(|step| step.ended == StepEnd::Saturated);
        let mut reasons = steps.flat_map(|step| &step.breached).filter_map(|line| line.strip_prefix(SATURATED));
        reasons.next().map_or_else(String::new, |reason| format!(": {reason}"))
    }

    fn highest_held(&self) -> Option<f64> {
        self.steps.iter().filter(|step| step.passed).map(|step| step.load).reduce(f64::max)
    }
}

/// How the reason of saturation begins among what a step has breached.
pub(crate) const SATURATED: &str = "generator saturated: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ended: SearchEnd, capacity: Option<f64>, held: &[f64], expected: &str) {
        let step = |load: &f64| CapacityStep { load: *load, passed: true, ..CapacityStep::default() };
        let capacity = Capacity {
            unit: "users".to_owned(),
            capacity,
            ended,
            steps: held.iter().map(step).collect(),
            ..Capacity::default()
        };
        assert_eq!(capacity.describe(), expected);
    }

    #[test]
    fn nothing_is_claimed_that_was_not_seen() {
        check(SearchEnd::Confirmed, Some(8.0), &[4.0, 8.0], "8 users");
        check(SearchEnd::Saturated, Some(8.0), &[8.0], "at least 8 users; above it the generator was saturated");
        check(SearchEnd::LowestFails, None, &[], "none: even the lowest load fails");
        check(
            SearchEnd::NotConfirmed,
            None,
            &[4.0, 8.0, 6.0],
            "none confirmed: 8 users held for a step, but no load held for longer",
        );
        check(
            SearchEnd::Interrupted,
            None,
            &[2.0],
            "not found: the search was interrupted; the highest load that had held was 2 users",
        );
        check(
            SearchEnd::Interrupted,
            Some(2.0),
            &[2.0],
            "at least 2 users; the search was interrupted before it had closed in on a higher load",
        );
        check(SearchEnd::Interrupted, None, &[], "not found: the search was interrupted before a load had held");
        check(SearchEnd::Saturated, None, &[], "not found: the generator was saturated at the lowest load already");
        check(
            SearchEnd::Saturated,
            None,
            &[4.0],
            "not confirmed: 4 users held for a step, but on a longer hold the generator was saturated",
        );
    }

    #[test]
    fn a_service_that_went_away_and_a_generator_at_its_end_are_told() {
        check(
            SearchEnd::WentAway,
            None,
            &[2.0, 4.0],
            "not confirmed: 4 users held for a step; then the service went away and did not come back",
        );
        check(
            SearchEnd::WentAway,
            None,
            &[],
            "none: the service went away at the lowest load already, and did not come back",
        );
        check(
            SearchEnd::WentAway,
            Some(2.0),
            &[2.0],
            "2 users; at a higher load the service went away and did not come back",
        );
        let saturated = CapacityStep {
            ended: StepEnd::Saturated,
            breached: vec!["all requests: p95<1s".to_owned(), format!("{SATURATED}no port")],
            ..CapacityStep::default()
        };
        let capacity = Capacity {
            unit: "users".to_owned(),
            capacity: Some(8.0),
            ended: SearchEnd::Saturated,
            steps: vec![saturated],
            ..Capacity::default()
        };
        assert_eq!(capacity.describe(), "at least 8 users; above it the generator was saturated: no port");
    }

    #[test]
    fn results_of_earlier_versions_are_read() {
        let old = r#"{"unit": "users", "capacity": 8.0, "at_least": false, "limited_by": null, "evidence": [],
            "steps": [{"load": 8.0, "held": 1.0, "requests_per_second": 1.0, "p50": 0.1, "p95": 0.1, "p99": 0.1,
            "error_rate": 0.0, "phase": "doubling", "passed": true, "breached": []}]}"#;
        assert_eq!(serde_json::from_str::<Capacity>(old).unwrap().describe(), "8 users");
    }
}
