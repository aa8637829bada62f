//! What a fix saves, by the evidence and by the cause.

use super::{
    cause_kind::CauseKind::{self, *},
    evidence::{Blocker, EndpointShare, Evidence, Fact, QueryShare, Within},
    gain::{Cause, Gain, gain},
    measure::Measure,
    scope::Scope,
    unit::Unit,
};

fn numbers(values: &[(&'static str, f64)]) -> Evidence {
    let facts = values.iter().map(|(name, value)| (*name, Fact::Number(*value, Unit::Count))).collect();
    Evidence { facts, all_seconds: Some(1000.0), all_requests: Some(2000), ..Evidence::default() }
}

fn share(endpoint: &str, requests: u64, duration: f64, time_ratio: f64, calls_per_request: f64) -> EndpointShare {
    EndpointShare {
        endpoint: endpoint.into(),
        calls: (requests as f64 * calls_per_request) as u64,
        calls_per_request: Some(calls_per_request),
        seconds: requests as f64 * duration * time_ratio,
        time_ratio: Some(1.0),
        within: Some(Within { requests, avg_duration: duration, time_ratio, alone_ratio: time_ratio }),
    }
}

fn of_query(endpoints: Vec<EndpointShare>) -> Option<Gain> {
    of_query_with(endpoints, &[])
}

fn of_query_with(endpoints: Vec<EndpointShare>, causes: &[CauseKind]) -> Option<Gain> {
    let evidence = Evidence { endpoints, ..numbers(&[]) };
    gain(Scope::Query, Measure::AvgDuration, &"SELECT 1".into(), &evidence, causes)
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn a_fixed_query_takes_its_endpoint_to_what_is_left() {
    let gain = of_query(vec![share("GET /orders", 100, 1.2, 0.85, 1.0)]).expect("a gain");
    assert_eq!(gain.summary, "takes GET /orders from 1.2s to about 185ms");
    near(gain.to, 1.2 - 1.02 + 0.005);
    near(gain.share, 100.0 * 1.015 / 1000.0);
    assert_eq!(
        gain.how,
        "1.02s of 1.2s a request are spent in it, in one call a request; with a fitting index or from a cache a call \
         takes 5ms or less"
    );
}

#[test]
fn calls_that_become_one_leave_the_time_of_one() {
    let gain = of_query(vec![share("GET /orders", 100, 0.5, 0.8, 40.0)]).expect("a gain");
    near(gain.to, 0.1 + 0.01);
    assert_eq!(
        gain.how,
        "40 calls in one request take 400ms of it; one call in their place takes as long as one of them, 10ms; \
         what they wait outside the database is saved on top"
    );
}

#[test]
fn the_endpoint_that_gains_most_is_named_and_all_count() {
    let endpoints = vec![share("GET /a", 10, 1.0, 0.505, 1.0), share("GET /b", 100, 1.0, 0.505, 1.0)];
    let gain = of_query(endpoints).expect("a gain");
    assert_eq!(gain.summary, "takes GET /b from 1s to about 500ms, and 1 more endpoint");
    near(gain.share, 110.0 * 0.5 / 1000.0);
}

#[test]
fn what_runs_side_by_side_saves_what_nothing_else_covers() {
    // Twelve calls at once of 1.2 s each, in requests of 1.2 s.
    let twelve = EndpointShare { seconds: 100.0 * 12.0 * 1.2, ..share("GET /a", 100, 1.2, 0.99, 12.0) };
    assert_eq!(of_query(vec![twelve]), None);
    let covered = |alone_ratio| {
        let mut one = share("GET /a", 100, 1.5, 0.5, 1.0);
        one.within = one.within.map(|within| Within { alone_ratio, ..within });
        of_query(vec![one])
    };
    assert_eq!(covered(0.0), None, "another query takes as long");
    near(covered(0.4).expect("a gain").to, 1.5 - 0.6 + 0.005);
}

#[test]
fn a_query_that_is_fast_or_does_not_matter_gains_nothing() {
    assert_eq!(of_query(vec![share("GET /a", 100, 1.0, 0.004, 1.0)]), None);
    assert_eq!(of_query(vec![share("GET /a", 100, 10.0, 0.03, 1.0)]), None);
    assert_eq!(of_query(Vec::new()), None);
}

#[test]
fn an_index_gains_only_where_the_plan_is_the_cause() {
    let of = |causes: &[CauseKind]| of_query_with(vec![share("GET /orders", 100, 1.2, 0.85, 1.0)], causes);
    for causes in [&[SlowPlan][..], &[SkewedPlan], &[SlowPlan, SkewedPlan]] {
        assert_eq!(of(causes), of(&[]), "{causes:?}");
    }
    for causes in [&[DbLock][..], &[Stampede], &[RuntimeLate], &[SlowPlan, DbLock], &[OncePerRequest]] {
        assert_eq!(of(causes), None, "{causes:?}");
    }
}

#[test]
fn fewer_calls_gain_only_where_their_number_is_the_cause() {
    let of = |causes: &[CauseKind]| of_query_with(vec![share("GET /orders", 100, 0.5, 0.8, 40.0)], causes);
    for causes in [&[NPlusOne][..], &[ManyWrites], &[ManyTransactions], &[DuplicateQueries, NPlusOne]] {
        assert_eq!(of(causes), of(&[]), "{causes:?}");
    }
    assert_eq!(of(&[FailingRetries]), None, "what is wrong is why it fails");
    let by_index = of(&[SlowPlan]).expect("a gain");
    assert!(
        by_index.how.ends_with("with a fitting index or from a cache a call takes 5ms or less"),
        "{}",
        by_index.how
    );
}

#[test]
fn a_slow_endpoint_gains_by_its_largest_part() {
    let query = |name: &str, ratio: f64| QueryShare {
        query: name.into(),
        calls: 50,
        calls_per_request: Some(1.0),
        seconds: 50.0 * 2.0 * ratio,
        time_ratio: Some(ratio),
        alone_seconds: 50.0 * 2.0 * ratio,
        failed: 0,
        repeats: 0,
        most_at_once: 1,
        place: None,
    };
    let facts = [("requests", 50.0), ("avg_duration", 2.0), ("task_time_ratio", 0.5)];
    let mut evidence = Evidence { queries: vec![query("SELECT a", 0.3), query("SELECT b", 0.1)], ..numbers(&facts) };
    let found = |evidence: &Evidence| gain(Scope::Endpoint, Measure::AvgDuration, &"GET /a".into(), evidence, &[]);
    let tasks = found(&evidence).expect("a gain");
    assert_eq!((tasks.cause, tasks.to), (Cause::Tasks("GET /a".into()), 1.0));
    evidence.facts.truncate(2);
    let by_query = found(&evidence).expect("a gain");
    assert_eq!(by_query.cause, Cause::Query("SELECT a".into()));
    near(by_query.to, 1.405);
    evidence.facts.push(("task_time_ratio", Fact::Number(0.5, Unit::Ratio)));
    let with = |cause| gain(Scope::Endpoint, Measure::OwnAvgDuration, &"GET /a".into(), &evidence, &[cause]);
    assert_eq!(with(SlowPlan).expect("a gain").cause, Cause::Query("SELECT a".into()));
    assert_eq!(with(SlowTask).expect("a gain").cause, Cause::Tasks("GET /a".into()));
    assert_eq!(with(LockQueue), None);
    assert_eq!(with(RuntimeLate), None);
}

#[test]
fn errors_gain_the_requests_that_no_longer_fail() {
    let evidence = numbers(&[("error_ratio", 0.3), ("requests", 200.0)]);
    let gain = gain(Scope::Endpoint, Measure::ErrorRatio, &"POST /pay".into(), &evidence, &[]).expect("a gain");
    near(gain.share, 0.03);
    assert_eq!(gain.how, "60 of its 200 requests failed: 3% of the 2000 requests of the service");
}

#[test]
fn a_blocked_worker_costs_those_who_wait_for_it() {
    let blocker = Blocker {
        endpoint: "GET /hash".into(),
        polls: 30,
        seconds: 9.0,
        longest: Some(0.4),
        others: Some(4.0),
        most_others: Some(9.0),
        waited: Vec::new(),
    };
    let evidence = Evidence { blockers: vec![blocker], ..numbers(&[("workers", 2.0)]) };
    let gain = gain(Scope::Process, Measure::SchedulingLag, &"process".into(), &evidence, &[]).expect("a gain");
    near(gain.from, 9.0);
    assert_eq!(gain.summary, "spares the requests beside GET /hash about 9s of waiting");
    let of = |causes: &[CauseKind]| {
        let by_poll = super::gain::gain(Scope::Endpoint, Measure::LongestPoll, &"GET /hash".into(), &evidence, causes);
        let by_lag = super::gain::gain(Scope::Process, Measure::SchedulingLag, &"process".into(), &evidence, causes);
        (by_poll.is_some(), by_lag.is_some())
    };
    for causes in [&[Computing][..], &[BlockingLock], &[Computing, BlockingCall]] {
        assert_eq!(of(causes), (true, true), "{causes:?}");
    }
    // Shorter polls of the endpoint would spare nobody the time.
    for causes in [&[CpuStarved][..], &[BlockedByUntracked], &[Overload], &[BlockingTask], &[Computing, CpuStarved]] {
        assert_eq!(of(causes), (false, false), "{causes:?}");
    }
}

#[test]
fn memory_gains_where_its_limit_is_near() {
    let facts = |left| numbers(&[("time_to_limit", left), ("memory_growth", 5e7), ("memory_limit", 1e9)]);
    let of = |evidence: &Evidence| gain(Scope::Process, Measure::MemoryGrowth, &"process".into(), evidence, &[]);
    let soon = of(&facts(7200.0)).expect("a gain");
    assert_eq!(soon.summary, "keeps the process from being killed in about 2h");
    assert_eq!(soon.how, "at 50MB/h it reaches its limit of 1GB in 2h");
    assert_eq!(of(&facts(100.0 * 3600.0)), None);
}
