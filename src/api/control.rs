//! `start-monitoring`, `stop-monitoring` and `clear-data`: the paths that change something.
//!
//! The invariant that a change could break: a page of another site cannot make its visitor's browser stop the monitoring.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, header::ORIGIN, request::Parts},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    CoreState,
    access::{self, Area},
    error::ApiError,
    host, timestamp,
};
#[cfg(feature = "page")]
use crate::monitor::Happened;
use crate::monitor::{Control, Core};

/// In this header a browser says whether a request comes from a page of the same site.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The effect of a control request.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ControlAnswer {
    /// `started`, `stopped` or `cleared`.
    #[cfg_attr(feature = "openapi", schema(example = "stopped"))]
    status: &'static str,
    /// Whether requests are measured now.
    monitoring: bool,
    /// The effect in words.
    message: &'static str,
    timestamp: String,
}

/// Returns an error for a request that may not control the monitor.
///
/// Without a token, any page that a user visits could make the browser send the request. A browser gives that away in
/// `Sec-Fetch-Site`, an older one in `Origin`; other clients send neither. With a token that check is not needed, because a
/// browser does not add one by itself. A page under a name of its own that points here (DNS rebinding) is of the same site to the
/// browser; what gives it away is that name, in `Host`.
pub(super) fn authorise(core: &Core, request: &Parts) -> Result<(), ApiError> {
    if !core.control().allows(access::bearer(&request.headers)) {
        return Err(ApiError::forbidden(
            "the control endpoints are closed; send the token that the service set with Control::token as 'Authorization: \
             Bearer <token>', or let the service set Control::token or Control::Open",
        ));
    }
    if !matches!(core.control(), Control::Token(_)) {
        // Open is open to those who may read. A token stands for itself: a request cannot send two.
        access::admit(core, Area::Performance, &request.headers, &request.uri, &request.extensions)?;
    }
    let (is_open, is_loopback) = match core.control() {
        Control::Open => (true, false),
        Control::Loopback => (true, true),
        Control::Token(_) | Control::Refused => (false, false),
    };
    let is_elsewhere = host::client(&request.extensions).is_some_and(|client| !host::is_of_this_machine(client))
        || host(request).is_some_and(|host| !host::is_loopback(core, host));
    if is_loopback && is_elsewhere {
        return Err(ApiError::forbidden(
            "the control endpoints are open on the loopback interface only; use localhost or 127.0.0.1 as the host, or let \
             the service set a token with Control::token",
        ));
    }
    if is_open && !host::is_own(core, host(request)) {
        return Err(host::refusal());
    }
    if is_open && is_of_another_site(request) {
        return Err(ApiError::forbidden(
            "the control endpoints refuse requests that a browser sends for another site; let the service set a token with \
             Control::token",
        ));
    }
    Ok(())
}

fn header(request: &Parts, name: HeaderName) -> Option<&[u8]> {
    request.headers.get(name).map(HeaderValue::as_bytes)
}

fn host(request: &Parts) -> Option<&[u8]> {
    host::of(&request.headers, &request.uri)
}

/// Returns whether a browser sent the request for a page of another site.
fn is_of_another_site(request: &Parts) -> bool {
    match header(request, HeaderName::from_static(SEC_FETCH_SITE)) {
        Some(site) => site != b"same-origin" && site != b"none",
        None => header(request, ORIGIN).is_some_and(|origin| !is_origin_of(origin, host(request))),
    }
}

/// Returns whether an origin is the host itself.
fn is_origin_of(origin: &[u8], host: Option<&[u8]>) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

fn answer(core: &Core, status: &'static str, message: &'static str) -> Json<ControlAnswer> {
    let monitoring = core.instruments().enabled();
    Json(ControlAnswer { status, monitoring, message, timestamp: timestamp::now() })
}

fn set_monitoring(core: &Core, enabled: bool) {
    #[cfg(feature = "page")]
    if core.instruments().enabled() != enabled {
        let happened = if enabled { Happened::Started } else { Happened::Stopped };
        core.happened(happened, Instant::now());
    }
    core.instruments().set_enabled(enabled);
}

/// Starts measuring requests, queries and tasks again.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/start-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn start(State(core): CoreState, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    set_monitoring(&core, true);
    Ok(answer(&core, "started", "requests, queries and tasks are measured"))
}

/// Stops measuring at once; a request then costs one atomic load. Earlier measurements stay.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/stop-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn stop(State(core): CoreState, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    set_monitoring(&core, false);
    Ok(answer(&core, "stopped", "requests are no longer measured; earlier measurements stay"))
}

/// Starts all windows over and drops the slowest requests and the trends, also those of the history file. The counters of
/// `/metrics` go on, since Prometheus would take a lower value for a restart.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/performance/clear-data", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn clear(State(core): CoreState, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.clear(Instant::now());
    Ok(answer(&core, "cleared", "all windows and trends start over; the counters of /metrics go on"))
}
