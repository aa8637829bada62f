//! The paths of the API, and the handler of each.

use std::{any::Any, sync::Arc};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, delete, get, post},
};

use super::{
    CoreState, bottlenecks, control, endpoints, error::ApiError, events, exposition, health, memory, report, rules,
    status, summary, trends,
};
use crate::{Monitor, http::OwnAnswer, monitor::Core};

/// Keeps the monitor, and with it the background work, alive as long as a router of its exists.
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
        // Of two routers with axum's default fallback, `merge` keeps the one that is merged in. Without a layer on it,
        // requests that match no route would bypass the host's layer.
        let fallback = Router::new().layer(self.layer());
        assembled(routes(), self.core().clone(), self.keep_alive()).merge(fallback)
    }
}

/// Returns the routes for an address where nothing else is served. They do not keep the monitor alive.
pub(super) fn standalone(core: Arc<Core>) -> Router {
    assembled(routes().fallback(not_found), core, Arc::new(()))
}

fn routes() -> Router<Arc<Core>> {
    let routes: [(&str, MethodRouter<Arc<Core>>); 16] = [
        ("/metrics", get(exposition::metrics)),
        ("/performance", get(report::handler::index)),
        ("/performance/", get(redirect_without_slash)),
        ("/performance/metrics", get(summary::metrics)),
        ("/performance/memory", get(memory::memory)),
        ("/performance/endpoints", get(endpoints::all)),
        ("/performance/endpoints/{*endpoint}", get(endpoints::one)),
        ("/performance/bottlenecks", get(bottlenecks::bottlenecks)),
        ("/performance/trends", get(trends::trends)),
        ("/performance/report", get(report::handler::report)),
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
        .chain(feature_routes())
        .fold(Router::new(), |router, (path, method)| {
            router.route(path, method.fallback(|| async { ApiError::method_not_allowed() }))
        });
    routes.route("/performance/{*unknown}", get(not_found).fallback(not_found))
}

fn assembled<S>(routes: Router<Arc<Core>>, core: Arc<Core>, monitor: Arc<dyn Any + Send + Sync>) -> Router<S> {
    routes
        .layer(middleware::from_fn_with_state(core.clone(), mark_own_answer))
        .layer(Extension(KeepAlive { _monitor: monitor }))
        .with_state(core)
}

/// Returns the routes that a feature adds.
fn feature_routes() -> impl Iterator<Item = (&'static str, MethodRouter<Arc<Core>>)> {
    let routes = [
        #[cfg(feature = "openapi")]
        ("/performance/openapi.json", get(super::openapi::document)),
        #[cfg(feature = "archive")]
        ("/performance/comparison", get(super::comparison::comparison)),
    ];
    routes.into_iter()
}

/// Redirects to the path without the slash. Relative, since the host may have nested the routes.
async fn redirect_without_slash() -> Redirect {
    Redirect::temporary("../performance")
}

async fn not_found() -> Response {
    let hint = if cfg!(feature = "openapi") { "; GET /performance/openapi.json lists the paths" } else { "" };
    ApiError::not_found(format!("no such path{hint}")).into_response()
}

/// Marks an answer as the monitor's own, so that no layer counts it, and forbids caches to keep it and browsers to take it for
/// another type than its own.
async fn mark_own_answer(State(core): CoreState, request: Request, next: Next) -> Response {
    core.count_api_request();
    let answer = OwnAnswer::begin(request.method());
    let mut response = next.run(request).await;
    answer.made(&mut response);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
