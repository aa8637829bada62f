//! A service that counts with the `prometheus` crate. Its registry keeps a path of its own, so that no metric can appear
//! twice in one answer: `/metrics` is Pinchpoint's, `/metrics/app` the registry's, and Prometheus scrapes both.
//!
//! ```yaml
//! scrape_configs:
//!   - job_name: shop
//!     static_configs: [{ targets: ["127.0.0.1:3000"] }]
//!   - job_name: shop-app
//!     metrics_path: /metrics/app
//!     static_configs: [{ targets: ["127.0.0.1:3000"] }]
//! ```
//!
//! The two do not know each other: what the registry counts is in no window of Pinchpoint's, and no rule can read it. What
//! a rule shall read is recorded with the macros of the crate `metrics`.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! axum = "0.8"
//! prometheus = { version = "0.14", default-features = false }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! ```

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use pinchpoint::Monitor;
use prometheus::{Encoder as _, IntCounterVec, Opts, Registry, TextEncoder};

#[derive(Clone)]
struct App {
    registry: Registry,
    orders: IntCounterVec,
}

async fn order(State(app): State<App>, Path(item): Path<u64>) -> &'static str {
    app.orders.with_label_values(&[if item % 2 == 0 { "even" } else { "odd" }]).inc();
    "ordered\n"
}

async fn app_metrics(State(app): State<App>) -> Response {
    let (encoder, mut text) = (TextEncoder::new(), Vec::new());
    match encoder.encode(&app.registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let orders = IntCounterVec::new(Opts::new("app_orders_total", "Orders taken."), &["item"])?;
    registry.register(Box::new(orders.clone()))?;

    let monitor = Monitor::builder().install()?;
    let app = Router::new()
        .route("/orders/{item}", get(order))
        .layer(monitor.layer())
        // After the layer, so that scrapes do not count as the service's requests.
        .route("/metrics/app", get(app_metrics))
        .with_state(App { registry, orders })
        .merge(monitor.router());

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
