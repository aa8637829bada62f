//! The readings from real windows, filled through the real recorder.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::memory::MemoryGrowth;
use crate::{
    context::{Glob, Part, labelled},
    names::{self, Metric},
    rules::{
        readings::{Question, Readings},
        rule::{LabelGlobs, MetricSelector},
        *,
    },
    store::{History, MonitorRecorder, Window},
};

pub(super) const LENGTH: Duration = Duration::from_secs(300);
const SPAN: Duration = Duration::from_secs(100);
const HOUR: Duration = Duration::from_secs(3600);

type Labels<'a> = &'a [(&'static str, &'a str)];

/// Traffic of 100 seconds.
pub(super) struct Traffic {
    pub(super) recorder: MonitorRecorder,
    pub(super) start: Instant,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { recorder: MonitorRecorder::new(100_000, Vec::new()), start: Instant::now() }
    }

    pub(super) fn observe(&self, metric: &Metric, labels: Labels<'_>, value: f64, times: usize) -> &Self {
        let histogram = labelled::histogram(&self.recorder, metric, &owned(labels));
        (0..times).for_each(|_| histogram.record(value));
        self
    }

    pub(super) fn count(&self, metric: &Metric, labels: Labels<'_>, by: u64) -> &Self {
        labelled::counter(&self.recorder, metric, &owned(labels)).increment(by);
        self
    }

    pub(super) fn set(&self, metric: &Metric, labels: Labels<'_>, value: f64) -> &Self {
        labelled::gauge(&self.recorder, metric, &owned(labels)).set(value);
        self
    }

    /// Records requests of an endpoint; `outcome` is a status or a kind of error.
    pub(super) fn requests(&self, route: &str, outcome: &str, seconds: f64, times: usize) -> &Self {
        let label = if outcome.starts_with(|c: char| c.is_ascii_digit()) { names::STATUS } else { names::ERROR_TYPE };
        let labels = [(names::METHOD, "GET"), (names::ROUTE, route), (label, outcome)];
        self.observe(&names::HTTP_DURATION, &labels, seconds, times)
    }

    pub(super) fn of_endpoint(&self, metric: &Metric, route: &str, value: f64, times: usize) -> &Self {
        self.observe(metric, &[(names::METHOD, "GET"), (names::ROUTE, route)], value, times)
    }

    /// Records time of an endpoint's requests, all together.
    pub(super) fn part(&self, route: &str, part: Part, seconds: f64) -> &Self {
        let labels = [(names::METHOD, "GET"), (names::ROUTE, route), (names::PART, part.label())];
        self.count(&names::ENDPOINT_PART_NANOS, &labels, (seconds * 1e9).round() as u64);
        self
    }

    /// The requests of a route wait a millisecond each for a lock, and hold it.
    pub(super) fn holds(&self, route: &str, lock: &str, times: u64, seconds: f64) -> &Self {
        let (kind, title) = (Part::Lock.label(), format!("lock {lock}"));
        let labels = [
            (names::METHOD, "GET"),
            (names::ROUTE, route),
            (names::WAIT_KIND, kind),
            (names::WAIT_NAME, title.as_str()),
        ];
        self.count(&names::ENDPOINT_USE_CALLS, &labels, times).count(&names::ENDPOINT_USE_HOLDS, &labels, times);
        self.count(&names::ENDPOINT_USE_NANOS, &labels, times * 1_000_000);
        self.count(&names::ENDPOINT_USE_HELD_NANOS, &labels, (times as f64 * seconds * 1e9) as u64);
        self.count(&names::ENDPOINT_USE_REQUESTS, &labels, times);
        let labels = [(names::WAIT_KIND, kind), (names::WAIT_NAME, lock)];
        self.observe(&names::HOLD_DURATION, &labels, seconds, times as usize)
    }

    pub(super) fn task(&self, name: &str, outcome: &str, seconds: f64, times: usize) -> &Self {
        self.observe(&names::TASK_DURATION, &[(names::TASK_NAME, name), (names::OUTCOME, outcome)], seconds, times)
    }

    pub(super) fn window(&self) -> Window {
        let mut history = History::new(self.start, [LENGTH]);
        history.tick(&self.recorder.index(), self.start + SPAN);
        history.window(LENGTH).expect("it is kept").clone()
    }
}

