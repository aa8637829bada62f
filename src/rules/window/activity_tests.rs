//! What is absent or fewer than usual, as rules read it from a made-up course of days.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use tokio::time::Instant;

use super::*;
use crate::{
    rules::{readings::Readings, window::WindowReadings},
    store::{History, Moment, MonitorRecorder},
};

static METADATA: Metadata<'static> = Metadata::new("pinchpoint", Level::INFO, None);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// A Monday.
const MONDAY: u64 = 19_723 * DAY;
const STEP: u64 = 300;
const WINDOW: Duration = Duration::from_secs(300);

/// A service whose time is made up.
struct Course {
    recorder: MonitorRecorder,
    history: History,
    rhythms: Rhythms,
    started: Instant,
    age: u64,
}

impl Course {
    fn new(version: &str) -> Self {
        let (recorder, started) = (MonitorRecorder::new(10_000, Vec::new()), Instant::now());
        let history = History::new(started, [WINDOW]);
        Self { recorder, history, rhythms: Rhythms::new(version.to_owned()), started, age: 0 }
    }

    /// Goes on until `age` in steps of five minutes; in each, each of `routes` has some requests.
    fn run(&mut self, age: u64, routes: &[(&str, usize)]) -> &mut Self {
        while self.age < age {
            self.age += STEP;
            for (route, count) in routes {
                let labels = [(names::METHOD, "GET"), (names::ROUTE, *route), (names::STATUS, "200")];
                let labels: Vec<Label> =
                    labels.iter().map(|(name, value)| Label::new(*name, value.to_string())).collect();
                let key = Key::from_parts(names::HTTP_DURATION.name, labels);
                self.recorder.register_histogram(&key, &METADATA).record_many(0.01, *count);
            }
            self.tick(true);
        }
        self
    }

    fn tick(&mut self, measuring: bool) {
        let now = self.started + Duration::from_secs(self.age);
        self.history.tick(&self.recorder.index(), now);
        let wall = Duration::from_secs(MONDAY + self.age);
        self.rhythms.record(&self.history, Moment { wall, measuring, resident_bytes: None });
    }

    fn set_active(&self, route: &str, active: f64) {
        let labels = vec![Label::new(names::METHOD, "GET"), Label::new(names::ROUTE, route.to_owned())];
        let key = Key::from_parts(names::ENDPOINT_ACTIVE.name, labels);
        self.recorder.register_gauge(&key, &METADATA).set(active);
    }

    /// Returns every subject that has a value of a measure above 0.
    fn found(&self, scope: Scope, measure: Measure) -> Vec<(String, f64)> {
        let window = self.history.window(WINDOW).expect("it slides");
        let activity = Activity::of(&self.rhythms);
        let readings = WindowReadings::new([(WINDOW, window)]).with_activity(activity);
        let question = Question { scope, measure, window: WINDOW, min_samples: 1, at_least: None, metric: None };
        let positive = readings.read(&question).into_iter().filter(|reading| reading.value > 0.0);
        positive.map(|reading| (reading.subject.name.to_string(), reading.value)).collect()
    }

    #[track_caller]
    fn check(&self, scope: Scope, measure: Measure, expected: &[&str]) {
        let found = self.found(scope, measure);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected, "{found:?}");
    }

    /// Writes what is known to a file and reads it in the next run, which begins `later`.
    fn restarted(&self, version: &str, later: u64) -> Self {
        let mut next = Self { age: self.age + later, ..Self::new(version) };
        next.history = History::new(next.started + Duration::from_secs(next.age), [WINDOW]);
        next.rhythms.restore(self.rhythms.known().restored(), MONDAY + next.age);
        next
    }
}

