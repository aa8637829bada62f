//! The evidence from real windows, filled through the real recorder.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    activity::tests::usual,
    memory::MemoryGrowth,
    readings_tests::{GROWTH, LENGTH, Traffic, check, question, readings, sick_shop},
    regression::tests::worse,
    statement_tests::of_statement,
};
use crate::{
    context::Part,
    names,
    rules::{
        evidence::{Evidence, Fact},
        readings::Readings,
        unit::Unit,
        vocabulary, *,
    },
    store::History,
};

#[test]
fn evidence_names_the_causes_of_every_sickness() {
    let rules = RuleSet::embedded();
    let window = sick_shop().window();
    let findings = Evaluator::new(rules.rules()).evaluate(&readings(&rules, &window));
    let of = |rule: &str| findings.iter().find(|finding| &*finding.rule.id == rule).expect(rule);
    let slow = &of("slow_endpoint").evidence;
    assert_eq!(slow.fact("top_query"), Some(&Fact::Word("SELECT slow".into())));
    assert_eq!((slow.queries[0].calls, slow.queries[0].calls_per_request), (20, Some(1.0)));
    assert!(slow.number("db_time_ratio").is_some_and(|ratio| (ratio - 0.75).abs() < 1e-9));
    assert!(slow.time_share.is_some_and(|share| share > 0.3));
    let failing = &of("high_error_rate").evidence;
    assert_eq!(failing.fact("top_error"), Some(&Fact::Word("503".into())));
    let outcomes: Vec<_> = failing.outcomes.iter().map(|share| (&*share.outcome, share.count, share.ratio)).collect();
    assert_eq!(outcomes, [("503", 20, 0.2), ("200", 80, 0.8)]);
    let n_plus_one = of("n_plus_one");
    let bottleneck = Bottleneck::new(n_plus_one, Severity::High, n_plus_one.passed[1].1, Instant::now());
    assert_eq!(bottleneck.description, "GET /n_plus_one issues the same query 60 times in one request: SELECT item");
    assert_eq!(bottleneck.impact, "60ms of each request, 60% of the endpoint's time");
    assert_eq!(bottleneck.affected_endpoints, [Arc::from("GET /n_plus_one")]);
    let lag = of("scheduling_lag");
    let bottleneck = Bottleneck::new(lag, Severity::High, lag.passed[1].1, Instant::now());
    let cause = bottleneck.cause.expect("a cause");
    assert_eq!(cause.kind.as_str(), "cpu_starved", "it is throttled: {}", cause.because);
    assert_eq!(bottleneck.affected_endpoints[0], Arc::from("GET /hash"));
    let leak = &of("memory_leak").evidence;
    let suspects: Vec<_> =
        leak.suspects.iter().map(|one| (&*one.endpoint, one.kept_bytes, one.requests, one.ratio)).collect();
    assert_eq!(suspects, [("GET /hash", 20e6, 30, 0.8)]);
    assert!(leak.number("unattributed_ratio").is_some_and(|ratio| (ratio - 0.2).abs() < 1e-9));
    assert!(leak.number("top_suspect_growth").is_some_and(|growth| (growth - 720e6).abs() < 1.0), "in 100 seconds");
    assert!(leak.number("time_to_limit").is_some_and(|seconds| (seconds - 7200.0).abs() < 1e-6));
}

/// Returns counts that grew for ten minutes: six descriptors and sixty tasks a minute.
fn growing() -> ProcessCounts {
    let mut counts = ProcessCounts::default();
    for minute in 0..10_u32 {
        let age = Duration::from_secs(60) * minute;
        for quarter in 0..4_u32 {
            let (age, at) = (age + Duration::from_secs(15) * quarter, f64::from(4 * minute + quarter));
            counts.open_fds.record(age, 100.0 + 1.5 * at);
            counts.alive_tasks.record(age, 10.0 + 15.0 * at);
        }
    }
    counts
}

