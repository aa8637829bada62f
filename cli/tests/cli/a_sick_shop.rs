//! What the monitor finds in the demo: every sickness with its cause, and nothing in what is healthy.
//!
//! Its name puts it first: the leak takes six minutes, nearly all of it waiting, and all other tests of this binary run in that
//! time. They measure time, and yet the speed of the machine must not matter: the visitors adapt to it, each test
//! waits until its findings are there, and the clock ends only a test that never sees them. What other processes take of
//! the processor is measured, and a healthy route that is slow because of them is no failure (`Demo::is_due_to_others`).
//! The rules are the shipped ones with a shorter `for` and `keep_firing_for`, and 20 seconds instead of five minutes until a
//! task counts as stuck, so that a test takes no longer than its traffic.

mod cases;
pub(crate) mod demo;
mod expected;
mod visitors;

use std::time::Duration;

use serde_json::Value;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep},
};

use cases::{ALL, BLOCKING, CHATTY, Case, FAILING, HEALTHY, LATE, N_PLUS_ONE, SLOW, SUGGESTIONS, WAITING};
use demo::{Demo, impatient_rules};
use expected::{
    Cause::{Above, Advice, Names},
    Expected, expected, subject,
};
use visitors::{Crowd, SickAnswer, Visit, Visitor};

/// Time after which a test that still misses a finding fails.
const GIVE_UP: Duration = Duration::from_secs(15 * 60);
/// Time between two looks at the findings.
const LOOK: Duration = Duration::from_millis(500);

/// Held by a test whose demo needs a whole core, so that such tests run one after another.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Starts the shop with nothing wrong but `sick`.
fn sick_only(sick: &[&str], rules: tempfile::TempDir) -> Demo {
    let names = ALL.iter().flat_map(|case| case.sick).chain(&["leak"]);
    let fixes: Vec<&str> = names.filter(|name| !sick.contains(name)).copied().collect();
    Demo::start(rules, &["--fix", &fixes.join(",")])
}

/// Waits until everything that is expected has been found with its causes, and checks that `may` allows each finding.
///
/// # Panics
/// Panics with the missing findings after [`GIVE_UP`], and with a finding that is not allowed at once.
async fn found(demo: &Demo, wanted: &[&Expected], may: impl Fn(&Value) -> bool) {
    let until = Instant::now() + GIVE_UP;
    // It is enough that each was there once: the findings need not be there at the same time.
    let mut missing = wanted.to_vec();
    loop {
        let bottlenecks = demo.bottlenecks().await;
        for finding in &bottlenecks {
            assert!(
                may(finding) || demo.is_due_to_others(finding),
                "healthy, but found where work takes {:.1} times as long as alone: {finding:#}",
                demo.slowness()
            );
        }
        missing.retain(|expected| expected.missing_in(&bottlenecks).is_some());
        if missing.is_empty() {
            return;
        }
        let reasons = missing.iter().filter_map(|expected| expected.missing_in(&bottlenecks));
        let among = || bottlenecks.iter().map(|it| format!("{} on {}", it["type"], subject(it))).collect::<Vec<_>>();
        assert!(
            Instant::now() < until,
            "{}\namong {:#?}\nafter {GIVE_UP:?}",
            reasons.collect::<Vec<_>>().join("\n"),
            among()
        );
        sleep(LOOK).await;
    }
}

impl Case {
    /// Returns whether a finding is allowed here: on a sick subject, on a named consequence, or on the process as a whole.
    fn allows(&self, finding: &Value) -> bool {
        let sick = self.expected.iter().map(|expected| expected.subject).chain(self.consequences.iter().copied());
        sick.chain(["process"]).any(|sick| subject(finding).contains(sick))
    }

    /// Waits until the sicknesses of this case have been found in `demo`, while another visitor makes healthy requests.
    async fn is_found(&self, demo: &Demo) {
        let answer = match self.visits.iter().find(|visit| visit.is_hurried) {
            Some(visit) => SickAnswer::measure(demo, visit).await,
            None => SickAnswer::UNMEASURED,
        };
        let (mut patient, mut other) = (Visitor::new(demo, answer), Visitor::new(demo, answer));
        let wanted: Vec<&Expected> = self.expected.iter().collect();
        patient.go_round(self.visits.iter(), 1).await;
        let _crowds = Crowd::gather(self.crowds, demo);
        tokio::select! {
            () = found(demo, &wanted, |finding| self.allows(finding)) => {}
            () = patient.go_round(self.visits.iter(), usize::MAX) => {}
            () = other.go_round(self.beside.iter(), usize::MAX) => {}
        }
    }
}

/// Distinguishing a leak from a warm-up takes five minutes after the first one, however fast the memory grows, and in that
/// time the process must gain as much as it held before. So this test runs beside the others, without their lock; its visitors
/// take little of the processor.
#[tokio::test]
async fn a_leak_is_found_and_names_the_route_that_keeps_the_memory() {
    let fixes: Vec<&str> = ALL.iter().flat_map(|case| case.sick).copied().collect();
    let leaky = Demo::start_with_defaults(impatient_rules(&[]), &["--fix", &fixes.join(",")]);
    let leak = expected(
        "memory_leak",
        "process",
        &[
            Names("/words/top_suspect", "GET /api/recommendations"),
            Above("/numbers/top_suspect_ratio", 0.5),
            Above("/leak_suspects/0/kept_mb", 100.0),
            Advice("Requests of GET /api/recommendations keep"),
        ],
    );
    let visits = async {
        let visitors = reqwest::Client::new();
        let mut visits = tokio::time::interval(Duration::from_millis(125));
        for customer in 1.. {
            visits.tick().await;
            let other = ["products?page=1", "categories", "search?q=am"][customer % 3];
            for page in [format!("recommendations?customer={customer}"), other.to_owned()] {
                visitors.get(format!("{}/api/{page}", leaky.base)).send().await.unwrap().bytes().await.unwrap();
            }
        }
    };
    let wanted = [&leak];
    let names_the_route =
        |finding: &Value| finding["affected_endpoints"] == serde_json::json!(["GET /api/recommendations"]);
    tokio::select! {
        () = found(&leaky, &wanted, |finding| !leak.is(finding) || names_the_route(finding)) => {}
        () = visits => {}
        () = sleep(2 * GIVE_UP) => panic!("the visitors do not come to an end"),
    }
}