/// Returns what usually runs: an endpoint and a task that have run for a day and a half.
pub(in crate::rules::window) fn usual(route: &str, task: &str) -> Rhythms {
    let mut course = Course::new("1");
    while course.age < 36 * HOUR {
        let labels = vec![Label::new(names::TASK_NAME, task.to_owned()), Label::new(names::OUTCOME, names::OK)];
        let key = Key::from_parts(names::TASK_DURATION.name, labels);
        course.recorder.register_histogram(&key, &METADATA).record_many(0.01, 20);
        course.run(course.age + STEP, &[(route, 50)]);
    }
    course.rhythms
}

const ROUTES: &[(&str, usize)] = &[("/a", 50), ("/b", 40), ("/c", 30)];
use Measure::{AbsentFor, DropRatio};

#[test]
fn one_endpoint_is_absent_and_its_evidence_says_what_is_usual() {
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES).run(37 * HOUR, &ROUTES[1..]);
    course.check(Scope::Endpoint, AbsentFor, &["GET /a"]);
    course.check(Scope::Process, AbsentFor, &[]);
    course.check(Scope::Endpoint, DropRatio, &[]);
    let window = course.history.window(WINDOW).expect("it slides");
    let readings = WindowReadings::new([(WINDOW, window)]).with_activity(Activity::of(&course.rhythms));
    let evidence = readings.evidence(Scope::Endpoint, &endpoint_subject("GET", "/a"), WINDOW, None);
    assert_eq!(evidence.number("absent_for"), Some(3600.0));
    assert_eq!(evidence.number("usual_gap"), Some(300.0));
    assert_eq!(evidence.number("missed"), Some(600.0));
}

#[test]
fn a_service_without_requests_is_one_finding() {
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES).run(37 * HOUR, &[]);
    course.check(Scope::Process, AbsentFor, &["process"]);
    course.check(Scope::Endpoint, AbsentFor, &[]);
    course.check(Scope::Endpoint, DropRatio, &[]);
    course.check(Scope::Process, DropRatio, &[]);
}

#[test]
fn a_health_check_does_not_hide_that_the_service_has_no_requests() {
    let mut course = Course::new("1");
    let all: Vec<_> = ROUTES.iter().copied().chain([("/health", 30)]).collect();
    course.run(36 * HOUR, &all).run(37 * HOUR, &all[3..]);
    course.check(Scope::Process, AbsentFor, &["process"]);
    course.check(Scope::Endpoint, AbsentFor, &[]);
}

#[test]
fn requests_that_hang_are_not_absent() {
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES);
    course.set_active("/a", 5.0);
    course.run(37 * HOUR, &ROUTES[1..]);
    course.check(Scope::Endpoint, AbsentFor, &[]);
    course.run(38 * HOUR, &[]);
    course.check(Scope::Process, AbsentFor, &[]);
}

#[test]
fn a_drop_of_all_is_one_finding_and_one_of_a_single_endpoint_is_its_own() {
    let fewer = |share: f64| ROUTES.iter().map(move |(route, count)| (*route, (*count as f64 * share) as usize));
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES).run(37 * HOUR, &fewer(0.1).collect::<Vec<_>>());
    course.check(Scope::Process, DropRatio, &["process"]);
    course.check(Scope::Endpoint, DropRatio, &[]);
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES).run(37 * HOUR, &[("/a", 5), ("/b", 40), ("/c", 30)]);
    course.check(Scope::Process, DropRatio, &[]);
    course.check(Scope::Endpoint, DropRatio, &["GET /a"]);
}

#[test]
fn the_only_endpoint_of_a_service_is_the_service() {
    let mut course = Course::new("1");
    course.run(36 * HOUR, &ROUTES[..1]).run(37 * HOUR, &[("/a", 5)]);
    course.check(Scope::Process, DropRatio, &["process"]);
    course.check(Scope::Endpoint, DropRatio, &[]);
    course.run(38 * HOUR, &[]);
    course.check(Scope::Process, AbsentFor, &["process"]);
    course.check(Scope::Endpoint, AbsentFor, &[]);
}

