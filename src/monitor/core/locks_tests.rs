//! That no request waits for what a tick holds.

use std::{convert::Infallible, sync::mpsc, thread::spawn};

use axum::{Router, body::Body, routing::get};
use http::Request;
use tower::ServiceExt as _;

use super::*;
use crate::{Monitor, track_async_task, track_db_query};

/// Time after which a request waits for ever: it takes less than a millisecond.
const FOR_EVER: Duration = Duration::from_secs(60);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Makes a request on a thread of its own; panics where it is not answered.
#[track_caller]
fn is_answered(app: &Router, path: &'static str) {
    let app = app.clone();
    let (answered, answer) = mpsc::channel();
    spawn(move || {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let status = runtime().block_on(async { app.oneshot(request).await.map(|response| response.status()) });
        let _ = answered.send(status);
    });
    let status = answer.recv_timeout(FOR_EVER).expect("an answer while a tick holds its locks");
    assert_eq!(status.map(|status| status.as_u16()), Ok(200), "{path}");
}

/// Each request here also makes series, which one after it does not need to.
#[test]
fn a_request_waits_for_no_lock_that_a_tick_holds() {
    let working = || async {
        let Ok(()) = track_db_query("SELECT 1", async { Ok::<_, Infallible>(()) }).await;
        let Ok(()) = track_async_task("mail", async { Ok::<_, Infallible>(()) }).await;
    };
    let host = runtime();
    let entered = host.enter();
    let monitor = Monitor::builder().build().expect("a monitor");
    drop(entered);
    let app: Router =
        Router::new().route("/known", get(working)).route("/new/{id}", get(working)).layer(monitor.layer());
    is_answered(&app, "/known");
    let core = monitor.core();
    let held = (
        lock(&core.ticking),
        lock(&core.history),
        lock(&core.memory),
        lock(&core.counts),
        lock(&core.tiers),
        lock(&core.rhythms),
        lock(&core.under_way),
    );
    is_answered(&app, "/known");
    is_answered(&app, "/new/1");
    drop(held);
}
