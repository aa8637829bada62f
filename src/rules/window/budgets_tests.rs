//! Budgets over services that are made up minute by minute.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::budgets::Budgets;
use crate::{
    context::labelled,
    names,
    rules::{
        RuleSet,
        budget::Budget,
        fixed,
        slo::{BURN_WINDOWS, RequestCounts},
    },
    store::{History, Moment, MonitorRecorder, Run, TierLimits, Tiers},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A whole half hour, and a whole day: 2026-03-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_772_323_200);

const SLOS: &str = "
slo:
  - { id: errors, objective: 99%, exclude: [{ http_route: /health }] }
  - { id: fast, objective: 99%, bad: '> 500ms', scope: endpoint, window: 7d, match: { http_route: '/api/*' } }
";

/// A service, and the budgets that follow it.
struct Service {
    recorder: MonitorRecorder,
    history: History,
    tiers: Tiers,
    rules: RuleSet,
    budgets: Budgets,
    began: Instant,
    /// Since the beginning.
    age: Duration,
}

type Requests<'a> = &'a [(&'a str, &'a str, f64, usize)];

impl Service {
    fn new() -> Self {
        let began = Instant::now();
        let limits = TierLimits { retention: DAY * 31, bytes: 1 << 30 };
        Self {
            recorder: MonitorRecorder::new(100_000, Vec::new()),
            history: History::new(began, [MINUTE]),
            tiers: Tiers::new(limits, Run { started: START, version: "".into() }),
            rules: fixed::load(SLOS),
            budgets: Budgets::default(),
            began,
            age: Duration::ZERO,
        }
    }

