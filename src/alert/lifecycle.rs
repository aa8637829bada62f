//! [`Lifecycle`]: turns the findings of each evaluation into bottlenecks that last: pending, firing, resolved.
//!
//! As in Prometheus, a threshold must be passed for the rule's `for` before it fires, and keeps firing for
//! `keep_firing_for` after it is no longer passed. Each severity of a rule and subject is an alert of its own, exactly as
//! in the Prometheus rules made from the same file; the bottleneck that is reported has the highest that fires. A severity
//! that the cause does not deserve does not fire, but the time over its threshold counts: should the cause turn out to be
//! another, it fires at once if it has lasted for `for`. Nothing here reads a clock. Invariant: a bottleneck that started is
//! resolved exactly once, whether its value recovers, its subject disappears or its rule is removed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::time::Instant;

use super::service::ServiceFindings;
use crate::rules::{Bottleneck, Finding, Rule, RuleSet, Scope, Severity, Threshold};

/// How a bottleneck changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It began to fire.
    Started,
    /// It fires with another severity than before.
    Changed {
        /// The severity before.
        from: Severity,
    },
    /// It no longer fires.
    Resolved,
}

/// A change to report, in the log and to the listeners of `/performance/events`.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    pub(crate) change: Change,
    /// As it is now; as it last was where it is resolved.
    pub(crate) bottleneck: Arc<Bottleneck>,
}

/// The state of every rule and subject that passes a threshold or did until a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    alerts: BTreeMap<Key, Alert>,
    firing: Vec<Arc<Bottleneck>>,
    pending: Vec<Arc<Bottleneck>>,
}

/// Rule id and subject.
type Key = (Arc<str>, Arc<str>);

/// One rule on one subject.
#[derive(Debug, Default)]
struct Alert {
    levels: BTreeMap<Severity, Level>,
    /// The bottleneck that was last reported; `None` unless one fires.
    reported: Option<Arc<Bottleneck>>,
}

/// One severity of a rule on a subject: what Prometheus calls an alert.
#[derive(Debug)]
struct Level {
    /// When the threshold was first passed; Prometheus calls it `activeAt`.
    active_at: Instant,
    stage: Stage,
    /// The last finding over the threshold, to report while it keeps firing.
    finding: Arc<Finding>,
    threshold: Threshold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Pending,
    Firing,
    /// Firing because of `keep_firing_for`: since then it is no longer over its threshold, or its cause no longer deserves it.
    Keeping(Instant),
    /// Over its threshold, with a cause that does not deserve the severity.
    Withheld,
}

impl Lifecycle {
    /// Takes the findings of an evaluation and returns what changed, the most severe first.
    ///
    /// `rules` are those in force: bottlenecks of a rule that is not among them are resolved at once.
    pub(crate) fn advance(&mut self, rules: &RuleSet, findings: Vec<Finding>, now: Instant) -> Vec<Transition> {
        let mut seen: HashMap<Key, Arc<Finding>> = HashMap::with_capacity(findings.len());
        for finding in findings {
            let key = (finding.rule.id.clone(), finding.subject.name.clone());
            self.alerts.entry(key.clone()).or_default();
            seen.insert(key, Arc::new(finding));
        }
        let by_id: HashMap<&str, &Arc<Rule>> = rules.rules().iter().map(|rule| (&*rule.id, rule)).collect();
        let mut transitions = Vec::new();
        // Rules on the process first: what fires of them hides findings about endpoints.
        let mut service = ServiceFindings::default();
        for is_of_process in [true, false] {
            for (key, alert) in &mut self.alerts {
                let rule = by_id.get(&*key.0);
                if rule.is_some_and(|rule| rule.scope == Scope::Process) != is_of_process {
                    continue;
                }
                match rule {
                    Some(rule) => alert.step(rule, seen.get(key).filter(|finding| !service.include(finding)), now),
                    None => alert.levels.clear(),
                }
                transitions.extend(alert.report());
                if is_of_process {
                    alert.firing().into_iter().for_each(|(bottleneck, value)| service.add(bottleneck, value));
                }
            }
        }
        self.alerts.retain(|_, alert| !alert.levels.is_empty());
        self.firing = ranked(self.alerts.values().filter_map(|alert| alert.reported.clone()));
        self.pending = ranked(self.alerts.values().filter_map(Alert::pending));
        transitions.sort_by(|a, b| a.bottleneck.rank(&b.bottleneck));
        transitions
    }

