//! Joins findings that have one cause, so that a reader sees the cause first and what follows from it after.
//!
//! A finding follows from another if its diagnosis names the other's subject as the origin, or if both are about one subject
//! with one cause. Invariant: what a finding follows from follows from nothing itself.

use std::cmp::Reverse;

use super::{
    cause::Origin,
    cause_kind::CauseKind::{self, *},
    finding::{CausedBy, Finding},
    scope::Scope,
    severity::Severity,
};
use crate::names;

/// Sets what each finding follows from.
pub(crate) fn join(findings: &mut [Finding]) {
    let roots: Vec<Option<usize>> = (0..findings.len()).map(|at| root(findings, at)).collect();
    for at in 0..findings.len() {
        let Some(mut root) = roots[at] else { continue };
        // Two steps at most: an endpoint that follows from a query which follows from another finding about that query.
        if let Some(further) = roots[root].filter(|further| *further != at) {
            root = further;
        }
        if roots[root].is_some() {
            continue;
        }
        let Finding { rule, subject, .. } = &findings[root];
        findings[at].caused_by = Some(CausedBy { rule: rule.id.clone(), subject: subject.name.clone() });
    }
}

/// Returns the finding that one follows from; `None` where it stands for itself.
fn root(findings: &[Finding], at: usize) -> Option<usize> {
    let finding = &findings[at];
    let cause = finding.cause.as_ref()?;
    let candidates = findings.iter().enumerate().filter(|(other, _)| *other != at);
    let elsewhere = cause.of.as_ref().filter(|origin| !is_about(finding, origin));
    if let Some(origin) = elsewhere {
        let of_origin = candidates.filter(|(_, other)| is_about(other, origin) && explains(other, cause.kind));
        return of_origin.min_by_key(|(place, other)| rank(other, *place)).map(|(place, _)| place);
    }
    let twins = candidates.filter(|(_, other)| {
        let same_subject = other.rule.scope == finding.rule.scope && other.subject.name == finding.subject.name;
        let stands = other
            .cause
            .as_ref()
            .is_some_and(|of_other| of_other.of.as_ref().is_none_or(|origin| is_about(other, origin)));
        same_subject && stands && explains(other, cause.kind)
    });
    let best = twins.min_by_key(|(place, other)| rank(other, *place))?;
    (rank(best.1, best.0) < rank(finding, at) || !explains(finding, cause.kind)).then_some(best.0)
}

/// The most severe first, then in the order of the rules.
fn rank(finding: &Finding, place: usize) -> (Reverse<Option<Severity>>, usize) {
    (Reverse(finding.passed.last().map(|(severity, _)| *severity)), place)
}

fn is_about(finding: &Finding, origin: &Origin) -> bool {
    let (scope, name) = match origin {
        Origin::Query(name) => (Scope::Query, Some(name)),
        Origin::Endpoint(name) => (Scope::Endpoint, Some(name)),
        Origin::Task(name) => (Scope::Task, Some(name)),
        Origin::Process => (Scope::Process, None),
    };
    finding.rule.scope == scope && name.is_none_or(|name| names::shown(name.as_str()) == *finding.subject.name)
}

/// Returns whether the cause of a finding explains another cause.
fn explains(finding: &Finding, effect: CauseKind) -> bool {
    let Some(cause) = &finding.cause else { return false };
    let explaining: &[CauseKind] = match effect {
        RuntimeLate => &[Computing, BlockingCall, BlockingLock, BlockingTask, CpuStarved],
        BlockedByUntracked => &[BlockedByUntracked, BlockingTask, Overload, CpuStarved],
        WorkForNobody => &[OwnTimeout, ImpatientClients, ChangedMind],
        FailingQuery => &[FailingQuery, FailingRetries, OwnTimeout],
        FailingTask => &[FailingTask, Panics, OwnTimeout],
        SlowTask => &[SlowTask, SequentialCalls, SlowCall, SlowPlan, Computing, BlockingCall, Queue, UntrackedWait],
        other => return cause.kind == other,
    };
    explaining.contains(&cause.kind)
}