    /// A tick later, with requests: route, status, duration in seconds, and how many.
    fn tick(&mut self, length: Duration, requests: Requests<'_>) -> &mut Self {
        for (route, status, seconds, count) in requests {
            let labels: [(&'static str, Arc<str>); 3] =
                [(names::METHOD, "GET".into()), (names::ROUTE, (*route).into()), (names::STATUS, (*status).into())];
            labelled::histogram(&self.recorder, &names::HTTP_DURATION, &labels).record_many(*seconds, *count);
        }
        self.age += length;
        self.history.tick(&self.recorder.index(), self.began + self.age);
        self.tiers.record(&self.history, Moment { wall: self.wall(), measuring: true, resident_bytes: None });
        self.budgets.follow(self.rules.rules(), &self.tiers, &self.history, self.wall());
        self
    }

    fn ticks(&mut self, count: u32, length: Duration, requests: Requests<'_>) -> &mut Self {
        for _ in 0..count {
            self.tick(length, requests);
        }
        self
    }

    fn wall(&self) -> Duration {
        START + self.age
    }

    fn budgets(&mut self, id: &str) -> Vec<Budget> {
        self.budgets.readings(self.wall()).of(id).to_vec()
    }

    fn budget(&mut self, id: &str) -> Budget {
        let mut budgets = self.budgets(id);
        assert_eq!(budgets.len(), 1, "{budgets:?}");
        budgets.remove(0)
    }

    /// The counts of the windows, from the shortest.
    fn burning(&mut self, id: &str) -> [(u64, u64); BURN_WINDOWS.len()] {
        self.budget(id).burning.map(|RequestCounts { total, bad }| (total, bad))
    }
}

fn counts(total: u64, bad: u64) -> RequestCounts {
    RequestCounts { total, bad }
}

#[test]
fn requests_are_good_or_bad_as_the_objective_says() {
    let mut service = Service::new();
    let requests: Requests<'_> = &[
        ("/api/a", "200", 0.1, 10),
        ("/api/a", "200", 0.5, 10),
        ("/api/a", "500", 0.6, 4),
        ("/api/b", "404", 9.0, 2),
        ("/shop", "503", 0.1, 3),
        ("/health", "500", 0.1, 50),
        ("", "500", 0.1, 70),
    ];
    service.tick(MINUTE, requests);
    let errors = service.budget("errors");
    assert_eq!((errors.whole, &*errors.subject.name), (counts(29, 7), "service"), "404 is the client's fault");
    let worst: Vec<_> = errors.worst.iter().map(|(name, counts)| (&**name, counts.bad)).collect();
    assert_eq!(worst, [("GET /api/a", 4), ("GET /shop", 3)]);
    let fast: Vec<_> =
        service.budgets("fast").iter().map(|budget| (budget.subject.name.to_string(), budget.whole)).collect();
    assert_eq!(fast, [("GET /api/a".to_owned(), counts(24, 4)), ("GET /api/b".to_owned(), counts(2, 2))]);
}

#[test]
fn windows_slide_and_the_budget_stays() {
    let mut service = Service::new();
    service.ticks(60, MINUTE, &[("/shop", "200", 0.1, 90), ("/shop", "500", 0.1, 10)]);
    assert_eq!(
        service.burning("errors")[2],
        (6000 - 100, 600 - 10),
        "60 steps of a minute, the last of which has begun"
    );
    service.ticks(60, MINUTE, &[("/shop", "200", 0.1, 100)]);
    let found = service.burning("errors");
    assert_eq!(found[0], (500, 0), "5 m");
    assert_eq!(found[1], (3000, 0), "30 m");
    assert_eq!(found[2], (6000, 0), "1 h");
    assert_eq!(found[4], (12_000, 600), "6 h");
    let budget = service.budget("errors");
    assert_eq!((budget.whole, budget.known), (counts(12_000, 600), HOUR * 2));
    // A day without traffic: only what was before is known.
    service.ticks(25, HOUR, &[]);
    let budget = service.budget("errors");
    assert_eq!((budget.counts(DAY), budget.counts(DAY * 3)), (counts(0, 0), counts(12_000, 600)));
    assert_eq!(budget.known, HOUR * 27);
}

#[test]
fn a_budget_is_gone_after_its_window() {
    let mut service = Service::new();
    service.ticks(10, MINUTE, &[("/api/a", "200", 0.9, 10)]);
    service.ticks(8 * 24, HOUR, &[("/shop", "200", 0.1, 1)]);
    assert_eq!(service.budgets("fast"), [], "nothing was slow for 7 d, and no request came");
    assert_eq!(service.budget("errors").whole, counts(292, 0));
}

/// Ticks of five seconds against a count of the slots that they made, as after an edit of the rules.
#[test]
fn ticks_and_slots_count_alike() {
    let mut service = Service::new();
    for step in 0..3 * 12 * 60_u32 {
        let slow = [0.1, 0.5, 0.500_1, 0.49, 2.0][step as usize % 5];
        let status = if step % 7 == 0 { "500" } else { "200" };
        service.tick(Duration::from_secs(5), &[("/api/a", status, slow, 3), ("/api/b", "200", 0.2, 1)]);
    }
    for id in ["errors", "fast"] {
        let ticked = service.budgets(id);
        service.rules = fixed::load(SLOS);
        service.budgets.follow(service.rules.rules(), &service.tiers, &service.history, service.wall());
        let counted = service.budgets(id);
        assert_eq!(ticked.len(), counted.len());
        for (ticked, counted) in ticked.iter().zip(&counted) {
            assert_eq!(ticked.whole, counted.whole, "{id}");
            for window in [HOUR * 6, DAY, DAY * 3] {
                assert_eq!(ticked.counts(window), counted.counts(window), "{id}");
            }
            let (a, b) = (ticked.counts(HOUR), counted.counts(HOUR));
            assert!(a.total.abs_diff(b.total) <= 2 * 12 * 4, "a minute at each end: {a:?} and {b:?}");
            assert_eq!(ticked.known, counted.known);
        }
    }
}

#[test]
fn a_clear_forgets_the_budget() {
    let mut service = Service::new();
    service.ticks(90, MINUTE, &[("/shop", "500", 0.1, 10)]);
    service.tiers.clear();
    service.tick(MINUTE, &[("/shop", "200", 0.1, 10)]);
    let budget = service.budget("errors");
    assert_eq!((budget.whole, budget.known), (counts(10, 0), MINUTE));
}

#[test]
fn without_objectives_nothing_is_counted() {
    let mut service = Service::new();
    service.rules = RuleSet::embedded();
    service.ticks(3, MINUTE, &[("/shop", "500", 0.1, 10)]);
    assert!(service.budgets.readings(service.wall()).0.is_empty());
}

/// Thirty days by the hour: minutes become half hours, and none is lost or counted twice.
#[test]
fn a_month_of_tiers_is_a_whole_budget() {
    let mut service = Service::new();
    for hour in 0..30 * 24_usize {
        let status = if hour % 100 == 0 { "500" } else { "200" };
        service.ticks(2, HOUR / 2, &[("/shop", status, 0.1, 10)]);
    }
    let ticked = service.budget("errors");
    assert_eq!(ticked.whole, counts(14_400 - 230, 160 - 20), "the last step has begun, and the first one has left");
    assert_eq!(ticked.known, DAY * 30);
    service.rules = fixed::load(SLOS);
    service.budgets.follow(service.rules.rules(), &service.tiers, &service.history, service.wall());
    let counted = service.budget("errors");
    assert!(counted.whole.total.abs_diff(14_400) <= 480, "{:?}: up to a step of 12 h may have left", counted.whole);
    assert!(counted.known >= DAY * 30 - HOUR, "{:?}", counted.known);
}

#[cfg(feature = "archive")]
mod archived {
    use super::*;
    use crate::store::{ArchiveContents, EndpointNames};

