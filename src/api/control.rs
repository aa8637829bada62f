//! `start-monitoring`, `stop-monitoring` and `clear-data`.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header::AUTHORIZATION},
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    Shared,
    error::{ApiError, ErrorBody},
    units,
};
use crate::monitor::Core;

/// What a control endpoint did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ControlAnswer {
    /// `started`, `stopped` or `cleared`.
    #[schema(example = "stopped")]
    status: &'static str,
    /// Whether requests are measured now.
    monitoring: bool,
    /// What that means.
    message: &'static str,
    /// When it happened.
    timestamp: String,
}

fn authorise(core: &Core, headers: &HeaderMap) -> Result<(), ApiError> {
    let bearer = headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes).and_then(|header| {
        let (scheme, token) = header.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    if core.control().allows(bearer) {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "the control endpoints are closed; send the token that was set with Control::token as 'Authorization: Bearer \
         <token>', or let the service set one or Control::Open",
    ))
}

fn answer(core: &Core, status: &'static str, message: &'static str) -> Json<ControlAnswer> {
    let monitoring = core.instruments().enabled();
    Json(ControlAnswer { status, monitoring, message, timestamp: units::now() })
}

/// Starts measuring requests, queries and tasks again.
#[utoipa::path(
    post, path = "/performance/start-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = ErrorBody)), security(("token" = []))
)]
pub(super) async fn start(State(core): Shared, headers: HeaderMap) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &headers)?;
    core.instruments().set_enabled(true);
    Ok(answer(&core, "started", "requests, queries and tasks are measured"))
}

/// Stops measuring at once: a request then costs one atomic load. Nothing that was measured is lost.
#[utoipa::path(
    post, path = "/performance/stop-monitoring", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = ErrorBody)), security(("token" = []))
)]
pub(super) async fn stop(State(core): Shared, headers: HeaderMap) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &headers)?;
    core.instruments().set_enabled(false);
    Ok(answer(&core, "stopped", "requests pass unmeasured; what was measured stays"))
}

/// Starts all windows anew and forgets the slowest requests and the trends, those in the history file too. The counters that Prometheus reads never go back.
#[utoipa::path(
    delete, path = "/performance/clear-data", tag = "control",
    responses((status = 200, body = ControlAnswer), (status = 403, body = ErrorBody)), security(("token" = []))
)]
pub(super) async fn clear(State(core): Shared, headers: HeaderMap) -> Result<Json<ControlAnswer>, ApiError> {
    authorise(&core, &headers)?;
    core.clear(Instant::now());
    Ok(answer(&core, "cleared", "all windows and trends start anew; Prometheus counters go on"))
}
