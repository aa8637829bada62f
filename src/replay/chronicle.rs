//! [`Chronicle`]: the course of alerts over a time that has passed.
//!
//! Findings of each moment go through the monitor's own lifecycle, with the moments of the past in place of the present. Both sources
//! of numbers, a history file and a Prometheus, are told in this one form.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    alert::{Change, Lifecycle, Transition},
    rules::{Bottleneck, Finding, RuleSet, Severity},
};

/// What rules would have found over a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// When it begins, since the Unix epoch.
    pub from: Duration,
    /// When it ends, since the Unix epoch.
    pub to: Duration,
    /// What would have fired, in the order in which it began to.
    pub alerts: Vec<PastAlert>,
    /// Rules that were not judged or not exactly, in the order of the set.
    pub remarks: Vec<Remark>,
}

/// A bottleneck that would have fired.
#[derive(Clone, Debug, PartialEq)]
pub struct PastAlert {
    /// Id of the rule.
    pub rule: String,
    /// What it is about, such as `GET /orders`.
    pub subject: String,
    /// The highest severity that fired.
    pub severity: Severity,
    /// Since when its threshold was passed, since the Unix epoch.
    pub since: Duration,
    /// When it began to fire, since the Unix epoch.
    pub fired: Duration,
    /// When it was resolved, since the Unix epoch; `None` where it still fired at the end.
    pub resolved: Option<Duration>,
    /// The value furthest beyond its threshold, with its unit.
    pub worst: String,
    /// The threshold of the highest severity, such as `> 1s`.
    pub threshold: String,
    /// How precise its times are: the time between two looks.
    pub precision: Duration,
}

impl PastAlert {
    /// Returns for how long it fired, where the replay ends at `end`.
    #[must_use]
    pub fn lasted(&self, end: Duration) -> Duration {
        self.resolved.unwrap_or(end).saturating_sub(self.fired)
    }

    /// Returns whether the two are the same rule on the same subject and overlap in time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let ends_before = |one: &Self, other: &Self| one.resolved.is_some_and(|end| end < other.since);
        (&self.rule, &self.subject) == (&other.rule, &other.subject)
            && !ends_before(self, other)
            && !ends_before(other, self)
    }
}

/// What is to be said about a rule beside what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Id of the rule.
    pub rule: String,
    /// Whether it was judged at all.
    pub is_judged: bool,
    /// Why it was not judged, or in what it differs from the service's judgement.
    pub reason: String,
}

/// Follows findings through a time that has passed.
#[derive(Debug)]
pub(super) struct Chronicle<'a> {
    rules: &'a RuleSet,
    lifecycle: Lifecycle,
    /// The instant that stands for the Unix epoch's `start`.
    origin: Instant,
    start: Duration,
    now: Duration,
    precision: Duration,
    alerts: Vec<PastAlert>,
    /// Of what fires the place in `alerts`, and the value furthest beyond its threshold.
    open: HashMap<Key, (usize, f64)>,
}

/// Rule and subject.
type Key = (Arc<str>, Arc<str>);

impl<'a> Chronicle<'a> {
    pub(super) fn new(rules: &'a RuleSet, start: Duration) -> Self {
        let (lifecycle, open) = (Lifecycle::default(), HashMap::new());
        // Any instant will do: only differences count, and the lifecycle adds to it what has passed.
        let origin = Instant::now();
        Self { rules, lifecycle, origin, start, now: start, precision: Duration::ZERO, alerts: Vec::new(), open }
    }

    /// Takes what was found at a time; the next look is `precision` later.
    pub(super) fn take(&mut self, at: Duration, precision: Duration, findings: Vec<Finding>) {
        (self.now, self.precision) = (at, precision);
        let instant = self.origin + at.saturating_sub(self.start);
        let transitions = self.lifecycle.advance(self.rules, findings, instant);
        self.note(transitions);
        for bottleneck in self.lifecycle.firing() {
            let Some((place, worst)) = self.open.get_mut(&key(bottleneck)) else { continue };
            let is_worse = match bottleneck.threshold.operator.is_upward() {
                true => bottleneck.value > *worst,
                false => bottleneck.value < *worst,
            };
            if is_worse {
                *worst = bottleneck.value;
                self.alerts[*place].worst = bottleneck.rule.unit.render(bottleneck.value);
            }
        }
    }

    /// Resolves what fires: the service ended, and begins anew if at all.
    pub(super) fn interrupt(&mut self, at: Duration) {
        self.now = at.max(self.now);
        let transitions = self.lifecycle.resolve_all();
        self.note(transitions);
    }

    /// Returns what fired, in order.
    pub(super) fn into_alerts(mut self) -> Vec<PastAlert> {
        self.alerts.sort_by(|a, b| (a.fired, &a.rule, &a.subject).cmp(&(b.fired, &b.rule, &b.subject)));
        self.alerts
    }

    fn note(&mut self, transitions: Vec<Transition>) {
        for Transition { change, bottleneck } in transitions {
            let key = key(&bottleneck);
            match change {
                Change::Started => {
                    self.open.insert(key, (self.alerts.len(), bottleneck.value));
                    self.alerts.push(self.begun(&bottleneck));
                }
                Change::Changed { .. } => {
                    let alert = self.open.get(&key).and_then(|(place, _)| self.alerts.get_mut(*place));
                    if let Some(alert) = alert.filter(|alert| alert.severity < bottleneck.severity) {
                        (alert.severity, alert.threshold) = (bottleneck.severity, threshold(&bottleneck));
                    }
                }
                Change::Resolved => {
                    if let Some(alert) = self.open.remove(&key).and_then(|(place, _)| self.alerts.get_mut(place)) {
                        alert.resolved = Some(self.now);
                    }
                }
            }
        }
    }

    fn begun(&self, bottleneck: &Bottleneck) -> PastAlert {
        PastAlert {
            rule: bottleneck.rule.id.to_string(),
            subject: bottleneck.subject.name.to_string(),
            severity: bottleneck.severity,
            since: self.start + bottleneck.since.saturating_duration_since(self.origin),
            fired: self.now,
            resolved: None,
            worst: bottleneck.rule.unit.render(bottleneck.value),
            threshold: threshold(bottleneck),
            precision: self.precision,
        }
    }
}

fn key(bottleneck: &Bottleneck) -> Key {
    (bottleneck.rule.id.clone(), bottleneck.subject.name.clone())
}

fn threshold(bottleneck: &Bottleneck) -> String {
    let Bottleneck { rule, threshold, .. } = bottleneck;
    format!("{} {}", threshold.operator.as_str(), rule.unit.render(threshold.limit))
}
