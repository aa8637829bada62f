//! The same router under each layer.

use std::time::Instant;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use pinchpoint::Monitor;

/// How many routes each router has.
pub(crate) const ROUTES: usize = 50;

/// The peer whose cost is the 100 % of the table.
pub(crate) const AXUM_PROMETHEUS: &str = "axum-prometheus 0.10";

/// A router under one layer.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) app: Router,
    /// A second router that shares nothing with the first. `None` for layers that record through the process's one
    /// global recorder.
    pub(crate) twin: Option<Router>,
    /// Values that must live as long as the router.
    _keep: Box<dyn std::any::Any>,
}

impl Contestant {
    /// One without a twin.
    pub(crate) fn new(name: &'static str, app: Router, keep: Box<dyn std::any::Any>) -> Self {
        Self { name, app: served(app), twin: None, _keep: keep }
    }

    fn with_twin(name: &'static str, [app, twin]: [Router; 2], keep: Box<dyn std::any::Any>) -> Self {
        Self { twin: Some(served(twin)), ..Self::new(name, app, keep) }
    }
}

/// Returns a router as `axum::serve` serves it: it gives the state to a router before the first connection, so that each route
/// gets its layers once and not in every request.
fn served(app: Router) -> Router {
    app.with_state(())
}

/// Returns all contestants, the bare router first. Must run inside a tokio runtime.
pub(crate) fn all() -> Vec<Contestant> {
    vec![bare(), pass_through(), pinchpoint(), naive(), axum_prometheus(), opentelemetry()]
}

fn router() -> Router {
    (0..ROUTES).fold(Router::new(), |router, route| router.route(&format!("/r{route}/{{id}}"), get(|| async { "ok" })))
}

fn bare() -> Contestant {
    Contestant::with_twin("bare router", [router(), router()], Box::new(()))
}

/// The cost in axum itself of any layer whose response body has its own type: boxing it.
fn pass_through() -> Contestant {
    let layer = tower::util::MapResponseLayer::new(|response: Response| {
        response.map(|body| http_body_util::BodyExt::map_err(body, std::convert::identity))
    });
    let apps = [router().layer(layer.clone()), router().layer(layer)];
    Contestant::with_twin("a layer that does nothing", apps, Box::new(()))
}

fn pinchpoint() -> Contestant {
    let monitors = [(); 2].map(|()| Monitor::builder().build().expect("inside a runtime, with the defaults"));
    let apps = monitors.each_ref().map(|monitor| router().layer(monitor.layer()));
    Contestant::with_twin("**Pinchpoint**", apps, Box::new(monitors))
}

/// The usual first version of such a layer: the `metrics` macros in a middleware.
fn naive() -> Contestant {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the first recorder of this process");
    // The recorder's histograms keep every observation until upkeep drains them.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            handle.run_upkeep();
        }
    });
    async fn record(request: Request, next: Next) -> Response {
        let started = Instant::now();
        let method = request.method().to_string();
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let response = next.run(request).await;
        let status = response.status().as_u16().to_string();
        let labels = [("method", method), ("route", route), ("status", status)];
        metrics::counter!("requests_total", &labels).increment(1);
        metrics::histogram!("request_duration_seconds", &labels).record(started.elapsed().as_secs_f64());
        response
    }
    let app = router().layer(middleware::from_fn(record));
    Contestant::new("naive `metrics` macros", app, Box::new(()))
}

fn axum_prometheus() -> Contestant {
    // Records through the same global recorder as the naive layer: a process has one.
    let layer = axum_prometheus::PrometheusMetricLayer::new();
    Contestant::new(AXUM_PROMETHEUS, router().layer(layer), Box::new(()))
}

fn opentelemetry() -> Contestant {
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    opentelemetry::global::set_meter_provider(provider.clone());
    let layer = LayerBuilder::builder().with_tracing(false).build().expect("metrics without tracing");
    Contestant::new("opentelemetry-instrumentation-tower 0.19", router().layer(layer), Box::new(provider))
}
