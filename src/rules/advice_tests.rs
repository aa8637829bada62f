//! The general advice of the shipped rules never contradicts the cause of a finding.

use std::{borrow::Cow, sync::Arc};

use tokio::time::Instant;

use super::{
    cause_kind::CauseKind::{self, *},
    evidence::{Evidence, Fact},
    fixed::FixedReadings,
    subject::Subject,
    *,
};

/// Returns the advice of a rule for a finding with these causes, and with these facts beside those that make most conditions hold.
fn advice(id: &str, causes: &[CauseKind], facts: &[(&'static str, f64)]) -> Vec<String> {
    let shipped = RuleSet::embedded();
    let rule = shipped.rules().iter().find(|rule| &*rule.id == id).expect(id).clone();
    let rules = RuleSet::of(vec![rule.clone()]);
    let subject =
        Arc::new(Subject { name: "the subject".into(), labels: vec![(Cow::Borrowed("any"), "label".into())] });
    let limit = rule.thresholds.0.iter().map(|(_, threshold)| threshold.limit).fold(0.0, f64::max);
    let mut readings = FixedReadings::default().with(rule.scope, rule.measure, &subject, limit * 2.0, 1000);
    for (name, value) in [
        ("in_flight", 5.0),
        ("avg_duration", 0.05),
        ("time_per_request", 1.0),
        ("endpoint_time_ratio", 0.9),
        ("own_avg_duration", 0.5),
        ("own_p95_duration", 0.5),
        ("p50_longest_poll", 0.05),
        ("time_share", 0.9),
        ("active", 20.0),
    ] {
        if let Some(entry) = measure::find(rule.scope, name).filter(|entry| entry.measure != rule.measure) {
            readings = readings.with(rule.scope, entry.measure, &subject, value, 1000);
        }
    }
    let given = |name: &str| facts.iter().find(|(given, _)| *given == name).map_or(20.0, |(_, value)| *value);
    let numbers = vocabulary::numbers(rule.scope);
    let numbers = numbers.into_iter().map(|(name, unit)| (name, Fact::Number(given(name), unit)));
    let words = vocabulary::words(rule.scope).map(|name| (name, Fact::Word("any".into())));
    readings.evidence = Evidence { facts: numbers.chain(words).collect(), ..Evidence::default() };
    let mut findings = Evaluator::new(rules.rules()).evaluate(&readings);
    let mut finding = findings.pop().expect(id);
    finding.cause = (!causes.is_empty()).then(|| Diagnosis::of_kinds(causes));
    let (severity, threshold) = finding.passed[0];
    Bottleneck::new(&finding, severity, threshold, Instant::now()).recommendations
}

#[track_caller]
fn check(id: &str, causes: &[CauseKind], facts: &[(&'static str, f64)], text: &str, is_said: bool) {
    let advice = advice(id, causes, facts);
    assert_eq!(advice.iter().any(|one| one.contains(text)), is_said, "{id}, {causes:?}: {advice:#?}");
}

/// Said with the first causes and without any, and not with the second ones.
#[track_caller]
fn follows(id: &str, facts: &[(&'static str, f64)], text: &str, with: &[&[CauseKind]], without: &[&[CauseKind]]) {
    for causes in with.iter().copied().chain([&[][..]]) {
        check(id, causes, facts, text, true);
    }
    without.iter().for_each(|causes| check(id, causes, facts, text, false));
}

#[test]
fn a_process_without_cpu_is_not_accused_of_its_code() {
    let blocks: &[&[CauseKind]] = &[&[Computing], &[Computing, BlockingCall], &[BlockingLock]];
    let starved: &[&[CauseKind]] = &[&[CpuStarved], &[Computing, CpuStarved]];
    for text in ["they are slow because of it", "look there for what waits", "well below a millisecond"] {
        follows("blocked_runtime", &[], text, blocks, starved);
    }
    follows("blocked_runtime_at_times", &[], "Look for the branch that blocks", blocks, starved);
    follows("slow_endpoint", &[], "Compare the timelines", &[&[SlowPlan], &[Computing]], starved);
    follows("slow_tail", &[], "Compare a slow request", &[&[SlowPlan]], &[&[CpuStarved], &[RuntimeLate]]);
    follows("slow_for_few", &[], "Compare a slow request", &[&[SlowPlan]], &[&[CpuStarved], &[RuntimeLate]]);
    let innocent: &[&[CauseKind]] =
        &[&[CpuStarved], &[BlockedByUntracked], &[Overload], &[BlockedByUntracked, CpuStarved]];
    follows("scheduling_lag", &[], "keeps a worker busy", &[&[Computing], &[BlockingTask]], innocent);
    let waiting = [("busy_ratio", 0.1)];
    follows("slow_task", &waiting, "Track its steps", &[&[UntrackedWait, SlowTask]], &[&[RuntimeLate]]);
    follows("slow_task", &waiting, "wait for one another", &[&[Queue]], &[&[RuntimeLate], &[SlowCall]]);
    check("slow_task", &[Computing], &[("busy_ratio", 0.9)], "wait for one another", false);
}

#[test]
fn advice_on_a_query_follows_from_what_makes_it_slow_or_frequent() {
    let elsewhere: &[&[CauseKind]] = &[&[DbLock], &[Stampede], &[RuntimeLate], &[SlowPlan, DbLock]];
    follows("slow_query", &[], "with the parameters used there", &[&[SlowPlan], &[SlowPlan, SkewedPlan]], elsewhere);
    follows("slow_query_tail", &[], "Compare the parameters", &[&[SkewedPlan]], elsewhere);
    follows("slow_query", &[], "pg_stat_statements", &[&[SlowPlan], &[DbLock]], &[&[RuntimeLate]]);
    let once: &[&[CauseKind]] = &[&[NPlusOne], &[ManyWrites], &[DuplicateQueries]];
    follows("n_plus_one", &[], "Issue it once", once, &[&[FailingRetries], &[ManyTransactions]]);
    for causes in [&[FailingRetries][..], &[OncePerRequest], &[]] {
        check("frequent_query", causes, &[], "less often", false);
    }
    check("frequent_query", &[], &[("endpoints", 0.0), ("error_ratio", 0.0)], "No request issues it", true);
    let by_design =
        "If it is by design (a statement that each request needs), add to the rule frequent_query: exclude:";
    check("frequent_query", &[OncePerRequest], &[], by_design, true);
}

#[test]
fn advice_on_how_requests_and_runs_end_follows_from_why() {
    follows("high_error_rate", &[], "Log the cause", &[&[SameError], &[MixedErrors]], &[&[Panics], &[OwnTimeout]]);
    check("high_error_rate", &[MixedErrors], &[("top_error_ratio", 0.85)], "are the same", false);
    follows("task_failures", &[], "Log the error of each run", &[&[FailingTask]], &[&[Panics]]);
    for causes in [&[ChangedMind][..], &[ImpatientClients]] {
        check("cancelled_tasks", causes, &[], "Raise the timeout", false);
    }
    // The usual answer comes at once: who leaves changed their mind.
    let at_once = [("ok_p50_duration", 0.1), ("cancelled_min_duration", 0.01)];
    for text in ["imit the requests in flight", "below the clients' own"] {
        check("wasted_work", &[WorkForNobody], &at_once, text, false);
        check("wasted_work", &[WorkForNobody], &[], text, true);
    }
}

#[test]
fn more_memory_is_no_advice_on_a_leak() {
    let leaks: &[&[CauseKind]] = &[&[LeakByRoute], &[LeakByTasks], &[LeakElsewhere, LeakByRoute]];
    follows("memory_limit", &[], "Raise the limit", &[&[HighMemory]], leaks);
    follows("memory_usage", &[], "bound caches", &[&[LeakElsewhere]], &[&[LeakByTasks], &[HighMemory]]);
    follows("memory_leak", &[], "look at background tasks", &[&[LeakElsewhere]], &[&[LeakByTasks]]);
}

#[test]
fn requests_over_a_limit_are_not_to_be_limited() {
    let shipped = RuleSet::embedded();
    let rule = shipped.rules().iter().find(|rule| &*rule.id == "high_client_error_rate").expect("the rule").clone();
    let says = |status: &str| {
        let mut known = |name: &str| (name == "top_client_error").then(|| condition::Value::Word(status.into()));
        let limit = rule.recommendations.iter().find(|one| one.say.to_string().contains("limit their rate"));
        limit.and_then(|one| one.condition.as_ref()).expect("a condition").holds(&mut known)
    };
    assert!(says("404") && !says("429"));
}
