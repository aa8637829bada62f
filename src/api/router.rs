//! Which path is answered by what.

use std::{any::Any, sync::Arc};

use axum::{
    Extension, Router,
    extract::Request,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, delete, get, post},
};

use super::{
    bottlenecks, control, endpoints, error::ApiError, events, exposition, health, memory, report, rules, status,
    summary, trends,
};
use crate::{Monitor, http::OwnAnswer, monitor::Core};

/// Keeps the background work alive as long as a router that shows it.
#[derive(Clone)]
struct KeepAlive {
    _monitor: Arc<dyn Any + Send + Sync>,
}

impl Monitor {
    /// Returns the routes of `/metrics` and `/performance/*`, to be merged into the service's router.
    ///
    /// Reading is as open as the router it is merged into; see [`serve`](Self::serve) for an address of its own, and
    /// [`Control`](crate::Control) for the endpoints that change something. The answers never count as requests of the
    /// service.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use pinchpoint::Monitor;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), pinchpoint::BuildError> {
    /// let monitor = Monitor::builder().build()?;
    /// let app: Router = Router::new()
    ///     .route("/", get(|| async { "hello" }))
    ///     .layer(monitor.layer())
    ///     .merge(monitor.router());
    /// # Ok(()) }
    /// ```
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        // Of two routers with axum's default fallback, `merge` keeps the one that is merged in. Without a layer of its
        // own, requests that match no route would then pass the host's layer by.
        let fallback = Router::new().layer(self.layer());
        finished(routes(), self.core().clone(), self.keep_alive()).merge(fallback)
    }
}

/// Returns the routes for an address where nothing else is served. They hold no handle of the monitor.
pub(super) fn alone(core: Arc<Core>) -> Router {
    finished(routes().fallback(unknown), core, Arc::new(()))
}

fn routes() -> Router<Arc<Core>> {
    let routes: [(&str, MethodRouter<Arc<Core>>); 16] = [
        ("/metrics", get(exposition::metrics)),
        ("/performance", get(report::index)),
        ("/performance/", get(without_slash)),
        ("/performance/metrics", get(summary::metrics)),
        ("/performance/memory", get(memory::memory)),
        ("/performance/endpoints", get(endpoints::all)),
        ("/performance/endpoints/{*endpoint}", get(endpoints::one)),
        ("/performance/bottlenecks", get(bottlenecks::bottlenecks)),
        ("/performance/trends", get(trends::trends)),
        ("/performance/report", get(report::report)),
        ("/performance/health", get(health::health)),
        ("/performance/status", get(status::status)),
        ("/performance/rules", get(rules::rules)),
        ("/performance/events", get(events::events)),
        ("/performance/start-monitoring", post(control::start)),
        ("/performance/stop-monitoring", post(control::stop)),
    ];
    let routes = routes
        .into_iter()
        .chain([("/performance/clear-data", delete(control::clear))])
        .chain(of_features())
        .fold(Router::new(), |router, (path, method)| {
            router.route(path, method.fallback(|| async { ApiError::method_not_allowed() }))
        });
    routes.route("/performance/{*unknown}", get(unknown).fallback(unknown))
}

fn finished<S>(routes: Router<Arc<Core>>, core: Arc<Core>, monitor: Arc<dyn Any + Send + Sync>) -> Router<S> {
    routes.layer(middleware::from_fn(mark)).layer(Extension(KeepAlive { _monitor: monitor })).with_state(core)
}

/// Returns the routes that a feature adds.
fn of_features() -> impl Iterator<Item = (&'static str, MethodRouter<Arc<Core>>)> {
    let routes = [
        #[cfg(feature = "openapi")]
        ("/performance/openapi.json", get(super::openapi::document)),
        #[cfg(feature = "archive")]
        ("/performance/comparison", get(super::comparison::comparison)),
    ];
    routes.into_iter()
}

/// Relative, since the routes may be nested in a path of the host's.
async fn without_slash() -> Redirect {
    Redirect::temporary("../performance")
}

async fn unknown() -> Response {
    let message = match cfg!(feature = "openapi") {
        true => "no such path; GET /performance/openapi.json lists them",
        false => "no such path",
    };
    ApiError::not_found(message).into_response()
}

/// Marks an answer as the monitor's own, which never counts, and as one that no cache may keep.
async fn mark(request: Request, next: Next) -> Response {
    let answer = OwnAnswer::begin(request.method());
    let mut response = next.run(request).await;
    answer.made(&mut response);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