fn owned(labels: Labels<'_>) -> Vec<(&'static str, Arc<str>)> {
    labels.iter().map(|(name, value)| (*name, Arc::from(*value))).collect()
}

pub(super) fn question(scope: Scope, measure: Measure) -> Question<'static> {
    Question { scope, measure, window: LENGTH, min_samples: 1, at_least: None, metric: None }
}

fn read(window: &Window, question: &Question<'_>) -> BTreeMap<String, (f64, u64)> {
    let readings = WindowReadings::new([(LENGTH, window)]).read(question);
    readings.into_iter().map(|reading| (reading.subject.name.to_string(), (reading.value, reading.samples))).collect()
}

#[track_caller]
pub(super) fn check(window: &Window, scope: Scope, measure: Measure, subject: &str, expected: Option<(f64, u64)>) {
    let found = read(window, &question(scope, measure)).get(subject).copied();
    let near = match (found, expected) {
        (Some((value, samples)), Some((wanted, wanted_samples))) => {
            (value - wanted).abs() <= 1e-6 * wanted.abs() && samples == wanted_samples
        }
        (found, expected) => found.is_none() && expected.is_none(),
    };
    assert!(near, "{measure:?} of {subject}: {found:?} is not {expected:?}");
}

#[test]
fn endpoint_is_read_over_all_of_its_statuses() {
    let traffic = Traffic::new();
    traffic.requests("/a", "200", 1.0, 60).requests("/a", "404", 0.1, 20).requests("/a", "500", 4.0, 10);
    traffic.requests("/a", "panic", 0.5, 4).requests("/a", "body_error", 0.5, 3).requests(
        "/a",
        "service_error",
        0.5,
        1,
    );
    traffic.requests("/a", "cancelled", 2.0, 2);
    let window = traffic.window();
    let endpoint = |measure, expected| check(&window, Scope::Endpoint, measure, "GET /a", Some((expected, 100)));
    let seconds = 60.0 + 2.0 + 40.0 + 4.0 + 4.0;
    endpoint(Measure::AvgDuration, seconds / 100.0);
    endpoint(Measure::MaxDuration, 4.0);
    endpoint(Measure::ErrorRatio, 0.18);
    endpoint(Measure::ClientErrorRatio, 0.20);
    endpoint(Measure::CancelledRatio, 0.02);
    endpoint(Measure::Rate, 1.0);
    endpoint(Measure::InFlight, seconds / 100.0);
    let p95 = read(&window, &question(Scope::Endpoint, Measure::DurationQuantile(95)))["GET /a"].0;
    assert!((3.8..=4.2).contains(&p95), "{p95}");
}

#[test]
fn mixtures_are_no_endpoints_but_count_in_the_total_time() {
    let traffic = Traffic::new();
    traffic.requests("/a", "200", 1.0, 10).requests("", "404", 1.0, 30).requests(names::OTHER, "200", 1.0, 60);
    let window = traffic.window();
    let shares = read(&window, &question(Scope::Endpoint, Measure::TimeShare));
    assert_eq!(shares.into_iter().collect::<Vec<_>>(), [("GET /a".to_owned(), (0.1, 10))]);
}

