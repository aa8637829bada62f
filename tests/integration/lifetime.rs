//! What runs in the background has an owner and an end.

use std::{sync::Weak, time::Duration};

use axum::{Router, routing::get};
use pinchpoint::{BuildError, Monitor};

use crate::support::{Samples, get as fetch, monitor};

/// Lets other tasks of this runtime run until they wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Something that is dropped with the monitor.
struct Witness {
    _seen: std::sync::Arc<()>,
}

impl pinchpoint::Sampler for Witness {
    fn sample(&mut self) {}
}

fn witnessed() -> (Monitor, Weak<()>) {
    let seen = std::sync::Arc::new(());
    let weak = std::sync::Arc::downgrade(&seen);
    let monitor = Monitor::builder().sampler(Witness { _seen: seen }).build().expect("inside a runtime");
    (monitor, weak)
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_everything() {
    let before = alive();
    let (monitor, witness) = witnessed();
    let app: Router = Router::new().route("/", get(|| async {})).layer(monitor.layer()).merge(monitor.router());
    for _ in 0..10 {
        fetch(&app, "/").await;
    }
    drop(monitor.clone());
    settle().await;
    assert!(alive() > before && witness.upgrade().is_some(), "a clone is not the last");
    drop(monitor);
    settle().await;
    assert!(alive() > before && witness.upgrade().is_some(), "the router goes on being measured");
    drop(app);
    settle().await;
    assert_eq!(alive(), before, "no task is left");
    assert!(witness.upgrade().is_none(), "no memory is left");
}

#[tokio::test(start_paused = true)]
async fn a_monitor_with_an_address_of_its_own_ends_too() {
    let before = alive();
    let (monitor, witness) = witnessed();
    monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    drop(monitor);
    settle().await;
    assert_eq!((alive(), witness.upgrade().is_none()), (before, true));
}

#[tokio::test]
async fn a_listener_to_events_holds_no_shutdown_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let monitor = monitor();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let mut listener = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /performance/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    listener.write_all(request).await.expect("sent");
    let mut head = [0; 12];
    listener.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    tokio::time::timeout(Duration::from_secs(20), monitor.shutdown()).await.expect("it ends");
    let mut rest = Vec::new();
    listener.read_to_end(&mut rest).await.expect("the stream ends as a stream does");

    let app: Router = Router::new().merge(monitor.router());
    let (status, body) = fetch(&app, "/performance/events").await;
    assert!(status == 503 && body.contains("shutting down"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_evaluates_a_last_time_and_lets_requests_pass() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "ok" })).layer(monitor.layer()).merge(monitor.router());
    fetch(&app, "/").await;
    assert_eq!(Samples::of(&monitor).sum("pinchpoint_rule_evaluation_seconds_count", &[]), 0.0);
    monitor.shutdown().await;
    assert_eq!(Samples::of(&monitor).sum("pinchpoint_rule_evaluation_seconds_count", &[]), 1.0);
    assert_eq!(fetch(&app, "/").await, (200, "ok".into()));
    assert_eq!(Samples::of(&monitor).requests(&[]), 1.0, "not measured any more");
    // A second time does nothing.
    tokio::time::timeout(Duration::from_secs(1), monitor.shutdown()).await.expect("returns at once");
}

#[test]
fn outside_a_runtime_a_monitor_says_what_it_needs() {
    let error = Monitor::builder().build().expect_err("no runtime");
    assert!(matches!(error, BuildError::NoRuntime) && error.to_string().contains("#[tokio::main]"), "{error}");
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let zero = Monitor::builder().evaluation_interval(Duration::ZERO).build().expect_err("never ends");
    assert_eq!(zero.to_string(), "evaluation_interval is 0ns; expected 100 ms to 1 min");
    let rare = Monitor::builder().sampling_interval(Duration::from_secs(3600)).build().expect_err("too rare");
    assert!(rare.to_string().starts_with("sampling_interval is 3600s"), "{rare}");
}