#[test]
fn descriptors_that_leak_say_of_what_kind_and_until_when() {
    let (window, counts) = (sick_shop().window(), growing());
    let readings = WindowReadings::new([(LENGTH, &window)]).with_counts(&counts);
    let evidence = readings.evidence(Scope::Process, &Subject::new("process", Vec::new()), LENGTH, None);
    let near = |name: &str, expected: f64| {
        let found = evidence.number(name);
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-6 * expected), "{name}: {found:?}");
    };
    near("socket_fds", 700.0);
    near("other_fds", 40.0);
    near("fds_growth_per_hour", 360.0);
    near("time_to_fd_limit", (1024.0 - 900.0) / 360.0 * 3600.0);
    near("alive_tasks", 40.0);
    near("alive_tasks_growth_per_hour", 3600.0);
}

#[test]
fn evidence_has_every_fact_of_the_catalogue_and_no_other() {
    let window = sick_shop().window();
    let (counts, rhythms) = (growing(), usual("/hash", "failing"));
    let regression = worse(&[("/hash", 1.0)]);
    let readings = WindowReadings::new([(LENGTH, &window)])
        .with_memory_growth(GROWTH)
        .with_counts(&counts)
        .with_activity(Activity::of(&rhythms))
        .with_regression(Some(&regression));
    for scope in [Scope::Endpoint, Scope::Query, Scope::Task, Scope::Process] {
        let subjects = readings.read(&question(
            scope,
            match scope {
                Scope::Process => Measure::ResidentMemory,
                _ => Measure::AvgDuration,
            },
        ));
        let mut found = BTreeSet::new();
        for reading in subjects {
            for (name, fact) in readings.evidence(scope, &reading.subject, LENGTH, Some(0.05)).facts {
                let unit = if let Fact::Number(_, unit) = fact { Some(unit) } else { None };
                found.insert((name, unit.map(Unit::as_str)));
            }
            let of_subject = vocabulary::words(scope).filter(|word| fact::of_subject(&reading.subject, word).is_some());
            found.extend(of_subject.map(|word| (word, None)));
        }
        // The cause is no fact of the evidence: it follows from it.
        let known = vocabulary::facts(scope).into_iter().filter(|(name, _)| *name != "cause");
        let known = known.map(|(name, unit)| (name, unit.map(Unit::as_str))).collect();
        assert_eq!(found, known, "{scope:?}");
    }
}

#[test]
fn a_machine_without_enough_cpu_is_a_fact_of_all_that_it_slows() {
    let window = sick_shop().window();
    let readings = WindowReadings::new([(LENGTH, &window)]).with_memory_growth(GROWTH);
    let process = Subject::new("process", Vec::new());
    let evidence = readings.evidence(Scope::Process, &process, LENGTH, None);
    let near = |evidence: &Evidence, name: &str, expected: f64| {
        let found = evidence.number(name);
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{name}: {found:?} is not {expected}");
    };
    near(&evidence, "cpus", 1.5);
    near(&evidence, "cpu_limit", 1.5);
    near(&evidence, "untracked_lag_ratio", 0.25);
    let endpoint = readings.evidence(Scope::Endpoint, &fixed::endpoint("GET", "/hash"), LENGTH, None);
    for evidence in [&evidence, &endpoint] {
        near(evidence, "run_queue_ratio", 0.75);
        near(evidence, "throttled_ratio", 0.4);
        near(evidence, "cpu_pressure", 0.6);
        near(evidence, "steal_ratio", 0.2);
    }
}

#[test]
fn split_of_an_endpoint_adds_up_to_its_duration() {
    let traffic = Traffic::new();
    // Two queries at once: 160 ms of queries in 100 ms of a request that took 200 ms.
    traffic.requests("/a", "200", 0.2, 10).query("/a", "SELECT 1", 10, 1, 0.09).query("/a", "SELECT 2", 10, 1, 0.07);
    traffic.of_endpoint(&names::HTTP_BUSY, "/a", 0.05, 10);
    traffic.part("/a", Part::Task, 0.2).part("/a", Part::Lock, 0.1);
    let window = traffic.window();
    let readings = WindowReadings::new([(LENGTH, &window)]);
    let subject = fixed::endpoint("GET", "/a");
    let evidence = readings.evidence(Scope::Endpoint, &subject, LENGTH, None);
    let split = evidence.split.expect("busy time was measured");
    let near = |seconds: f64, expected: f64| assert!((seconds - expected).abs() < 1e-9, "{seconds} is not {expected}");
    near(split.all(), 2.0);
    near(split.of(Part::Db), 1.6);
    near(split.of(Part::Task), 0.2);
    near(split.of(Part::Lock), 0.1);
    near(split.busy, 0.1);
    let shares: f64 = evidence.queries.iter().filter_map(|query| query.time_ratio).sum();
    assert!((shares - 0.8).abs() < 1e-9, "the queries share the time in the database: {shares}");
}

