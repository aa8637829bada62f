//! A service that has a `metrics` recorder of its own already: both get everything. `cargo run --example own_recorder`
//! prints what the host's recorder saw.

use axum::{Router, body::Body, http::Request, routing::get};
use metrics_util::debugging::DebuggingRecorder;
use pinchpoint::Monitor;
use tower::ServiceExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = DebuggingRecorder::new();
    let seen = host.snapshotter();
    let monitor = Monitor::builder().with_recorder(host).install()?;
    let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(monitor.layer());
    metrics::counter!("orders_total").increment(1);
    drop(app.oneshot(Request::new(Body::empty())).await?);
    let hosts = seen.snapshot().into_vec().len();
    let ours = monitor.recorder().render();
    assert!(ours.contains("orders_total 1") && ours.contains("http_server_request_duration_seconds_count"));
    assert!(hosts > 2);
    monitor.shutdown().await;
    Ok(())
}
