//! Versions that are equal, slower on one route, cold or hardly used.

use metrics::{Key, Label, Level, Metadata, Recorder as _};

use super::*;
use crate::{
    names,
    rules::{Measure, Question, Readings as _, Scope, WindowReadings},
    store::{History, MonitorRecorder},
};

static METADATA: Metadata<'static> = Metadata::new("pinchpoint", Level::INFO, None);
const MINUTE: u64 = 60;

/// A number from 0 to 1, by xorshift64*.
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A duration about 50 ms with the long tail of many services (log-logistic).
fn duration(state: &mut u64) -> f64 {
    let q = uniform(state).clamp(1e-4, 0.9999);
    0.05 * (q / (1.0 - q)).powf(0.4)
}

/// A run of a service.
struct Run {
    recorder: MonitorRecorder,
    history: History,
    started: Instant,
    random: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let started = Instant::now();
        let random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { recorder: MonitorRecorder::new(10_000, Vec::new()), history: History::new(started, []), started, random }
    }

    /// Records requests of which 1 % fails.
    fn send(&mut self, route: usize, requests: usize, factor: f64) {
        let of = |status: &'static str| {
            let route = Label::new(names::ROUTE, format!("/{route}"));
            let labels = vec![Label::new(names::METHOD, "GET"), route, Label::new(names::STATUS, status)];
            self.recorder.register_histogram(&Key::from_parts(names::HTTP_DURATION.name, labels), &METADATA)
        };
        let (served, failed) = (of("200"), of("500"));
        for _ in 0..requests {
            let fails = uniform(&mut self.random) < 0.01;
            (if fails { &failed } else { &served }).record(factor * duration(&mut self.random));
        }
    }

    fn total(&mut self, seconds: u64) -> (Window, Instant) {
        let now = self.started + Duration::from_secs(seconds);
        (self.history.total_now(&self.recorder.index(), now), now)
    }

    fn snapshot(&mut self) -> VersionSnapshot {
        let (total, _) = self.total(60 * MINUTE);
        VersionSnapshot::new("shop", "1.0", "2026-01-01T00:00:00Z", latencies(&total)).expect("in order")
    }

    fn compare(&mut self, regressions: &Regressions, previous: &VersionSnapshot, seconds: u64) {
        let (total, now) = self.total(seconds);
        let wall = Duration::from_secs(1_767_225_600 + seconds);
        regressions.compare(previous, &ThisRun { started: self.started, version: "1.1", total: &total, now, wall });
    }
}

/// Returns what the rules of `rules/versions.yaml` find at their lowest thresholds.
fn found(regressions: &Regressions) -> Vec<String> {
    let latest = regressions.latest();
    let readings = WindowReadings::default().with_regression(latest.as_deref());
    let ask = |scope, measure, min_samples, limit| {
        let window = Duration::ZERO;
        readings.read(&Question { scope, measure, window, min_samples, at_least: Some(limit), metric: None })
    };
    let scopes = [Scope::Endpoint, Scope::Process];
    let slower = scopes.into_iter().flat_map(|scope| ask(scope, Measure::VersionSlowdown, 300, 0.25));
    let failing = scopes.into_iter().flat_map(|scope| ask(scope, Measure::VersionErrorRise, 200, 0.01));
    slower.chain(failing).map(|reading| reading.subject.name.to_string()).collect()
}

/// Compares equal versions, at twelve times of each of several deployments, and returns how many made a finding.
fn false_alarms(seeds: u64, routes: usize) -> usize {
    let is_wrong = |seed: &u64| {
        let mut before = Run::new(*seed);
        (0..routes).for_each(|route| before.send(route, 700, 1.0));
        let (previous, regressions) = (before.snapshot(), Regressions::default());
        let mut after = Run::new(1000 + seed);
        (0..12).any(|look| {
            after.compare(&regressions, &previous, (10 + 5 * look) * MINUTE);
            let wrong = !found(&regressions).is_empty();
            (0..routes).for_each(|route| after.send(route, 100, 1.0));
            wrong
        })
    };
    (0..seeds).filter(is_wrong).count()
}

#[test]
fn equal_versions_make_no_finding_however_often_they_are_compared() {
    assert_eq!(false_alarms(10, 40), 0);
}