#[test]
fn outcomes_have_their_first_and_last_time() {
    let traffic = Traffic::new();
    let mut history = History::new(traffic.start, [LENGTH]);
    let at = |seconds| traffic.start + Duration::from_secs(seconds);
    for second in 1..=100 {
        traffic.requests("/a", if [30, 70].contains(&second) { "503" } else { "200" }, 0.1, 1);
        history.tick(&traffic.recorder.index(), at(second * 5));
    }
    let window = history.window(LENGTH).expect("it is kept");
    let readings = WindowReadings::new([(LENGTH, window)]).since_start(history.total());
    let evidence = readings.evidence(Scope::Endpoint, &fixed::endpoint("GET", "/a"), LENGTH, None);
    let seen: Vec<_> = evidence.outcomes.iter().map(|outcome| (&*outcome.outcome, outcome.seen)).collect();
    assert_eq!(seen, [("503", Some((at(150), at(350)))), ("200", Some((at(5), at(500))))]);
}

#[test]
fn work_outside_requests_has_no_time_share() {
    let traffic = Traffic::new();
    traffic.requests("/slow", "200", 1.2, 5);
    let window = |traffic: &Traffic| {
        traffic.task("nightly", "ok", 300.0, 3).task("mail", "ok", 1.0, 3);
        traffic.count(&names::TASK_REQUEST_NANOS, &[(names::TASK_NAME, "mail")], 3_000_000_000);
        let id = traffic.statement("SELECT all");
        traffic.observe(&names::DB_DURATION, &of_statement(&id), 100.0, 6).query("/slow", "SELECT all", 5, 1, 0.3);
        traffic.window()
    };
    let with_requests = window(&traffic);
    check(&with_requests, Scope::Task, Measure::TimeShare, "nightly", Some((0.0, 3)));
    check(&with_requests, Scope::Task, Measure::TimeShare, "mail", Some((0.5, 3)));
    check(&with_requests, Scope::Query, Measure::TimeShare, "SELECT all", Some((0.25, 11)));
    let without = window(&Traffic::new());
    check(&without, Scope::Task, Measure::TimeShare, "nightly", None);
    check(&without, Scope::Query, Measure::TimeShare, "SELECT all", None);

    // The slowest work of all is behind what requests wait for.
    let rules = RuleSet::embedded();
    let found = Evaluator::new(rules.rules()).evaluate(&readings(&rules, &with_requests));
    let as_high = |finding| Bottleneck::new(finding, Severity::High, finding.passed[0].1, Instant::now());
    let mut found: Vec<_> = found.iter().filter(|finding| finding.rule.scope != Scope::Process).map(as_high).collect();
    assert!(found.iter().all(|found| found.evidence.time_share.is_some_and(|share| share <= 1.0)));
    found.sort_by(Bottleneck::rank);
    let order: Vec<_> = found.iter().map(|found| &*found.subject.name).collect();
    assert_eq!(order, ["GET /slow", "mail", "SELECT all", "nightly"]);
}

#[test]
fn time_share_of_parallel_runs_is_at_most_one() {
    let traffic = Traffic::new();
    traffic.requests("/thumbnails", "200", 1.0, 10).task("thumbnail", "ok", 1.0, 80);
    traffic.count(&names::TASK_REQUEST_NANOS, &[(names::TASK_NAME, "thumbnail")], 80_000_000_000);
    check(&traffic.window(), Scope::Task, Measure::TimeShare, "thumbnail", Some((1.0, 80)));
}

