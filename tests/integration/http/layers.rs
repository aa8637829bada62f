//! More than one layer around a request.

use super::*;

fn routes() -> Router {
    let handler = || async { track_db_query("SELECT 1", async { Ok::<_, Infallible>(()) }).await.map(drop) };
    Router::new().route("/", get(handler))
}

#[track_caller]
fn assert_counted(monitor: &Monitor, queries: f64) {
    let samples = Samples::of(monitor);
    assert_eq!((samples.requests(&["200"]), samples.requests(&[]), samples.active()), (1.0, 1.0, 0.0));
    assert_eq!(samples.response_sizes(&[]), 1.0);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &[]), queries);
    assert_eq!(samples.sum("pinchpoint_request_db_queries_sum", &[]), queries);
}

#[tokio::test]
async fn two_layers_of_one_monitor_count_a_request_once() {
    let monitor = monitor();
    let app = Router::new().merge(routes().layer(monitor.layer())).layer(monitor.layer());
    assert_eq!(fetch(&app, "/").await.0, 200);
    assert_counted(&monitor, 1.0);
}

#[tokio::test]
async fn a_cancelled_request_under_two_layers_of_one_monitor_counts_once() {
    let monitor = monitor();
    let app = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/stream", get(|| async { dripping(2, Duration::from_secs(3600)) }))
        .layer(monitor.layer())
        .layer(monitor.layer());
    for path in ["/never", "/stream"] {
        assert!(tokio::time::timeout(5 * MS, fetch(&app, path)).await.is_err());
        let samples = Samples::of(&monitor);
        assert_eq!((samples.requests(&[path]), samples.requests(&[path, "cancelled"])), (1.0, 1.0));
        assert_eq!(samples.active(), 0.0);
    }
}

#[tokio::test]
async fn two_monitors_each_count_a_request_and_the_inner_one_its_queries() {
    let (outer, inner) = (monitor(), monitor());
    let app = routes().layer(inner.layer()).layer(outer.layer());
    assert_eq!(fetch(&app, "/").await.0, 200);
    assert_counted(&outer, 0.0);
    assert_counted(&inner, 1.0);
}