#[test]
fn no_data_and_zero_are_different_answers() {
    let traffic = Traffic::new();
    traffic.requests("/quiet", "200", 0.1, 10);
    let window = traffic.window();
    let of_quiet = |measure, expected| check(&window, Scope::Endpoint, measure, "GET /quiet", expected);
    of_quiet(Measure::ErrorRatio, Some((0.0, 10)));
    of_quiet(Measure::DbQueriesPerRequest, Some((0.0, 10)));
    of_quiet(Measure::BusyRatio, None);
    of_quiet(Measure::WaitingRatio, None);
    of_quiet(Measure::LongestPollQuantile(95), None);
    assert_eq!(read(&window, &question(Scope::Query, Measure::ErrorRatio)), BTreeMap::new());
    assert_eq!(read(&window, &question(Scope::Process, Measure::ResidentMemory)), BTreeMap::new());
    let nothing = Traffic::new().window();
    assert_eq!(read(&nothing, &question(Scope::Endpoint, Measure::ErrorRatio)), BTreeMap::new());
}

#[test]
fn time_of_an_endpoint_is_divided_into_parts() {
    let traffic = Traffic::new();
    traffic.requests("/a", "200", 1.0, 10).query("/a", "SELECT 1", 10, 5, 0.1);
    traffic.of_endpoint(&names::HTTP_BUSY, "/a", 0.2, 10).of_endpoint(&names::HTTP_LONGEST_POLL, "/a", 0.15, 10);
    let labels = [(names::METHOD, "GET"), (names::ROUTE, "/a")];
    traffic.part("/a", Part::Task, 1.0).part("/a", Part::Lock, 0.5).part("/a", Part::Client, 1.5);
    traffic.count(&names::ENDPOINT_OVERLAP_NANOS, &labels, 500_000_000);
    let window = traffic.window();
    let endpoint = |measure, expected| check(&window, Scope::Endpoint, measure, "GET /a", Some((expected, 10)));
    endpoint(Measure::DbTimeRatio, 0.5);
    endpoint(Measure::BusyRatio, 0.2);
    endpoint(Measure::PartRatio(Part::Task), 0.1);
    endpoint(Measure::PartRatio(Part::Lock), 0.05);
    endpoint(Measure::PartRatio(Part::Client), 0.15);
    endpoint(Measure::OwnAvgDuration, 0.85);
    endpoint(Measure::WaitingRatio, 0.05);
    endpoint(Measure::DbQueriesPerRequest, 5.0);
    endpoint(Measure::DbTimePerRequest, 0.5);
    endpoint(Measure::LongestPoll, 0.15);
}

#[test]
fn calls_per_request_are_those_of_the_worst_endpoint_with_enough_requests() {
    let traffic = Traffic::new();
    traffic.requests("/list", "200", 0.2, 50).query("/list", "SELECT item", 50, 20, 0.001);
    traffic.requests("/one", "200", 1.0, 50).query("/one", "SELECT item", 50, 1, 0.5);
    traffic.requests("/rare", "200", 1.0, 2).query("/rare", "SELECT item", 2, 90, 0.001);
    let window = traffic.window();
    let answer = |measure, min_samples| {
        let question = Question { min_samples, ..question(Scope::Query, measure) };
        read(&window, &question).get("SELECT item").copied()
    };
    assert_eq!(answer(Measure::CallsPerRequest, 5), Some((20.0, 50)));
    assert_eq!(answer(Measure::CallsPerRequest, 1), Some((90.0, 2)));
    assert_eq!(answer(Measure::CallsPerRequest, 100), None);
    // Of /list, not the much longer time of /one: conditions on both must be about one endpoint.
    let (seconds, _) = answer(Measure::TimePerRequest, 5).expect("an answer");
    assert!((seconds - 0.02).abs() < 1e-9, "{seconds}");
    let (ratio, _) = answer(Measure::EndpointTimeRatio, 5).expect("an answer");
    assert!((ratio - 0.1).abs() < 1e-9, "{ratio}");
}

#[test]
fn calls_side_by_side_count_once_in_the_time_of_a_request() {
    let traffic = Traffic::new();
    traffic.requests("/page", "200", 1.25, 50).query_at_once("/page", "SELECT part", 50, 12, 1.2, 12);
    let window = traffic.window();
    check(&window, Scope::Query, Measure::CallsPerRequest, "SELECT part", Some((12.0, 50)));
    check(&window, Scope::Query, Measure::TimePerRequest, "SELECT part", Some((1.2, 50)));
    check(&window, Scope::Query, Measure::EndpointTimeRatio, "SELECT part", Some((0.96, 50)));
}

