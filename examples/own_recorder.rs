//! A service that has a `metrics` recorder already, here metrics-exporter-prometheus's. What the `metrics` macros record
//! goes to both recorders; what the monitor measures stays in its own, on `/metrics`.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! axum = "0.8"
//! metrics = "0.24"
//! metrics-exporter-prometheus = { version = "0.18", default-features = false }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "time"] }
//! ```

use std::time::Duration;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusBuilder;
use pinchpoint::Monitor;

async fn order() -> &'static str {
    metrics::counter!("orders_total").increment(1);
    "ordered\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `build_recorder` instead of `install_recorder`: the monitor installs one recorder that writes to both. The other
    // direction, what the monitor measures in the host's page too, is `export_to`.
    let host = PrometheusBuilder::new().build_recorder();
    let host_metrics = host.handle();
    let monitor = Monitor::builder().with_recorder(host).install()?;

    // The host's recorder keeps every observation of a histogram until it is drained.
    let upkeep = host_metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    let app: Router = Router::new()
        .route("/orders", get(order))
        .route("/host-metrics", get(move || async move { host_metrics.render() }))
        .layer(monitor.layer())
        .merge(monitor.router());

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
