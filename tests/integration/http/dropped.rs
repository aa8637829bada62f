//! Queries that are dropped before their end and emit their event while they are dropped, as sqlx's queries on
//! PostgreSQL and MySQL do.

use std::{
    pin::Pin,
    sync::Once,
    task::{Context, Poll},
};

use pinchpoint::SqlxLayer;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use super::*;

/// A query under way: emits its event on drop, as sqlx's does.
struct Logger;

impl Drop for Logger {
    fn drop(&mut self) {
        tracing::debug!(target: "sqlx::query", summary = "SELECT 1", db.statement = "", elapsed_secs = 0.02);
    }
}

/// A query that never ends.
async fn query() -> Result<(), Infallible> {
    let _logger = Logger;
    std::future::pending().await
}

/// Records sqlx's events on this thread.
fn listen() -> tracing::subscriber::DefaultGuard {
    static OTHER: Once = Once::new();
    // While there is one subscriber only, tracing caches the interest of the thread that first reaches a span, and that
    // thread may have no subscriber.
    OTHER.call_once(|| std::mem::forget(Dispatch::new(NoSubscriber::new())));
    tracing::subscriber::set_default(registry().with(SqlxLayer::new()))
}

/// Sends a request whose client disconnects after 50 ms, and returns the samples after it.
async fn leave(monitor: &Monitor, routes: Router) -> Samples {
    let app = routes.layer(monitor.layer());
    assert!(tokio::time::timeout(50 * MS, fetch(&app, "/")).await.is_err(), "it never ends");
    let samples = Samples::of(monitor);
    assert_eq!((samples.requests(&["error_type=\"cancelled\""]), samples.requests(&[])), (1.0, 1.0));
    samples
}

/// Asserts that one query was recorded, for the service and for the request.
#[track_caller]
fn assert_recorded(samples: &Samples) {
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &[]), 1.0, "the service's");
    assert_eq!(samples.sum("pinchpoint_request_db_queries_sum", &[]), 1.0, "the request's");
}

#[tokio::test(start_paused = true)]
async fn a_query_in_a_handler() {
    let (monitor, _listening) = (monitor(), listen());
    let samples = leave(&monitor, Router::new().route("/", get(|| async { query().await.map(drop) }))).await;
    assert_recorded(&samples);
}

#[tokio::test(start_paused = true)]
async fn a_query_whose_rows_a_body_streams() {
    struct Rows(Logger);
    impl http_body::Body for Rows {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }
    let (monitor, _listening) = (monitor(), listen());
    let samples = leave(&monitor, Router::new().route("/", get(|| async { Body::new(Rows(Logger)) }))).await;
    assert_recorded(&samples);
}

#[tokio::test(start_paused = true)]
async fn a_query_in_a_task_that_the_request_spawned_and_stopped() {
    let (monitor, _listening) = (monitor(), listen());
    let handler = || async {
        let task = tokio::spawn(in_current_request(query()));
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
    };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer());
    assert_eq!(fetch(&app, "/").await.0, 200);
    assert_recorded(&Samples::of(&monitor));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_tracked_already() {
    let (monitor, _listening) = (monitor(), listen());
    let handler = || async { track_db_query("SELECT 1", query()).await.map(drop) };
    let samples = leave(&monitor, Router::new().route("/", get(handler))).await;
    assert_recorded(&samples);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &["error_type=\"cancelled\""]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_tracked_query_that_its_handler_gives_up() {
    let (monitor, _listening) = (monitor(), listen());
    let handler = || async {
        let _ = tokio::time::timeout(10 * MS, track_db_query("SELECT 1", query())).await;
    };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer());
    assert_eq!(fetch(&app, "/").await.0, 200);
    let samples = Samples::of(&monitor);
    assert_recorded(&samples);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &["error_type=\"cancelled\""]), 1.0);
}

/// A panic is not recorded as a cancellation, and the event emitted while it unwinds is not counted as another query.
#[tokio::test]
async fn a_tracked_query_that_panics() {
    async fn panics() -> Result<(), Infallible> {
        let _logger = Logger;
        panic!("on purpose")
    }
    let (monitor, _listening) = (monitor(), listen());
    let handler = || async { track_db_query("SELECT 1", panics()).await.map(drop) };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer()).layer(CatchPanicLayer::new());
    assert_eq!(fetch(&app, "/").await.0, 500);
    let samples = Samples::of(&monitor);
    assert_recorded(&samples);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &["error_type=\"panic\""]), 1.0);
    assert_eq!(samples.requests(&["error_type=\"panic\""]), 1.0);
}