#[test]
fn tasks_fail_by_errors_and_panics_and_not_by_being_cancelled() {
    let traffic = Traffic::new();
    traffic.task("mail", "ok", 0.1, 12).task("mail", "error", 0.1, 3).task("mail", "panic", 0.1, 1);
    traffic.task("mail", "cancelled", 0.1, 4).set(&names::TASK_ACTIVE, &[(names::TASK_NAME, "mail")], 3.0);
    let window = traffic.window();
    check(&window, Scope::Task, Measure::ErrorRatio, "mail", Some((0.2, 20)));
    check(&window, Scope::Task, Measure::CancelledRatio, "mail", Some((0.2, 20)));
    check(&window, Scope::Task, Measure::Active, "mail", Some((3.0, 1)));
}

#[test]
fn any_metric_can_be_read_by_its_labels() {
    let depth = Metric { name: "queue_depth", ..names::PROCESS_THREADS };
    let sent = Metric { name: "sent_bytes_total", ..names::SERIES_DROPPED };
    let traffic = Traffic::new();
    for (queue, value) in [("mail_in", 3.0), ("mail_out", 5.0), ("images", 7.0)] {
        traffic.set(&depth, &[("queue", queue), ("host", "a")], value);
        traffic.set(&depth, &[("queue", queue), ("host", "b")], 1.0);
        traffic.count(&sent, &[("queue", queue)], 1000);
    }
    traffic.count(&names::TASK_BUSY_NANOS, &[], 2_500_000_000);
    let window = traffic.window();
    let answer = |metric: &str, pattern: &str, by: &[&str], measure| {
        let matches = LabelGlobs(vec![("queue".into(), Glob::new(pattern))]);
        let by = by.iter().map(|label| Arc::from(*label)).collect();
        let metric = MetricSelector { name: metric.into(), matches, by };
        let question = Question { metric: Some(&metric), ..question(Scope::Metric, measure) };
        read(&window, &question).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(answer("queue_depth", "*", &[], Measure::Value), [("queue_depth".to_owned(), (18.0, 1))]);
    assert_eq!(
        answer("queue_depth", "mail*", &["queue"], Measure::Value),
        [
            ("queue_depth{queue=\"mail_in\"}".to_owned(), (4.0, 1)),
            ("queue_depth{queue=\"mail_out\"}".to_owned(), (6.0, 1)),
        ]
    );
    assert_eq!(
        answer("sent_bytes_total", "mail*", &[], Measure::Rate),
        [("sent_bytes_total".to_owned(), (20.0, 2000))]
    );
    assert_eq!(answer("sent_bytes_total", "mail*", &[], Measure::Quantile(99)), []);
    assert_eq!(answer("unheard_of", "*", &[], Measure::Value), []);
    assert_eq!(answer(names::TASK_BUSY_NANOS.name, "*", &[], Measure::Value)[0].1, (2.5, 1), "in seconds");
}

/// A shop with every sickness, and a healthy endpoint with a healthy query and task.
pub(super) fn sick_shop() -> Traffic {
    let traffic = Traffic::new();
    traffic.requests("/healthy", "200", 0.02, 500).query("/healthy", "SELECT good", 500, 1, 0.001);
    traffic.of_endpoint(&names::HTTP_BUSY, "/healthy", 0.019, 500);
    traffic.of_endpoint(&names::HTTP_HEAD, "/healthy", 0.01, 500);
    traffic.of_endpoint(&names::HTTP_LONGEST_POLL, "/healthy", 0.01, 500).task("good", "ok", 0.01, 100);
    traffic.requests("/slow", "200", 2.0, 20).query("/slow", "SELECT slow", 20, 1, 1.5);
    traffic.holds("/slow", "stock", 20, 0.1);
    traffic.requests("/failing", "200", 0.01, 80).requests("/failing", "503", 0.01, 20);
    traffic.requests("/refusing", "200", 0.01, 40).requests("/refusing", "401", 0.01, 60);
    traffic.requests("/abandoned", "200", 0.5, 40).requests("/abandoned", "cancelled", 0.5, 40);
    traffic.requests("/n_plus_one", "200", 0.1, 50).query("/n_plus_one", "SELECT item", 50, 60, 0.001);
    traffic.requests("/hash", "200", 0.3, 30).of_endpoint(&names::HTTP_LONGEST_POLL, "/hash", 0.29, 30);
    traffic.of_endpoint(&names::HTTP_BUSY, "/hash", 0.295, 30);
    traffic.query("/failing", "UPDATE stock", 80, 1, 0.001).failed_query("/failing", "UPDATE stock", 0.001, 20);
    traffic.requests("", "404", 0.001, 50).requests("", "502", 0.001, 1).requests("", "200", 0.001, 99);
    traffic.task("slow", "ok", 0.9, 10).task("failing", "ok", 0.1, 20).task("failing", "error", 0.05, 10);
    traffic.task("dropped", "cancelled", 0.1, 20).set(&names::TASK_ACTIVE, &[(names::TASK_NAME, "slow")], 1.0);
    traffic.set(&names::PROCESS_RESIDENT, &[], 1.2e9).set(&names::PROCESS_MEMORY_LIMIT, &[], 1.3e9);
    traffic.set(&names::PROCESS_OPEN_FDS, &[], 900.0).set(&names::PROCESS_MAX_FDS, &[], 1024.0);
    traffic.set(&names::PROCESS_THREADS, &[], 4.0).set(&names::TOKIO_WORKERS, &[], 2.0);
    traffic.count(&names::PROCESS_CPU, &[], 50).count(&names::TOKIO_WORKER_BUSY, &[], 100);
    traffic.observe(&names::TOKIO_SCHEDULING_LAG, &[], 0.6, 20);
    traffic.of_endpoint(&names::ENDPOINT_BLOCKING_POLLS, "/hash", 0.29, 30);
    traffic.of_endpoint(&names::ENDPOINT_BLOCKED_OTHERS, "/hash", 4.0, 30);
    let leaking = [(names::METHOD, "GET"), (names::ROUTE, "/hash")];
    let waited = [(names::METHOD, "GET"), (names::ROUTE, "/hash"), (names::WAITING, "GET /healthy")];
    traffic.count(&names::ENDPOINT_WAITED, &waited, 25).set(&names::ENDPOINT_ACTIVE, &leaking, 2.0);
    traffic.count(&names::ENDPOINT_HEAP_ALLOCATED, &leaking, 30_000_000);
    traffic.count(&names::ENDPOINT_HEAP_FREED, &leaking, 10_000_000);
    let abandoned = [(names::METHOD, "GET"), (names::ROUTE, "/abandoned")];
    traffic.count(&names::ENDPOINT_WASTED_QUERIES, &abandoned, 80);
    traffic.count(&names::ENDPOINT_WASTED_DB_NANOS, &abandoned, 9_000_000_000);
    let stuck = [(names::TASK_NAME, "slow")];
    traffic.set(&names::TASK_OLDEST_ACTIVE, &stuck, 600.0).count(&names::TASK_BUSY_NANOS, &stuck, 3_000_000_000);
    measured_polls(&traffic, &names::ENDPOINT_POLL_NANOS, &names::ENDPOINT_POLL_SIGHTS, &leaking);
    measured_polls(&traffic, &names::TASK_POLL_NANOS, &names::TASK_POLL_SIGHTS, &stuck);
    traffic.observe(&names::TASK_BLOCKING_POLLS, &stuck, 0.1, 20);
    starved(&traffic);
    traffic.set(&names::TOKIO_ALIVE_TASKS, &[], 40.0);
    for (kind, open) in names::DESCRIPTORS.into_iter().zip([700.0, 100.0, 60.0, 40.0]) {
        traffic.set(&names::OPEN_FDS, &[(names::KIND, kind)], open);
    }
    traffic
}

/// Adds a machine that has less CPU than is wanted: of 200 s that the process wanted, it had 50.
fn starved(traffic: &Traffic) {
    traffic.count(&names::PROCESS_CPU_WAITING, &[], 150).set(&names::CPUS, &[], 1.5);
    traffic.set(&names::CPU_LIMIT, &[], 1.5).count(&names::CPU_PERIODS, &[], 1000);
    traffic.count(&names::CPU_THROTTLED_PERIODS, &[], 400);
    for (of, seconds) in [(names::MACHINE, 90), (names::GROUP, 60)] {
        traffic.count(&names::CPU_PRESSURE, &[(names::KIND, of)], seconds);
    }
    for (mode, seconds) in [("user", 120), ("idle", 40), (names::STEAL, 40)] {
        traffic.count(&names::SYSTEM_CPU_TIME, &[(names::CPU_MODE, mode)], seconds);
    }
    for (of, nanos) in [(names::TRACKED, 3_000_000_000), (names::UNTRACKED, 1_000_000_000)] {
        traffic.count(&names::LAG_NANOS, &[(names::KIND, of)], nanos);
    }
}

/// Adds polls of which half computes, and a poll in `block_in_place`.
fn measured_polls(traffic: &Traffic, nanos: &Metric, sights: &Metric, labels: Labels<'_>) {
    let of = |kind| [labels, &[(names::KIND, kind)]].concat();
    for [wall, computing, _] in names::POLLS {
        traffic.count(nanos, &of(wall), 2_000_000_000).count(nanos, &of(computing), 1_000_000_000);
    }
    traffic.count(nanos, &of(names::IN_PLACE), 500_000_000);
    traffic.count(sights, &of("sleep"), 3).count(sights, &of(names::RUNNING), 3);
}

pub(super) const GROWTH: Option<MemoryGrowth> = Some(MemoryGrowth {
    bytes_per_hour: 50e6,
    bytes: 50e6,
    span: HOUR,
    samples: 100,
    gained_bytes: Some(25e6),
    route: None,
});

/// Returns readings with `window` for every length that the shipped rules ask for.
pub(super) fn readings<'a>(rules: &RuleSet, window: &'a Window) -> WindowReadings<'a> {
    WindowReadings::new(rules.windows().into_iter().map(|length| (length, window))).with_memory_growth(GROWTH)
}