    /// Resolves everything at once, regardless of `keep_firing_for`, and returns what fired.
    pub(crate) fn resolve_all(&mut self) -> Vec<Transition> {
        let alerts = std::mem::take(self).alerts;
        let reported = alerts.into_values().filter_map(|alert| alert.reported);
        reported.map(|bottleneck| Transition { change: Change::Resolved, bottleneck }).collect()
    }

    /// Returns what fires, ranked: severity first, then the share of all time spent.
    pub(crate) fn firing(&self) -> &[Arc<Bottleneck>] {
        &self.firing
    }

    /// Returns what will fire once it has lasted for its rule's `for`, ranked.
    pub(crate) fn pending(&self) -> &[Arc<Bottleneck>] {
        &self.pending
    }
}

fn ranked(bottlenecks: impl Iterator<Item = Arc<Bottleneck>>) -> Vec<Arc<Bottleneck>> {
    let mut bottlenecks: Vec<_> = bottlenecks.collect();
    bottlenecks.sort_by(|a, b| a.rank(b));
    bottlenecks
}

impl Alert {
    fn step(&mut self, rule: &Rule, finding: Option<&Arc<Finding>>, now: Instant) {
        let (passed, withheld) =
            finding.map_or((&[][..], &[][..]), |finding| (&finding.passed[..], &finding.withheld[..]));
        let has = |list: &[(Severity, Threshold)], severity: &Severity| list.iter().any(|(known, _)| known == severity);
        self.levels.retain(|severity, level| {
            if has(passed, severity) || level.is_kept(rule, now) {
                return true;
            }
            level.stage = Stage::Withheld;
            has(withheld, severity)
        });
        let Some(finding) = finding else { return };
        for (severity, threshold) in withheld {
            self.level(*severity, *threshold, finding, Stage::Withheld, now);
        }
        for (severity, threshold) in passed {
            let level = self.level(*severity, *threshold, finding, Stage::Pending, now);
            level.finding = finding.clone();
            level.threshold = *threshold;
            level.stage = match level.stage {
                Stage::Pending | Stage::Withheld if now.saturating_duration_since(level.active_at) < rule.hold => {
                    Stage::Pending
                }
                Stage::Pending | Stage::Firing | Stage::Keeping(_) | Stage::Withheld => Stage::Firing,
            };
        }
    }

    /// Returns the level of a severity. A new one has been active for as long as another with the same threshold: only the cause
    /// is a new one.
    fn level(
        &mut self,
        severity: Severity,
        threshold: Threshold,
        finding: &Arc<Finding>,
        stage: Stage,
        now: Instant,
    ) -> &mut Level {
        let same = self.levels.values().filter(|level| level.threshold == threshold);
        let active_at = same.map(|level| level.active_at).min().unwrap_or(now);
        self.levels.entry(severity).or_insert_with(|| Level { active_at, stage, finding: finding.clone(), threshold })
    }

    /// Brings the reported bottleneck up to date. Returns a transition where it started, changed its severity or ended.
    fn report(&mut self) -> Option<Transition> {
        let firing = || self.levels.iter().filter(|(_, level)| level.fires());
        let Some((severity, highest)) = firing().next_back() else {
            let bottleneck = self.reported.take()?;
            return Some(Transition { change: Change::Resolved, bottleneck });
        };
        let since = match &self.reported {
            // A higher severity does not make it younger.
            Some(reported) => reported.since,
            None => firing().map(|(_, level)| level.active_at).min().unwrap_or(highest.active_at),
        };
        let bottleneck = Arc::new(highest.as_bottleneck(*severity, since));
        let before = self.reported.replace(bottleneck.clone());
        let change = match before {
            None => Change::Started,
            Some(before) if before.severity != *severity => Change::Changed { from: before.severity },
            Some(_) => return None,
        };
        Some(Transition { change, bottleneck })
    }

    /// Returns what is reported, and the latest value that was over a threshold.
    fn firing(&self) -> Option<(&Bottleneck, f64)> {
        let values = self.levels.values().filter(|level| level.fires()).map(|level| level.finding.value);
        Some((self.reported.as_deref()?, values.reduce(f64::min)?))
    }