    /// What an archive has of a service.
    fn stored(service: &mut Service) -> ArchiveContents {
        service.tiers.finish();
        let changes = service.tiers.everything();
        let slots = changes.slots.into_iter().filter_map(|(key, slot)| Some((key, slot?))).collect();
        let endpoints = EndpointNames::from_numbered(changes.endpoints);
        ArchiveContents { endpoints, slots, runs: vec![Run { started: START, version: "".into() }] }
    }

    #[test]
    fn a_restart_goes_on_where_the_archive_ends() {
        let mut before = Service::new();
        // Other endpoints first, so that the numbers of the next run are others.
        before.tick(MINUTE, &[("/x", "200", 0.1, 1), ("/y", "200", 0.1, 1)]);
        before.ticks(119, MINUTE, &[("/shop", "200", 0.1, 99), ("/shop", "500", 0.1, 1)]);
        let contents = stored(&mut before);
        let mut after = Service::new();
        after.age = before.age + MINUTE * 10;
        after.began = Instant::now() - after.age.min(MINUTE);
        after.history = History::new(after.began + after.age, [MINUTE]);
        // A minute passes before the archive is open.
        after.tick(MINUTE, &[("/shop", "500", 0.1, 5), ("/shop", "200", 0.1, 95)]);
        assert_eq!(after.budget("errors").whole, counts(100, 5), "nothing else is known yet");
        assert_eq!(after.budget("errors").known, MINUTE);
        after.tiers.restore(contents, after.wall());
        after.tick(MINUTE, &[("/shop", "200", 0.1, 100)]);
        let budget = after.budget("errors");
        assert_eq!(budget.whole, counts(2 + 119 * 100 + 200, 119 + 5));
        assert_eq!(budget.known, HOUR * 2 + MINUTE * 12);
        assert_eq!(budget.counts(MINUTE * 5).total, 200, "the pause of ten minutes is in no count");
        after.tick(MINUTE, &[("/shop", "200", 0.1, 100)]);
        assert_eq!(after.budget("errors").whole.total, 2 + 119 * 100 + 300);
    }
}