#[test]
fn the_shipped_rules_find_every_sickness_and_nothing_healthy() {
    let rules = RuleSet::embedded();
    let window = sick_shop().window();
    let findings = Evaluator::new(rules.rules()).evaluate(&readings(&rules, &window));
    let found: BTreeSet<_> =
        findings.iter().map(|finding| (finding.rule.id.to_string(), finding.subject.name.to_string())).collect();
    let expected = [
        ("slow_endpoint", "GET /slow"),
        ("high_error_rate", "GET /failing"),
        ("high_client_error_rate", "GET /refusing"),
        ("abandoned_requests", "GET /abandoned"),
        ("wasted_work", "GET /abandoned"),
        ("stuck_task", "slow"),
        ("blocked_runtime", "GET /hash"),
        ("slow_query", "SELECT slow"),
        ("n_plus_one", "SELECT item"),
        ("query_errors", "UPDATE stock"),
        ("slow_task", "slow"),
        ("task_failures", "failing"),
        ("cancelled_tasks", "dropped"),
        ("memory_usage", "process"),
        ("memory_limit", "process"),
        ("memory_leak", "process"),
        ("scheduling_lag", "process"),
        ("file_descriptors", "process"),
    ];
    assert_eq!(found, expected.map(|(rule, subject)| (rule.to_owned(), subject.to_owned())).into());
}