    fn pending(&self) -> Option<Arc<Bottleneck>> {
        if self.reported.is_some() {
            return None;
        }
        let (severity, highest) = self.levels.iter().rfind(|(_, level)| level.stage == Stage::Pending)?;
        let since = self.levels.values().map(|level| level.active_at).min()?;
        Some(Arc::new(highest.as_bottleneck(*severity, since)))
    }
}

impl Level {
    fn fires(&self) -> bool {
        matches!(self.stage, Stage::Firing | Stage::Keeping(_))
    }

    /// Returns whether a level that is not over its threshold, or whose cause does not deserve it, still fires.
    fn is_kept(&mut self, rule: &Rule, now: Instant) -> bool {
        let since = match self.stage {
            Stage::Pending | Stage::Withheld => return false,
            Stage::Firing => now,
            Stage::Keeping(since) => since,
        };
        self.stage = Stage::Keeping(since);
        now.saturating_duration_since(since) < rule.keep_firing_for
    }

    fn as_bottleneck(&self, severity: Severity, since: Instant) -> Bottleneck {
        Bottleneck::new(&self.finding, severity, self.threshold, since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::rules::{
        fact::{self, NumberFact},
        fixed::{self, endpoint},
    };

    const HOLD: u64 = 30;
    const KEEP: u64 = 60;
    /// Slow because of its clients, which is low at most.
    const CLIENT: NumberFact = fact::CLIENT_TIME_RATIO;
    /// Slow because of a lock, however severe.
    const LOCK: NumberFact = fact::LOCK_TIME_RATIO;

    /// `high: > 1`, `critical: > 5`, for 30 s, kept for 60 s.
    fn rules() -> RuleSet {
        fixed::rules("{ high: '> 1s', critical: '> 5s' }", &format!("for: {HOLD}s\n    keep_firing_for: {KEEP}s"))
    }

    /// Drives one subject through values at seconds, `None` for a subject that is not there.
    struct Drive {
        lifecycle: Lifecycle,
        rules: RuleSet,
        start: Instant,
    }

    impl Drive {
        fn new() -> Self {
            Self { lifecycle: Lifecycle::default(), rules: rules(), start: Instant::now() }
        }

        /// Returns the changes, and what fires afterwards with its age in seconds.
        fn at(&mut self, second: u64, value: Option<f64>) -> (Vec<Change>, Option<(Severity, u64)>) {
            let findings = fixed::findings(&self.rules, value.map(|value| (endpoint("GET", "/slow"), value)));
            self.take(second, findings)
        }

        /// The same of a subject that spends most of its time in one part.
        fn because(&mut self, second: u64, value: f64, part: NumberFact) -> (Vec<Change>, Option<(Severity, u64)>) {
            let findings = fixed::findings_because(&self.rules, part, [(endpoint("GET", "/slow"), value)]);
            self.take(second, findings)
        }

        fn take(&mut self, second: u64, findings: Vec<Finding>) -> (Vec<Change>, Option<(Severity, u64)>) {
            let now = self.start + Duration::from_secs(second);
            let changes = self.lifecycle.advance(&self.rules, findings, now).iter().map(|t| t.change).collect();
            let firing = self.lifecycle.firing().first();
            (changes, firing.map(|bottleneck| (bottleneck.severity, (now - bottleneck.since).as_secs())))
        }
    }

    #[test]
    fn a_threshold_fires_only_after_it_was_passed_for_the_whole_time() {
        let mut drive = Drive::new();
        assert_eq!(drive.at(0, Some(2.0)), (vec![], None));
        assert_eq!(drive.lifecycle.pending().len(), 1);
        assert_eq!(drive.at(29, Some(2.0)), (vec![], None));
        assert_eq!(drive.at(30, Some(2.0)), (vec![Change::Started], Some((Severity::High, 30))));
        assert!(drive.lifecycle.pending().is_empty());
    }

    #[test]
    fn for_begins_again_after_a_pause() {
        let mut drive = Drive::new();
        drive.at(0, Some(2.0));
        drive.at(20, Some(0.5));
        assert!(drive.lifecycle.pending().is_empty());
        drive.at(25, Some(2.0));
        assert_eq!(drive.at(54, Some(2.0)), (vec![], None));
        assert_eq!(drive.at(55, Some(2.0)), (vec![Change::Started], Some((Severity::High, 30))));
    }

    #[test]
    fn it_keeps_firing_for_a_while_and_resolves_once() {
        let mut drive = Drive::new();
        drive.at(0, Some(2.0));
        drive.at(30, Some(2.0));
        assert_eq!(drive.at(40, Some(0.1)), (vec![], Some((Severity::High, 40))));
        assert_eq!(drive.at(99, None), (vec![], Some((Severity::High, 99))));
        assert_eq!(drive.at(100, None), (vec![Change::Resolved], None));
        assert_eq!(drive.at(105, None), (vec![], None));
    }

    #[test]
    fn a_flicker_neither_resolves_nor_starts() {
        let mut drive = Drive::new();
        drive.at(0, Some(2.0));
        drive.at(30, Some(2.0));
        drive.at(40, Some(0.1));
        assert_eq!(drive.at(90, Some(2.0)), (vec![], Some((Severity::High, 90))));
        assert_eq!(drive.at(100, Some(0.1)), (vec![], Some((Severity::High, 100))));
        assert_eq!(drive.at(159, Some(0.1)), (vec![], Some((Severity::High, 159))));
        assert_eq!(drive.at(160, Some(0.1)), (vec![Change::Resolved], None));
    }

    #[test]
    fn a_higher_severity_waits_for_its_own_time_and_keeps_the_beginning() {
        let mut drive = Drive::new();
        drive.at(0, Some(2.0));
        drive.at(30, Some(2.0));
        assert_eq!(drive.at(40, Some(9.0)), (vec![], Some((Severity::High, 40))));
        let firing = &drive.lifecycle.firing()[0];
        assert_eq!((firing.value, firing.threshold.limit), (9.0, 1.0));
        let changed = vec![Change::Changed { from: Severity::High }];
        assert_eq!(drive.at(70, Some(9.0)), (changed, Some((Severity::Critical, 70))));
        assert_eq!(drive.at(80, Some(2.0)), (vec![], Some((Severity::Critical, 80))));
        let changed = vec![Change::Changed { from: Severity::Critical }];
        assert_eq!(drive.at(140, Some(2.0)), (changed, Some((Severity::High, 140))));
    }

    #[test]
    fn the_time_under_a_cause_that_deserves_less_counts_when_the_cause_is_another() {
        let mut drive = Drive::new();
        assert_eq!(drive.because(0, 9.0, CLIENT), (vec![], None));
        assert_eq!(drive.lifecycle.pending().iter().map(|b| b.severity).collect::<Vec<_>>(), [Severity::Low]);
        assert_eq!(drive.because(30, 9.0, CLIENT), (vec![Change::Started], Some((Severity::Low, 30))));
        let changed = vec![Change::Changed { from: Severity::Low }];
        assert_eq!(drive.because(35, 8.0, LOCK), (changed, Some((Severity::Critical, 35))));
        let firing = &drive.lifecycle.firing()[0];
        let cause = firing.cause.as_ref().expect("a cause");
        assert_eq!((cause.kind.as_str(), firing.value, firing.threshold.limit), ("lock_queue", 8.0, 5.0));
    }

    #[test]
    fn only_the_time_over_a_threshold_counts_for_it() {
        let mut drive = Drive::new();
        drive.because(0, 2.0, CLIENT);
        drive.because(30, 2.0, CLIENT);
        assert_eq!(drive.because(40, 9.0, CLIENT), (vec![], Some((Severity::Low, 40))));
        let changed = |from| vec![Change::Changed { from }];
        assert_eq!(drive.because(50, 9.0, LOCK), (changed(Severity::Low), Some((Severity::High, 50))));
        assert_eq!(drive.because(69, 9.0, LOCK), (vec![], Some((Severity::High, 69))));
        assert_eq!(drive.because(70, 9.0, LOCK), (changed(Severity::High), Some((Severity::Critical, 70))));
    }

    #[test]
    fn for_begins_again_after_a_pause_whatever_the_cause() {
        let mut drive = Drive::new();
        drive.because(0, 2.0, CLIENT);
        drive.because(20, 0.5, CLIENT);
        assert_eq!(drive.because(25, 2.0, CLIENT), (vec![], None));
        assert_eq!(drive.because(50, 2.0, LOCK), (vec![], None));
        assert_eq!(drive.because(55, 2.0, LOCK), (vec![Change::Started], Some((Severity::High, 30))));
    }

    #[test]
    fn a_cause_that_deserves_less_lowers_the_severity_without_a_pause() {
        let mut drive = Drive::new();
        drive.because(0, 2.0, LOCK);
        assert_eq!(drive.because(10, 2.0, CLIENT), (vec![], None));
        assert_eq!(drive.because(30, 2.0, CLIENT), (vec![Change::Started], Some((Severity::Low, 30))));
        let mut drive = Drive::new();
        drive.because(0, 9.0, LOCK);
        drive.because(30, 9.0, LOCK);
        assert_eq!(drive.because(40, 9.0, CLIENT), (vec![], Some((Severity::Critical, 40))));
        let changed = |from| vec![Change::Changed { from }];
        assert_eq!(drive.because(100, 9.0, CLIENT), (changed(Severity::Critical), Some((Severity::Low, 100))));
        assert_eq!(drive.because(105, 9.0, LOCK), (changed(Severity::Low), Some((Severity::Critical, 105))));
        assert_eq!(drive.at(165, None), (vec![], Some((Severity::Critical, 165))));
        assert_eq!(drive.at(225, None), (vec![Change::Resolved], None));
        assert!(drive.lifecycle.alerts.is_empty() && drive.lifecycle.pending().is_empty());
    }

    #[test]
    fn bottlenecks_of_a_removed_rule_resolve_at_once() {
        let mut drive = Drive::new();
        drive.at(0, Some(2.0));
        drive.at(30, Some(2.0));
        let now = drive.start + Duration::from_secs(31);
        let transitions = drive.lifecycle.advance(&RuleSet::of(Vec::new()), Vec::new(), now);
        assert_eq!(transitions.iter().map(|t| t.change).collect::<Vec<_>>(), [Change::Resolved]);
        assert!(drive.lifecycle.firing().is_empty() && drive.lifecycle.alerts.is_empty());
    }

    #[test]
    fn subjects_are_independent_and_ranked() {
        let rules = rules();
        let mut lifecycle = Lifecycle::default();
        let start = Instant::now();
        for second in [0, 30] {
            let subjects = [(endpoint("GET", "/a"), 2.0), (endpoint("GET", "/b"), 9.0), (endpoint("GET", "/c"), 0.1)];
            lifecycle.advance(&rules, fixed::findings(&rules, subjects), start + Duration::from_secs(second));
        }
        let firing: Vec<_> = lifecycle.firing().iter().map(|b| (b.severity, b.subject.name.to_string())).collect();
        assert_eq!(firing, [(Severity::Critical, "GET /b".to_owned()), (Severity::High, "GET /a".to_owned())]);
    }

    /// A second implementation, by the definition: whether one severity fires after step `i`, from the steps alone.
    fn fires(steps: &[(u64, bool)], i: usize) -> bool {
        let (now, is_active) = steps[i];
        // The first step of the run of equal ones that ends here.
        let start = (0..=i).rev().take_while(|&j| steps[j].1 == is_active).last().expect("the step itself");
        let age = now - steps[start].0;
        let fired_before = i > 0 && fires(steps, i - 1);
        if is_active { fired_before || age >= HOLD } else { fired_before && age < KEEP }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(steps in prop::collection::vec((1_u64..40, prop::sample::select(vec![0.5, 2.0, 9.0])), 1..40)) {
            let mut drive = Drive::new();
            let mut second = 0;
            let (mut high, mut critical) = (Vec::new(), Vec::new());
            let mut before = None;
            for (step, value) in steps {
                second += step;
                high.push((second, value > 1.0));
                critical.push((second, value > 5.0));
                let last = high.len() - 1;
                let expected = if fires(&critical, last) {
                    Some(Severity::Critical)
                } else {
                    fires(&high, last).then_some(Severity::High)
                };
                let changes = match (before, expected) {
                    (None, Some(_)) => vec![Change::Started],
                    (Some(from), Some(to)) if from != to => vec![Change::Changed { from }],
                    (Some(_), None) => vec![Change::Resolved],
                    _ => vec![],
                };
                let (transitions, firing) = drive.at(second, Some(value));
                prop_assert_eq!(transitions, changes);
                prop_assert_eq!(firing.map(|(severity, _)| severity), expected);
                before = expected;
            }
        }
    }
}