#[test]
fn endpoint_that_keeps_almost_none_of_the_growth_is_no_suspect() {
    let traffic = Traffic::new();
    traffic.requests("/innocent", "200", 0.1, 100).set(&names::PROCESS_RESIDENT, &[], 300e6);
    let labels = [(names::METHOD, "GET"), (names::ROUTE, "/innocent")];
    traffic.count(&names::ENDPOINT_HEAP_ALLOCATED, &labels, 100_000);
    let window = traffic.window();
    let rules = RuleSet::embedded();
    let growth = MemoryGrowth { bytes_per_hour: 500e6, gained_bytes: Some(42e6), ..GROWTH.expect("there is one") };
    let readings = readings(&rules, &window).with_memory_growth(Some(growth));
    let found = Evaluator::new(rules.rules()).evaluate(&readings);
    let leak = found.iter().find(|finding| &*finding.rule.id == "memory_leak").expect("it grows");
    assert_eq!((&leak.evidence.suspects, leak.evidence.fact("top_suspect")), (&Vec::new(), None));
    let bottleneck = Bottleneck::new(leak, Severity::High, leak.passed[0].1, Instant::now());
    assert_eq!(bottleneck.affected_endpoints, [] as [Arc<str>; 0]);
    let advice = bottleneck.recommendations.join("\n");
    assert!(!advice.contains("/innocent"), "{advice}");
    assert!(advice.contains("100% of what the process gained cannot be attributed to any one endpoint"), "{advice}");
    assert_eq!(bottleneck.cause.map(|cause| cause.kind.as_str()), Some("leak_elsewhere"));
}

/// Who holds the lock `stock` longest, as the endpoint that waits for it sees it: its kind and name, mean in ms, share in percent.
fn longest_holder(traffic: &Traffic) -> Option<(HeldBy, u32, u32)> {
    let window = traffic.window();
    let evidence = WindowReadings::new([(LENGTH, &window)]).evidence(
        Scope::Endpoint,
        &fixed::endpoint("GET", "/buy"),
        LENGTH,
        None,
    );
    let holder = evidence.uses.first().expect("it uses the lock").holder.as_ref()?;
    Some((holder.who.clone(), (holder.avg_seconds * 1e3).round() as u32, (holder.ratio * 100.0).round() as u32))
}

#[test]
fn holder_with_the_most_time_in_all_is_the_longest() {
    let shop = || {
        let traffic = Traffic::new();
        traffic.requests("/buy", "200", 0.1, 10).requests("/list", "200", 0.1, 100).requests("/count", "200", 2.0, 1);
        traffic.holds("/buy", "stock", 10, 0.02).holds("/list", "stock", 100, 0.03).holds("/count", "stock", 1, 1.8);
        traffic.holds("/count", "other lock", 1, 100.0);
        traffic
    };
    // 0.2, 3.0 and 1.8 seconds: one long hold is not the most.
    assert_eq!(longest_holder(&shop()), Some((HeldBy::Endpoint("GET /list".into()), 30, 60)));
    let traffic = shop();
    let labels =
        [(names::TASK_NAME, "audit"), (names::WAIT_KIND, Part::Lock.label()), (names::WAIT_NAME, "lock stock")];
    traffic.count(&names::TASK_HELD_NANOS, &labels, 15_000_000_000).count(&names::TASK_HOLDS, &labels, 3);
    traffic.observe(&names::HOLD_DURATION, &STOCK, 5.0, 3);
    assert_eq!(longest_holder(&traffic), Some((HeldBy::Task("audit".into()), 5000, 75)));
}

const STOCK: [(&str, &str); 2] = [(names::WAIT_KIND, "lock"), (names::WAIT_NAME, "stock")];

#[test]
fn holds_of_work_that_is_not_tracked_are_nobodys() {
    let traffic = Traffic::new();
    traffic.requests("/buy", "200", 0.1, 10).holds("/buy", "stock", 10, 0.1);
    traffic.observe(&names::HOLD_DURATION, &STOCK, 1.5, 2);
    assert_eq!(longest_holder(&traffic), Some((HeldBy::Others, 1500, 75)));
    let traffic = Traffic::new();
    traffic.requests("/buy", "200", 0.1, 10).holds("/buy", "stock", 10, 0.1);
    assert_eq!(longest_holder(&traffic), Some((HeldBy::Endpoint("GET /buy".into()), 100, 100)));
}