/// The process's memory without pages of mapped files is what its rules judge, and the group's is what its limit is compared with.
#[test]
fn pages_of_mapped_files_are_no_memory_of_the_process() {
    let traffic = Traffic::new();
    traffic.set(&names::PROCESS_RESIDENT, &[], 3.1e9).set(&names::PROCESS_OWNED, &[], 20e6);
    traffic.set(&names::PROCESS_MEMORY_LIMIT, &[], 3.2e9).set(&names::MEMORY_WORKING_SET, &[], 80e6);
    let window = traffic.window();
    check(&window, Scope::Process, Measure::ResidentMemory, "process", Some((20e6, 1)));
    check(&window, Scope::Process, Measure::MemoryLimitRatio, "process", Some((0.025, 1)));
    let rules = RuleSet::embedded();
    let findings = Evaluator::new(rules.rules()).evaluate(&WindowReadings::new([(LENGTH, &window)]));
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_scan_of_random_paths_finds_nothing() {
    let rules = RuleSet::embedded();
    let traffic = Traffic::new();
    traffic.requests("", "404", 0.001, 10_000);
    let window = traffic.window();
    let readings = WindowReadings::new(rules.windows().into_iter().map(|length| (length, &window)));
    assert!(Evaluator::new(rules.rules()).evaluate(&readings).is_empty());
}

/// Returns the finding of the shipped rule `memory_leak`, run alone on an established leak.
#[track_caller]
fn leak_beside<'a>(windows: impl IntoIterator<Item = (Duration, &'a Window)>) -> Finding {
    let all = RuleSet::embedded();
    let rules = all.changed(|rule| (&*rule.id == "memory_leak").then(|| rule.clone()));
    let growth = GROWTH.map(|growth| MemoryGrowth { span: HOUR * 3, ..growth });
    let readings = WindowReadings::new(windows).with_memory_growth(growth);
    let mut findings = Evaluator::new(rules.rules()).evaluate(&readings);
    assert_eq!(findings.len(), 1);
    findings.remove(0)
}