/// What docs/versions.md says.
#[test]
#[ignore = "measures the false alarms of services with 1,000 routes; takes minutes"]
fn equal_versions_of_a_thousand_routes_make_no_finding() {
    assert_eq!(false_alarms(20, 1000), 0);
}

#[test]
fn a_version_that_is_slower_on_one_route_is_found_there_alone() {
    let mut before = Run::new(1);
    (0..10).for_each(|route| before.send(route, 2000, 1.0));
    let (previous, regressions) = (before.snapshot(), Regressions::default());
    let mut after = Run::new(2);
    after.compare(&regressions, &previous, 10 * MINUTE);
    (0..10).for_each(|route| after.send(route, 2000, if route == 3 { 1.6 } else { 1.0 }));
    after.compare(&regressions, &previous, 15 * MINUTE);
    assert_eq!(found(&regressions), ["GET /3"]);
}

#[test]
fn a_slow_start_does_not_count() {
    let mut before = Run::new(1);
    before.send(0, 2000, 1.0);
    let (previous, regressions) = (before.snapshot(), Regressions::default());
    let mut after = Run::new(2);
    after.send(0, 2000, 5.0);
    after.compare(&regressions, &previous, 9 * MINUTE);
    assert!(regressions.latest().is_none(), "it has just begun");
    after.compare(&regressions, &previous, 10 * MINUTE);
    assert!(regressions.latest().is_none(), "nothing counts yet");
    after.send(0, 2000, 1.0);
    after.compare(&regressions, &previous, 15 * MINUTE);
    assert!(regressions.latest().is_some());
    assert_eq!(found(&regressions), [] as [String; 0]);
}

#[test]
fn a_canary_is_judged_by_its_own_requests() {
    let mut before = Run::new(1);
    before.send(0, 20_000, 1.0);
    let (previous, regressions) = (before.snapshot(), Regressions::default());
    let mut after = Run::new(2);
    after.compare(&regressions, &previous, 10 * MINUTE);
    after.send(0, 200, 2.0);
    after.compare(&regressions, &previous, 30 * MINUTE);
    assert_eq!(found(&regressions), [] as [String; 0]);
    after.send(0, 200, 2.0);
    after.compare(&regressions, &previous, 50 * MINUTE);
    assert_eq!(found(&regressions), ["GET /0"]);
}

#[test]
fn what_is_over_resolves_though_the_whole_run_is_still_slower() {
    let mut before = Run::new(1);
    before.send(0, 2000, 1.0);
    let (previous, regressions) = (before.snapshot(), Regressions::default());
    let mut after = Run::new(2);
    let mut at = 10 * MINUTE;
    let mut slow = |factor: f64, until: u64| {
        let mut last = Vec::new();
        while at <= until * MINUTE {
            after.compare(&regressions, &previous, at);
            last = found(&regressions);
            after.send(0, 300, factor);
            at += 5 * MINUTE;
        }
        last
    };
    assert_eq!(slow(2.0, 120), ["GET /0"]);
    assert_eq!(slow(1.0, 240), [] as [String; 0]);
}

#[test]
fn a_clear_forgets_what_was_compared_and_a_comparison_under_way() {
    let mut before = Run::new(1);
    before.send(0, 2000, 1.0);
    let (previous, regressions) = (before.snapshot(), Regressions::default());
    let mut after = Run::new(2);
    after.compare(&regressions, &previous, 10 * MINUTE);
    after.send(0, 2000, 3.0);
    after.compare(&regressions, &previous, 15 * MINUTE);
    assert_eq!(found(&regressions), ["GET /0"]);
    let (old, at) = after.total(16 * MINUTE);
    let cleared = at + Duration::from_secs(1);
    regressions.clear(cleared);
    assert!(regressions.latest().is_none());
    let now = cleared + Duration::from_secs(1);
    let run = |total, now| ThisRun { started: after.started, version: "1.1", total, now, wall: Duration::ZERO };
    regressions.compare(&previous, &run(&old, now));
    regressions.compare(&previous, &run(&old, now + WARM_UP));
    assert!(regressions.latest().is_none(), "the total was read before");
    after.history.clear(&after.recorder.index(), cleared);
    after.send(0, 2000, 1.0);
    after.compare(&regressions, &previous, 17 * MINUTE);
    assert!(regressions.latest().is_some(), "what comes after a clear is warm");
    assert_eq!(found(&regressions), [] as [String; 0]);
}