#[test]
fn where_no_hold_was_measured_nobody_holds() {
    let traffic = Traffic::new();
    traffic.requests("/buy", "200", 0.1, 10).holds("/buy", "stock", 10, 0.0);
    assert_eq!(longest_holder(&traffic), None);
}

#[test]
fn route_that_shows_the_growth_comes_before_a_cache_that_holds_more() {
    let traffic = Traffic::new();
    traffic.set(&names::PROCESS_RESIDENT, &[], 300e6);
    for (route, bytes) in [("/cache", 90_000_000), ("/leak", 30_000_000)] {
        traffic.requests(route, "200", 0.1, 100);
        traffic.count(&names::ENDPOINT_HEAP_ALLOCATED, &[(names::METHOD, "GET"), (names::ROUTE, route)], bytes);
    }
    let window = traffic.window();
    let suspects = |route: Option<&str>| {
        let gained_bytes = Some(150e6);
        let growth = MemoryGrowth { gained_bytes, route: route.map(Arc::from), ..GROWTH.expect("there is one") };
        let readings = WindowReadings::new([(LENGTH, &window)]).with_memory_growth(Some(growth));
        let evidence = readings.evidence(Scope::Process, &Subject::new("process", Vec::new()), LENGTH, None);
        let names: Vec<_> = evidence.suspects.iter().map(|suspect| suspect.endpoint.to_string()).collect();
        (names, evidence.fact("top_suspect").cloned())
    };
    let word = |name: &str| Some(Fact::Word(name.into()));
    let by_process = ["GET /cache", "GET /leak"].map(str::to_owned).to_vec();
    assert_eq!(suspects(None), (by_process, word("GET /cache")));
    let by_route = ["GET /leak", "GET /cache"].map(str::to_owned).to_vec();
    assert_eq!(suspects(Some("GET /leak")), (by_route, word("GET /leak")));
}

#[test]
fn frequent_statuses_do_not_push_out_rare_errors() {
    let traffic = Traffic::new();
    for (status, times) in [("200", 300), ("201", 200), ("204", 150), ("304", 120), ("404", 100)] {
        traffic.requests("/a", status, 0.1, times);
    }
    for status in ["500", "502", "503"] {
        traffic.requests("/a", status, 0.1, 40);
    }
    traffic.requests("/a", "cancelled", 0.1, 10);
    let window = traffic.window();
    let readings = WindowReadings::new([(LENGTH, &window)]);
    let evidence = readings.evidence(Scope::Endpoint, &fixed::endpoint("GET", "/a"), LENGTH, None);
    let outcomes: Vec<_> = evidence.outcomes.iter().map(|outcome| &*outcome.outcome).collect();
    assert_eq!(outcomes, ["500", "502", "503", "cancelled", "404", "200", "201", "204", "304"]);
}

#[test]
fn gain_of_a_query_is_the_sum_over_all_of_its_endpoints() {
    let traffic = Traffic::new();
    let routes: Vec<String> = (0..8).map(|number| format!("/{number}")).collect();
    for route in &routes {
        traffic.requests(route, "200", 1.0, 10).query(route, "SELECT slow", 10, 1, 0.505);
    }
    let window = traffic.window();
    let rules = RuleSet::embedded();
    let found = Evaluator::new(rules.rules()).evaluate(&readings(&rules, &window));
    let slow = found.iter().find(|finding| &*finding.rule.id == "slow_query").expect("it is slow");
    let bottleneck = Bottleneck::new(slow, Severity::High, slow.passed[0].1, Instant::now());
    assert_eq!(bottleneck.affected_endpoints.len(), 8);
    let gain = bottleneck.gain.expect("it can be computed");
    assert!((gain.share - 0.5).abs() < 1e-6, "{}", gain.share);
    assert!(gain.summary.ends_with(", and 7 more endpoints"), "{}", gain.summary);
}