#[tokio::test]
async fn what_fails_and_what_never_ends_is_found() {
    let _turn = turn().await;
    FAILING.is_found(&sick_only(FAILING.sick, impatient_rules(&[]))).await;
}

#[tokio::test]
async fn what_is_slow_by_itself_is_found() {
    let _turn = turn().await;
    SLOW.is_found(&sick_only(SLOW.sick, impatient_rules(&[]))).await;
}

#[tokio::test]
async fn a_query_for_each_line_is_found() {
    let _turn = turn().await;
    N_PLUS_ONE.is_found(&sick_only(N_PLUS_ONE.sick, impatient_rules(&[]))).await;
}

#[tokio::test]
async fn a_blocked_worker_is_found_with_who_waits_for_it() {
    let _turn = turn().await;
    BLOCKING.is_found(&sick_only(BLOCKING.sick, impatient_rules(&[]))).await;
}

/// The shop answers as many requests a second as the machine can, which on a slow or busy core is too few for the shipped
/// 50 queries a second. So the rule starts at 10 here; its other condition, a tenth of a connection busy, is the shipped one.
#[tokio::test]
async fn a_query_that_every_request_repeats_is_found() {
    let _turn = turn().await;
    let demo = sick_only(CHATTY.sick, impatient_rules(&[(r#""> 50/s""#, r#""> 10/s""#)]));
    let [mut one, mut two] = [(); 2].map(|()| Visitor::new(&demo, SickAnswer::UNMEASURED));
    let wanted: Vec<&Expected> = CHATTY.expected.iter().collect();
    tokio::select! {
        () = found(&demo, &wanted, |finding| CHATTY.allows(finding)) => {}
        () = one.hurry_round(CHATTY.visits) => {}
        () = two.hurry_round(CHATTY.visits) => {}
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_found_with_what_it_wastes() {
    let _turn = turn().await;
    LATE.is_found(&sick_only(LATE.sick, impatient_rules(&[]))).await;
}

#[tokio::test]
async fn what_waits_for_others_is_found_with_what_it_waits_for() {
    let _turn = turn().await;
    WAITING.is_found(&sick_only(WAITING.sick, impatient_rules(&[]))).await;
}

/// The findings that depend on no share of the machine's time come with `--traffic` too, while everything is sick.
#[tokio::test]
async fn the_demos_own_visitors_meet_the_sicknesses() {
    let _turn = turn().await;
    let demo = Demo::start(impatient_rules(&[]), &["--traffic"]);
    let wanted: Vec<Expected> = [&FAILING, &SLOW, &BLOCKING, &WAITING]
        .into_iter()
        .flat_map(|case| case.expected)
        .map(|it| Expected { causes: &[], ..*it })
        .collect();
    // Anything may be found: on a slow machine the sick routes leave so little time that healthy ones are slow as well.
    found(&demo, &wanted.iter().collect::<Vec<_>>(), |_| true).await;
}

#[tokio::test]
async fn nothing_is_found_in_the_fixed_shop() {
    /// Enough for every rule's `min_samples`.
    const ROUNDS: usize = 30;
    let _turn = turn().await;
    let answer = SickAnswer::measure(&sick_only(LATE.sick, impatient_rules(&[])), &SUGGESTIONS).await;
    let fixed = Demo::start(impatient_rules(&[]), &["--fixed"]);
    // The visits of the chatty shop are left out, since they are the healthy pages.
    let sick: Vec<Visit> =
        ALL.iter().filter(|case| case.sick != CHATTY.sick).flat_map(|case| case.visits).copied().collect();
    let visits = async {
        let recommendations = visitors::get("/api/recommendations?customer={n}");
        let all = sick.iter().chain(HEALTHY).chain([&recommendations]);
        let _crowds = ALL.map(|case| Crowd::gather(case.crowds, &fixed));
        Visitor::new(&fixed, answer).go_round(all, ROUNDS).await;
        // The last requests have to be judged too, for longer than the rules' `for`.
        let before = fixed.evaluations().await;
        while fixed.evaluations().await < before + 5 {
            sleep(LOOK).await;
        }
    };
    // Scheduling lag is left out: a busy machine makes the runtime late, whatever the shop does.
    let nothing = async {
        loop {
            let bottlenecks = fixed.bottlenecks().await;
            let is_of_the_shop = |it: &&Value| it["type"] != "scheduling_lag" && !fixed.is_due_to_others(it);
            let of_the_shop: Vec<_> = bottlenecks.iter().filter(is_of_the_shop).collect();
            let slowness = fixed.slowness();
            assert!(of_the_shop.is_empty(), "work takes {slowness:.1} times as long as alone; {of_the_shop:#?}");
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = visits => {}
        () = nothing => {}
        () = sleep(2 * GIVE_UP) => panic!("the visitors do not come to an end"),
    }
    // Without traffic there would be no findings either.
    let requests = fixed.get("/performance/metrics").await["summary"]["total_requests"].as_u64().unwrap();
    assert!(requests > 500, "{requests}");
}
