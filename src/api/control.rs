//! `start-monitoring`, `stop-monitoring` and `clear-data`: the paths that change something.
//!
//! The invariant that a change could break: a page of another site cannot make its visitor's browser stop the monitoring.

use std::net::IpAddr;

use axum::{
    Json,
    extract::State,
    http::{
        HeaderName, HeaderValue,
        header::{AUTHORIZATION, HOST, ORIGIN},
        request::Parts,
        uri::Authority,
    },
};
use serde::Serialize;
use tokio::time::Instant;

use super::{CoreState, error::ApiError, timestamp};
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
/// browser does not add one by itself.
fn authorise(core: &Core, request: &Parts) -> Result<(), ApiError> {
    if !core.control().allows(bearer(request)) {
        return Err(ApiError::forbidden(
            "the control endpoints are closed; send the token that the service set with Control::token as 'Authorization: \
             Bearer <token>', or let the service set Control::token or Control::Open",
        ));
    }
    let (is_open, is_loopback) = match core.control() {
        Control::Open => (true, false),
        Control::Loopback => (true, true),
        Control::Token(_) | Control::Refused => (false, false),
    };
    if is_loopback && host(request).is_some_and(|host| !is_loopback_host(host)) {
        return Err(ApiError::forbidden(
            "the control endpoints are open on the loopback interface only; use localhost or 127.0.0.1 as the host, or let \
             the service set a token with Control::token",
        ));
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

fn bearer(request: &Parts) -> Option<&[u8]> {
    let (scheme, token) = header(request, AUTHORIZATION)?.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn host(request: &Parts) -> Option<&[u8]> {
    // HTTP/2 has the host in the request target instead of a header.
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    header(request, HOST).or(authority)
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

/// Returns whether a `Host` can only mean this machine. A name of a site that resolves to 127.0.0.1 does not: with it, the
/// site's pages would count as the same origin (DNS rebinding).
fn is_loopback_host(host: &[u8]) -> bool {
    let Some(authority) = std::str::from_utf8(host).ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn answer(core: &Core, status: &'static str, message: &'static str) -> Json<ControlAnswer> {
    let monitoring = core.instruments().enabled();
    Json(ControlAnswer { status, monitoring, message, timestamp: timestamp::now() })
}

/// Starts measuring requests, queries and tasks again.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/start-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn start(State(core): CoreState, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.instruments().set_enabled(true);
    Ok(answer(&core, "started", "requests, queries and tasks are measured"))
}

/// Stops measuring at once; a request then costs one atomic load. Earlier measurements stay.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/stop-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn stop(State(core): CoreState, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.instruments().set_enabled(false);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.9.9.9:8000", "[::1]:8000", "[::1]"] {
            assert!(is_loopback_host(host.as_bytes()), "{host}");
        }
        for host in ["", "shop.example", "localhost.shop.example:8000", "127.0.0.1.shop.example", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback_host(host.as_bytes()), "{host}");
        }
    }
}
