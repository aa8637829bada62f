//! The probe for a service's own tests: which assertions pass, and the messages of those that fail.

use std::time::Duration;

use axum::{Router, routing::get};
use futures_util::FutureExt as _;
use pinchpoint::{Monitor, testing::Probe, track_db_query};
use tokio::time::sleep;

use crate::support::get as fetch;

const MS: Duration = Duration::from_millis(1);

async fn query(sql: &'static str, took: Duration) {
    let work = async {
        sleep(took).await;
        Ok::<_, std::io::Error>(())
    };
    track_db_query(sql, work).await.expect("it never fails");
}

/// Sends requests to a service with one healthy route, and one with an N+1 of as many items as its path says.
async fn probed(requests: &[&str]) -> Probe {
    let probe = Probe::new();
    let orders = |axum::extract::Path(items): axum::extract::Path<u32>| async move {
        query("SELECT * FROM orders WHERE id = 1", 10 * MS).await;
        for _ in 0..items {
            query("SELECT * FROM items WHERE order_id = 2", 10 * MS).await;
        }
        sleep(50 * MS).await;
    };
    let app = Router::new().route("/orders/{items}", get(orders)).route("/", get(|| async {})).layer(probe.layer());
    for path in requests {
        fetch(&app, path).await;
    }
    probe
}

/// Returns the message of an assertion that must fail.
async fn failure(probe: &Probe, assertion: impl FnOnce(&Probe)) -> String {
    let failed = async { assertion(probe) };
    let panic = std::panic::AssertUnwindSafe(failed).catch_unwind().await.expect_err("it must fail");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[tokio::test(start_paused = true)]
async fn a_route_within_its_budget_passes() {
    let probe = probed(&["/orders/1", "/orders/2", "/"]).await;
    let route = probe.route("GET /orders/{items}");
    assert_eq!((route.requests(), route.queries()), (2, 3));
    // Inside poll the clock is the real one, and a busy machine may take the core away for some time.
    let blocking = Duration::from_secs(30);
    let _ = route
        .max_queries(3)
        .max_calls_of_a_query(2)
        .max_duration(81 * MS)
        .max_database_share(0.5)
        .max_blocking(blocking);
    probe.route("GET /").max_queries(0).max_calls_of_a_query(0).max_database_share(0.0);
    probe.assert_no_bottlenecks();
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_query_budget_names_the_repeated_statement() {
    let probe = probed(&["/orders/1", "/orders/40"]).await;
    let said = failure(&probe, |probe| drop(probe.route("GET /orders/{items}").max_queries(5))).await;
    assert_eq!(
        said,
        "GET /orders/{items} issued 41 queries in one request; its budget is 5\n    \
         40 × SELECT * FROM items WHERE order_id = ?\n     \
         1 × SELECT * FROM orders WHERE id = ?\n\
         (a request of 460ms; 2 requests were measured)"
    );
    let said = failure(&probe, |probe| drop(probe.route("GET /orders/{items}").max_calls_of_a_query(1))).await;
    assert!(
        said.starts_with(
            "GET /orders/{items} issued the same query 40 times in one request; its budget is 1\n  SELECT * FROM items"
        ),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_past_the_end_of_a_timeline_count_against_a_budget() {
    let probe = probed(&["/orders/300"]).await;
    let said = failure(&probe, |probe| drop(probe.route("GET /orders/{items}").max_calls_of_a_query(100))).await;
    assert!(said.contains("the same query 300 times") && !said.contains("further"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_exceeded_time_budget_says_by_how_much() {
    let probe = probed(&["/orders/4"]).await;
    let route = |probe: &Probe| probe.route("GET /orders/{items}");
    let said = failure(&probe, |probe| drop(route(probe).max_duration(90 * MS))).await;
    assert!(
        said.starts_with("GET /orders/{items} took 100ms; its budget is 90ms\n     4 × SELECT * FROM items"),
        "{said}"
    );
    let said = failure(&probe, |probe| drop(route(probe).max_database_share(0.4))).await;
    assert!(
        said.starts_with("GET /orders/{items} spent 50% of its time in the database; its budget is 40%\n"),
        "{said}"
    );
    let said = failure(&probe, |probe| drop(route(probe).max_database_share(40.0))).await;
    assert!(said.contains("40 is no share"), "{said}");
}

/// Runs on the real clock: tokio's paused clock does not advance inside a poll.
#[tokio::test]
async fn blocking_counts_against_a_budget() {
    let probe = Probe::new();
    let app = Router::new().route("/hash", get(|| async { std::thread::sleep(30 * MS) })).layer(probe.layer());
    fetch(&app, "/hash").await;
    let said = failure(&probe, |probe| drop(probe.route("GET /hash").max_blocking(20 * MS))).await;
    assert!(
        said.starts_with("GET /hash kept a worker of the runtime for ") && said.ends_with("its budget is 20ms"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bottleneck_is_reported_with_its_evidence() {
    let probe = probed(&["/orders/30", "/orders/30"]).await;
    let said = failure(&probe, Probe::assert_no_bottlenecks).await;
    assert!(
        said.starts_with(
            "1 bottleneck found:\n- n_plus_one (high): GET /orders/{items} issues the same query 30 times"
        ),
        "{said}"
    );
    assert!(said.contains("300ms of each request"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_assertion_on_a_route_without_requests_fails() {
    let probe = probed(&["/orders/1", "/"]).await;
    let said = failure(&probe, |probe| drop(probe.route("GET /order/{items}"))).await;
    assert_eq!(said, "no request of GET /order/{items} was measured; those that were:\n  GET /\n  GET /orders/{items}");
    let said = failure(&Probe::new(), |probe| drop(probe.route("GET /"))).await;
    assert!(said.contains("is the probe's layer on the router?"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_warm_up_can_be_cleared() {
    let probe = Probe::with(Monitor::builder().ignore_path("/health"));
    let app = Router::new().route("/", get(|| query("SELECT 1", MS))).layer(probe.layer());
    fetch(&app, "/").await;
    probe.clear();
    let said = failure(&probe, |probe| drop(probe.route("GET /"))).await;
    assert!(said.contains("no request of GET / was measured"), "{said}");
    fetch(&app, "/").await;
    assert_eq!(probe.route("GET /").requests(), 1);
}

#[test]
#[should_panic(
    expected = "the probe cannot be built: a monitor runs background work and was built outside a tokio runtime"
)]
fn a_probe_needs_a_runtime() {
    let _ = Probe::new();
}