#[test]
fn a_restart_keeps_what_is_usual() {
    let mut before = Course::new("1");
    before.run(36 * HOUR, ROUTES);
    let mut after = before.restarted("1", 60);
    after.run(36 * HOUR + 600, &ROUTES[1..]);
    assert_eq!(after.found(Scope::Endpoint, AbsentFor).len(), 1, "a minute hides nothing of what comes each five");
    after.check(Scope::Endpoint, DropRatio, &[]);
}

#[test]
fn time_in_which_the_service_did_not_run_is_no_silence() {
    let mut before = Course::new("1");
    before.run(36 * HOUR, ROUTES);
    let mut after = before.restarted("1", 5 * HOUR);
    after.run(41 * HOUR + 300, &ROUTES[1..]);
    assert!(after.found(Scope::Endpoint, AbsentFor).iter().all(|(_, absent)| *absent <= 300.0));
    after.run(42 * HOUR, &ROUTES[1..]);
    let found = after.found(Scope::Endpoint, AbsentFor);
    assert!(matches!(&found[..], [(name, absent)] if name == "GET /a" && *absent <= 3600.0), "{found:?}");
}

#[test]
fn a_route_that_a_deployment_removed_is_not_absent() {
    let mut before = Course::new("1");
    before.run(36 * HOUR, ROUTES);
    let mut after = before.restarted("2", 60);
    after.run(48 * HOUR, &ROUTES[1..]);
    after.check(Scope::Endpoint, AbsentFor, &[]);
    after.check(Scope::Endpoint, DropRatio, &[]);
    // What the new version has had is judged by all that is known of it.
    after.run(49 * HOUR, &ROUTES[2..]);
    after.check(Scope::Endpoint, AbsentFor, &["GET /b"]);
    let mut unnamed = before.restarted("", 60);
    unnamed.run(48 * HOUR, &ROUTES[1..]);
    unnamed.check(Scope::Endpoint, AbsentFor, &[]);
}

#[test]
fn a_slow_start_after_a_deployment_is_no_drop() {
    let mut before = Course::new("1");
    before.run(36 * HOUR, ROUTES);
    let mut after = before.restarted("2", 60);
    for (minutes, share) in [(10, 0.1), (20, 0.4), (30, 0.8), (60, 1.0)] {
        let routes: Vec<_> = ROUTES.iter().map(|(route, all)| (*route, (*all as f64 * share) as usize)).collect();
        after.run(36 * HOUR + minutes * 60, &routes);
        let found = [Scope::Process, Scope::Endpoint].map(|scope| after.found(scope, DropRatio));
        assert!(found.iter().flatten().all(|(_, ratio)| *ratio < 0.7), "{found:?}");
        after.check(Scope::Endpoint, AbsentFor, &[]);
    }
}

#[test]
fn a_monitor_that_is_stopped_or_cleared_says_nothing() {
    let mut course = Course::new("1");
    course.run(36 * HOUR, ROUTES);
    for _ in 0..24 {
        course.age += STEP;
        course.tick(false);
    }
    course.check(Scope::Process, AbsentFor, &[]);
    course.run(38 * HOUR + STEP, ROUTES);
    course.check(Scope::Process, AbsentFor, &[]);
    course.rhythms.clear();
    course.run(50 * HOUR, &[]);
    course.check(Scope::Process, AbsentFor, &[]);
}

#[test]
fn what_a_file_holds_of_the_future_is_not_believed() {
    let mut before = Course::new("1");
    before.run(36 * HOUR, ROUTES);
    let mut rhythms = Rhythms::new("1".to_owned());
    rhythms.restore(before.rhythms.known().clone(), MONDAY + 35 * HOUR);
    assert_eq!(rhythms.all().len(), 0);
    rhythms.restore(before.rhythms.known().clone(), MONDAY + 36 * HOUR);
    assert_eq!(rhythms.all().len(), ROUTES.len());
}