#[test]
fn leak_is_found_with_any_windows_of_the_other_rules() {
    let window = sick_shop().window();
    for windows in [Vec::new(), vec![(HOUR * 24, &window)], vec![(HOUR, &window), (HOUR * 24, &window)]] {
        let known = !windows.is_empty();
        let finding = leak_beside(windows);
        assert_eq!((finding.value, finding.samples), (50e6, 100));
        assert_eq!(finding.window, HOUR * 3, "it reaches as far back as the detector saw the growth");
        assert_eq!(finding.evidence.number("resident_memory").is_some(), known);
    }
}

/// Sets totals as the samplers do: seconds are floats, which counters of the `metrics` facade cannot hold.
#[test]
fn time_before_the_window_does_not_count() {
    let traffic = Traffic::new();
    let mut history = History::new(traffic.start, [LENGTH]);
    for (second, spent) in [(0, 70.0), (50, 90.0), (100, 120.0)] {
        traffic.set(&names::PROCESS_CPU, &[], spent).set(&names::TOKIO_WORKER_BUSY, &[], spent);
        traffic.set(&names::TOKIO_WORKERS, &[], 2.0);
        history.tick(&traffic.recorder.index(), traffic.start + Duration::from_secs(second));
    }
    let window = history.window(LENGTH).expect("it is kept");
    check(window, Scope::Process, Measure::CpuRatio, "process", Some((0.5, 1)));
    check(window, Scope::Process, Measure::WorkerBusyRatio, "process", Some((0.25, 1)));
}

#[test]
fn values_below_the_lowest_threshold_are_not_returned() {
    let traffic = Traffic::new();
    traffic.requests("/fast", "200", 0.1, 10).requests("/slow", "200", 2.0, 10);
    let window = traffic.window();
    for measure in [Measure::AvgDuration, Measure::DurationQuantile(95), Measure::MaxDuration] {
        let question = Question { at_least: Some(1.0), ..question(Scope::Endpoint, measure) };
        let subjects: Vec<_> = read(&window, &question).into_keys().collect();
        assert_eq!(subjects, ["GET /slow"], "{measure:?}");
    }
}
