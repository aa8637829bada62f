//! The paths of the API, and the handler of each.

use std::{any::Any, sync::Arc};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, delete, get, post},
};

#[cfg(feature = "page")]
use super::page;
use super::{
    CoreState,
    access::{self, Area},
    acknowledge, bottlenecks, control, endpoints,
    error::ApiError,
    events, exposition, health, host,
    host::Reach,
    icon, memory,
    parameters::{self, Parameter},
    report, rules, slos, status, summary, trends,
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
    /// Reading is as open as the router it is merged into, unless the builder sets an [`Access`](crate::Access); see
    /// [`serve`](Self::serve) for an address of its own, and [`Control`](crate::Control) for the endpoints that change something.
    /// The answers never count as requests of the service.
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
        let fallback = Router::new().layer(middleware::from_fn(no_icon)).layer(self.layer());
        let core = self.core().clone();
        assembled(routes(&core), Reach::of_merged(&core), core, self.keep_alive()).merge(fallback)
    }
}

/// Returns the routes for an address where nothing else is served. They do not keep the monitor alive.
pub(super) fn standalone(core: Arc<Core>, reach: Reach) -> Router {
    let routes = routes(&core).route(icon::PATH, get(icon::icon)).fallback(not_found);
    assembled(routes, reach, core, Arc::new(()))
}

const WINDOW: Parameter = ("window", "such as 30s or 5m");
const FORMAT: Parameter = ("format", report::FORMAT_NAMES);
const SEVERITY: Parameter = ("severity", "low, medium, high or critical");
const TYPE: Parameter = ("type", "the id of a rule");
const LIMIT: Parameter = ("limit", "1 to 1000, default 100");
const EVIDENCE: Parameter = ("evidence", "none, summary or full");
const HOURS: Parameter = ("hours", "1 to 168, default 24");
const ENDPOINT: Parameter = ("endpoint", "as GET /api/users or api/users");
#[cfg(feature = "page")]
const ASSET_VERSION: Parameter = ("v", "as the page has it");
const NO_PARAMETERS: &[Parameter] = &[];

/// A path with the parameters that its query string may have, and its handler.
type Route = (&'static str, &'static [Parameter], MethodRouter<Arc<Core>>);

fn routes(core: &Arc<Core>) -> Router<Arc<Core>> {
    let readings: [Route; 13] = [
        ("/performance/", NO_PARAMETERS, get(redirect_without_slash)),
        ("/performance/metrics", &[WINDOW], get(summary::metrics)),
        ("/performance/memory", NO_PARAMETERS, get(memory::memory)),
        ("/performance/endpoints", &[WINDOW], get(endpoints::all)),
        ("/performance/endpoints/{*endpoint}", &[WINDOW], get(endpoints::one)),
        ("/performance/bottlenecks", &[SEVERITY, TYPE, LIMIT, EVIDENCE], get(bottlenecks::bottlenecks)),
        ("/performance/trends", &[HOURS, ENDPOINT], get(trends::trends)),
        ("/performance/report", &[WINDOW, FORMAT], get(report::handler::report)),
        ("/performance/health", NO_PARAMETERS, get(health::health)),
        ("/performance/status", NO_PARAMETERS, get(status::status)),
        ("/performance/rules", NO_PARAMETERS, get(rules::rules)),
        ("/performance/slos", &[LIMIT], get(slos::slos)),
        ("/performance/events", NO_PARAMETERS, get(events::events)),
    ];
    // Who may use these is for their handlers to decide.
    let controls: [Route; 4] = [
        ("/performance/start-monitoring", NO_PARAMETERS, post(control::start)),
        ("/performance/stop-monitoring", NO_PARAMETERS, post(control::stop)),
        ("/performance/clear-data", NO_PARAMETERS, delete(control::clear)),
        (
            "/performance/bottlenecks/{id}/acknowledge",
            NO_PARAMETERS,
            post(acknowledge::acknowledge).delete(acknowledge::take_back),
        ),
    ];
    // A scrape may have any parameters, as with other exporters: Prometheus sends what `params` of its job lists.
    let metrics = ("/metrics", only(get(exposition::metrics)));
    let guard = |area| {
        move |(path, method): (_, MethodRouter<_>)| {
            (path, method.layer(middleware::from_fn_with_state((core.clone(), area), access::guard)))
        }
    };
    let unknown = ("/performance/{*unknown}", get(not_found).fallback(not_found));
    let readings = readings.into_iter().chain(feature_routes()).map(checked).chain([unknown]);
    let routes = [guard(Area::Metrics)(metrics)].into_iter().chain(readings.map(guard(Area::Performance)));
    let unguarded = controls.into_iter().chain(login_routes(core)).map(checked);
    routes.chain(unguarded).fold(Router::new(), |router, (path, method)| router.route(path, method))
}

