//! Which rules a history file can judge.
//!
//! It keeps of each endpoint how many requests there were, how many failed, and their durations; of the process its memory. That is
//! all that an objective's error budget needs. A rule
//! that needs anything else is not judged, and one that needs what only has a bound there is judged by that bound and says so.

use std::time::Duration;

use super::chronicle::Remark;
use crate::rules::{Condition, Measure, Rule, RuleSet, Scope, find_measure};

/// The finest resolution of a history file.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// How well a history file can answer for a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Exact,
    /// A value that the service's own is never above.
    Bound,
    None,
}

/// Returns how well a history file can answer for a measure.
pub(super) fn answer(scope: Scope, measure: Measure) -> Answer {
    match (scope, measure) {
        (
            Scope::Endpoint,
            Measure::AvgDuration
            | Measure::DurationQuantile(_)
            | Measure::MaxDuration
            | Measure::Rate
            | Measure::InFlight
            | Measure::TimeShare
            | Measure::ErrorRatio,
        )
        | (Scope::Process, Measure::ResidentMemory)
        | (Scope::Slo, Measure::BurnRate) => Answer::Exact,
        (Scope::Endpoint, Measure::OwnAvgDuration | Measure::OwnDurationQuantile(_)) => Answer::Bound,
        _ => Answer::None,
    }
}

/// Returns the rules that a history file can judge, and what is to be said about them and the others.
pub(super) fn judged(rules: &RuleSet) -> (RuleSet, Vec<Remark>) {
    let mut remarks = Vec::new();
    let mut remark = |rule: &Rule, is_judged, reason: String| {
        remarks.push(Remark { rule: rule.id.to_string(), is_judged, reason });
    };
    for rule in rules.rules() {
        if let Some(reason) = obstacle(rule) {
            remark(rule, false, reason);
            continue;
        }
        if is_bounded(rule) {
            let reason = "by the whole duration, since the history does not keep how long requests waited for their clients: \
                          slow clients can make it fire here and not in the service";
            remark(rule, true, reason.to_owned());
        }
        if rule.slo.is_some() {
            let reason = "where the history has half hours only, a severity whose short window is less is not judged: critical, \
                          with its 5 minutes";
            remark(rule, true, reason.to_owned());
        }
        if rule.window < MINUTE && answer(rule.scope, rule.measure) != Answer::None && rule.scope == Scope::Endpoint {
            remark(rule, true, "over the last minute, the shortest time that the history keeps".to_owned());
        }
    }
    (rules.changed(|rule| obstacle(rule).is_none().then(|| rule.clone())), remarks)
}

/// Returns why a rule cannot be judged.
fn obstacle(rule: &Rule) -> Option<String> {
    if rule.measure.is_of_versions() {
        let reason = "compares two versions of the service, which a replay does not look at; rules test does";
        return Some(format!("{} {reason}", rule.measure_name));
    }
    if matches!(rule.measure, Measure::AbsentFor | Measure::DropRatio) {
        let reason = "compares with the days before, which a replay does not look at; rules test and --prometheus do";
        return Some(format!("{} {reason}", rule.measure_name));
    }
    if answer(rule.scope, rule.measure) == Answer::None {
        let (name, scope) = (rule.measure_name, rule.scope.as_str());
        return Some(format!("{name} of scope {scope} is not kept in a history file"));
    }
    rule.only_if.as_ref().and_then(|condition| condition_obstacle(rule.scope, condition))
}

fn condition_obstacle(scope: Scope, condition: &Condition) -> Option<String> {
    match condition {
        Condition::Compare { name, .. } => {
            let known = find_measure(scope, name).is_some_and(|measure| answer(scope, measure) != Answer::None);
            (!known).then(|| format!("only_if: {name} is not kept in a history file"))
        }
        Condition::Word { name, .. } => Some(format!("only_if: {name} is not kept in a history file")),
        Condition::All(conditions) | Condition::Any(conditions) => {
            conditions.iter().find_map(|condition| condition_obstacle(scope, condition))
        }
    }
}

fn is_bounded(rule: &Rule) -> bool {
    let names = rule.only_if.iter().flat_map(Condition::comparisons);
    let measures = names.filter_map(|(name, ..)| find_measure(rule.scope, name)).chain([rule.measure]);
    measures.into_iter().any(|measure| answer(rule.scope, measure) == Answer::Bound)
}
