//! `start-monitoring`, `stop-monitoring` and `clear-data`.

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

use super::{Shared, error::ApiError, units};
use crate::monitor::{Control, Core};

/// Where a browser says whether a request is for the page's own site.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What a control endpoint did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ControlAnswer {
    /// `started`, `stopped` or `cleared`.
    #[cfg_attr(feature = "openapi", schema(example = "stopped"))]
    status: &'static str,
    /// Whether requests are measured now.
    monitoring: bool,
    /// What that means.
    message: &'static str,
    /// When it happened.
    timestamp: String,
}

/// Lets a request in, or says why not.
///
/// Without a token, a browser sends it for any page that its user looks at. A browser says so: `Sec-Fetch-Site`, or in an
/// older one `Origin`; what is no browser sends neither. A token is nothing that a browser adds by itself.
fn authorise(core: &Core, request: &Parts) -> Result<(), ApiError> {
    let header = |name| request.headers.get(name).map(HeaderValue::as_bytes);
    let bearer = header(AUTHORIZATION).and_then(|header| {
        let (scheme, token) = header.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    if !core.control().allows(bearer) {
        return Err(ApiError::forbidden(
            "the control endpoints are closed; send the token that was set with Control::token as 'Authorization: Bearer \
             <token>', or let the service set one or Control::Open",
        ));
    }
    let (is_open, is_loopback) = match core.control() {
        Control::Open => (true, false),
        Control::Loopback => (true, true),
        Control::Token(_) | Control::Refused => (false, false),
    };
    // HTTP/2 has the host in the address.
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = header(HOST).or(authority);
    if is_loopback && host.is_some_and(|host| !is_loopback_host(host)) {
        return Err(ApiError::forbidden(
            "the control endpoints are open on the loopback interface only: ask for localhost or 127.0.0.1, or let the \
             service set a token with Control::token",
        ));
    }
    let is_foreign = match header(HeaderName::from_static(SEC_FETCH_SITE)) {
        Some(site) => site != b"same-origin" && site != b"none",
        None => header(ORIGIN).is_some_and(|origin| !is_origin_of(origin, host)),
    };
    if is_open && is_foreign {
        return Err(ApiError::forbidden(
            "the control endpoints do not take requests that a browser sends for another site; let the service set a \
             token with Control::token",
        ));
    }
    Ok(())
}

/// Returns whether pages of an origin come from the host itself.
fn is_origin_of(origin: &[u8], host: Option<&[u8]>) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

/// Returns whether a `Host` can only mean this machine.
fn is_loopback_host(host: &[u8]) -> bool {
    let Some(authority) = std::str::from_utf8(host).ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn answer(core: &Core, status: &'static str, message: &'static str) -> Json<ControlAnswer> {
    let monitoring = core.instruments().enabled();
    Json(ControlAnswer { status, monitoring, message, timestamp: units::now() })
}

/// Starts measuring requests, queries and tasks again.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/start-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn start(State(core): Shared, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.instruments().set_enabled(true);
    Ok(answer(&core, "started", "requests, queries and tasks are measured"))
}

/// Stops measuring at once: a request then costs one atomic load. Nothing that was measured is lost.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/stop-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn stop(State(core): Shared, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.instruments().set_enabled(false);
    Ok(answer(&core, "stopped", "requests pass unmeasured; what was measured stays"))
}

/// Starts all windows anew and forgets the slowest requests and the trends, those in the history file too. The counters that Prometheus reads never go back.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/performance/clear-data", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = super::error::ErrorBody)), security(("token" = []))
))]
pub(super) async fn clear(State(core): Shared, request: Parts) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &request)?;
    core.clear(Instant::now());
    Ok(answer(&core, "cleared", "all windows and trends start anew; Prometheus counters go on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.9.9.9:8000", "[::1]:8000", "[::1]"] {
            assert!(is_loopback_host(host.as_bytes()), "{host}");
        }
        for host in ["", "shop.example", "localhost.shop.example:8000", "127.0.0.1.shop.example", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback_host(host.as_bytes()), "{host}");
        }
    }
}