/// Returns a route that refuses other parameters and other methods than its own.
fn checked((path, known, method): Route) -> (&'static str, MethodRouter<Arc<Core>>) {
    let parameters = middleware::from_fn(move |request, next| parameters::check(known, request, next));
    (path, only(method.route_layer(parameters)))
}

/// Returns handlers that refuse other methods than their own.
fn only(method: MethodRouter<Arc<Core>>) -> MethodRouter<Arc<Core>> {
    method.fallback(|| async { ApiError::method_not_allowed() })
}

fn assembled<S>(
    routes: Router<Arc<Core>>,
    reach: Reach,
    core: Arc<Core>,
    monitor: Arc<dyn Any + Send + Sync>,
) -> Router<S> {
    let routes = routes.layer(middleware::from_fn_with_state((core.clone(), reach), host::refuse_others));
    #[cfg(feature = "page")]
    let routes = routes.layer(Extension(Arc::new(page::Shelf::default())));
    routes
        .layer(middleware::from_fn_with_state(core.clone(), mark_own_answer))
        .layer(Extension(KeepAlive { _monitor: monitor }))
        .with_state(core)
}

/// Returns the routes that a feature adds.
fn feature_routes() -> impl Iterator<Item = Route> {
    let routes = [
        #[cfg(not(feature = "page"))]
        ("/performance", &[WINDOW, FORMAT] as &[Parameter], get(report::handler::index)),
        #[cfg(feature = "page")]
        ("/performance", page::PARAMETERS, get(page::index)),
        #[cfg(feature = "page")]
        ("/performance/view/{view}", page::PARAMETERS, get(page::view)),
        #[cfg(feature = "openapi")]
        ("/performance/openapi.json", NO_PARAMETERS, get(super::openapi::document)),
        #[cfg(feature = "archive")]
        ("/performance/comparison", NO_PARAMETERS, get(super::comparison::comparison)),
    ];
    routes.into_iter()
}

/// Returns the routes of a browser that may not read yet.
#[cfg(feature = "page")]
fn login_routes(core: &Arc<Core>) -> impl Iterator<Item = Route> + use<> {
    use axum::extract::DefaultBodyLimit;

    use super::login::handler::{LARGEST, leave, login, logout};

    let guard = middleware::from_fn_with_state((core.clone(), Area::Performance), access::guard);
    let form = get(leave).layer(guard);
    let routes: [Route; 4] = [
        ("/performance/login", NO_PARAMETERS, form.post(login).layer(DefaultBodyLimit::max(LARGEST))),
        ("/performance/logout", NO_PARAMETERS, post(logout)),
        // They hold nothing of the service, and the form needs the style.
        ("/performance/page.css", &[ASSET_VERSION], get(page::style)),
        ("/performance/page.js", &[ASSET_VERSION], get(page::script)),
    ];
    routes.into_iter()
}

#[cfg(not(feature = "page"))]
fn login_routes(_: &Arc<Core>) -> impl Iterator<Item = Route> + use<> {
    std::iter::empty()
}

/// Redirects to the path without the slash. Relative, since the host may have nested the routes.
async fn redirect_without_slash() -> Redirect {
    Redirect::temporary("../performance")
}

async fn not_found() -> Response {
    let hint = if cfg!(feature = "openapi") { "; GET /performance/openapi.json lists the paths" } else { "" };
    ApiError::not_found(format!("no such path{hint}")).into_response()
}

/// Answers [`icon::PATH`] where the service has no such route: with nothing, since the icon of the origin is the service's to
/// choose. A browser that shows an answer of the monitor asks for it, and that is no request of the service.
async fn no_icon(request: Request, next: Next) -> Response {
    if request.uri().path() != icon::PATH || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    own(OwnAnswer::begin(), async { (StatusCode::NO_CONTENT, [(CACHE_CONTROL, icon::KEPT)]).into_response() }).await
}

/// Marks an answer as the monitor's own, and forbids caches to keep it and browsers to take it for another type than its own.
async fn mark_own_answer(State(core): CoreState, request: Request, next: Next) -> Response {
    core.count_api_request();
    own(OwnAnswer::begin(), next.run(request)).await
}

/// Makes an answer of the monitor's own, which no layer counts.
async fn own(own: OwnAnswer, answer: impl Future<Output = Response>) -> Response {
    let mut response = answer.await;
    own.made(&mut response);
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
