//! What a test expects to be pending, firing or resolved, and how that differs from what is.
//!
//! An alert is one line, in files and in answers alike: `firing high slow_endpoint GET /orders`.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    alert::Change,
    monitor::Judgement,
    rules::{Bottleneck, Severity, Unit},
};

/// The states of an alert, by their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Firing,
    /// It fired before, and does not fire any more.
    Resolved,
}

impl State {
    const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One line of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) state: State,
    /// `None` where it is resolved.
    pub(super) severity: Option<Severity>,
    pub(super) rule: String,
    /// `None` where any is right.
    pub(super) subject: Option<String>,
}

impl Expected {
    /// Reads a line such as `firing high slow_endpoint GET /orders` or `resolved slow_endpoint GET /orders`.
    ///
    /// # Errors
    /// Returns what was expected.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let mut rest = line.trim();
        let mut word = || {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = after.trim_start();
            word
        };
        let form =
            "expected one such as \"firing high slow_endpoint GET /orders\" or \"resolved slow_endpoint GET /orders\"";
        let first = word();
        let Some(state) = State::ALL.into_iter().find(|state| state.as_str() == first) else {
            return Err(format!("{first:?} is no state (pending, firing, resolved); {form}"));
        };
        let severity = match state {
            State::Resolved => None,
            State::Pending | State::Firing => {
                let second = word();
                let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == second);
                Some(
                    severity
                        .ok_or_else(|| format!("{second:?} is no severity (low, medium, high, critical); {form}"))?,
                )
            }
        };
        let rule = word().to_owned();
        if rule.is_empty() {
            return Err(format!("no rule; {form}"));
        }
        Ok(Self { state, severity, rule, subject: Some(rest.to_owned()).filter(|subject| !subject.is_empty()) })
    }

    fn is_met_by(&self, found: &Found) -> bool {
        self.state == found.state
            && (self.severity.is_none() || self.severity == Some(found.severity))
            && self.rule == found.rule
            && self.subject.as_ref().is_none_or(|subject| *subject == found.subject)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state.as_str())?;
        self.severity.iter().try_for_each(|severity| write!(f, " {severity}"))?;
        write!(f, " {}", self.rule)?;
        self.subject.iter().try_for_each(|subject| write!(f, " {subject}"))
    }
}

/// An alert as the monitor has it.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    state: State,
    severity: Severity,
    rule: String,
    subject: String,
    /// Why: the value, its threshold and since when.
    detail: String,
}

impl Found {
    fn of(bottleneck: &Bottleneck, state: State, started: Instant) -> Self {
        let Bottleneck { rule, severity, subject, value, threshold, since, .. } = bottleneck;
        let (value, limit) = (rule.unit.render(*value), rule.unit.render(threshold.limit));
        let since = render(since.saturating_duration_since(started));
        Self {
            state,
            severity: *severity,
            rule: rule.id.to_string(),
            subject: subject.name.to_string(),
            detail: format!("{value} {} {limit}, since {since}", threshold.operator.as_str()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}  ({})", self.state.as_str(), self.severity, self.rule, self.subject, self.detail)
    }
}

/// What the monitor has found up to some time.
#[derive(Debug)]
pub(super) struct Course {
    started: Instant,
    latest: Option<Arc<Judgement>>,
    /// Rule and subject of what fired and does not any more.
    resolved: BTreeSet<(String, String)>,
}

impl Course {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, latest: None, resolved: BTreeSet::new() }
    }

    /// Takes what an evaluation found.
    pub(super) fn follow(&mut self, judgement: Arc<Judgement>) {
        for transition in &judgement.transitions {
            let Bottleneck { rule, subject, .. } = &*transition.bottleneck;
            let key = (rule.id.to_string(), subject.name.to_string());
            match transition.change {
                Change::Resolved => drop(self.resolved.insert(key)),
                Change::Started | Change::Changed { .. } => drop(self.resolved.remove(&key)),
            }
        }
        self.latest = Some(judgement);
    }

    /// Returns how what was found differs from what is expected of a rule, or of all; `None` where it does not.
    pub(super) fn difference(&self, expected: &[Expected], rule: Option<&str>) -> Option<(Vec<String>, Vec<String>)> {
        let mut found = self.found();
        found.retain(|found| rule.is_none_or(|rule| rule == found.rule));
        let mut missing = Vec::new();
        for expected in expected {
            let met = match expected.state {
                State::Resolved => self.has_resolved(expected),
                State::Pending | State::Firing => {
                    let place = found.iter().position(|found| expected.is_met_by(found));
                    place.map(|place| found.remove(place)).is_some()
                }
            };
            if !met {
                missing.push(expected.to_string());
            }
        }
        let unexpected: Vec<String> = found.iter().map(ToString::to_string).collect();
        (!missing.is_empty() || !unexpected.is_empty()).then_some((missing, unexpected))
    }

    fn found(&self) -> Vec<Found> {
        let Some(latest) = &self.latest else { return Vec::new() };
        let states = [(&latest.firing, State::Firing), (&latest.pending, State::Pending)];
        states
            .into_iter()
            .flat_map(|(all, state)| all.iter().map(move |one| Found::of(one, state, self.started)))
            .collect()
    }

    fn has_resolved(&self, expected: &Expected) -> bool {
        self.resolved.iter().any(|(rule, subject)| {
            *rule == expected.rule && expected.subject.as_ref().is_none_or(|expected| expected == subject)
        })
    }
}

/// How what a test found at a time differs from what it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Time since the beginning of the test.
    pub at: Duration,
    /// Line of the expectation in the file.
    pub line: usize,
    /// What was expected and is not there, a line each.
    pub missing: Vec<String>,
    /// What is there and was not expected, a line each, with the value, its threshold and since when it is over that.
    pub unexpected: Vec<String>,
}

/// Writes it as a diff: `-` is expected, `+` was found.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: at {}, expected (-) and found (+):", self.line, render(self.at))?;
        self.missing.iter().try_for_each(|line| write!(f, "\n  - {line}"))?;
        self.unexpected.iter().try_for_each(|line| write!(f, "\n  + {line}"))
    }
}

/// Writes a time as test files do.
pub(super) fn render(time: Duration) -> String {
    Unit::Seconds.render(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<&str, &str>) {
        let read = Expected::read(line).map(|expected| expected.to_string());
        let is_as_expected = match (&read, expected) {
            (Ok(read), Ok(expected)) => read == expected,
            (Err(error), Err(expected)) => error.starts_with(expected),
            _ => false,
        };
        assert!(is_as_expected, "{line}: {read:?}");
    }

    #[test]
    fn an_alert_is_one_line() {
        check(" firing  high slow_endpoint GET /orders", Ok("firing high slow_endpoint GET /orders"));
        check("pending low memory_usage", Ok("pending low memory_usage"));
        check("resolved slow_query SELECT * FROM a", Ok("resolved slow_query SELECT * FROM a"));
        check("fires high slow", Err("\"fires\" is no state (pending, firing, resolved); expected one such as"));
        check("firing slow", Err("\"slow\" is no severity (low, medium, high, critical); expected one such as"));
        check("firing high", Err("no rule; expected one such as"));
    }
}
