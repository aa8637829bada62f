//! `/performance/bottlenecks/{id}/acknowledge`: a person knows of a finding, and nobody is to be sent it for a while.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, State, rejection::PathRejection},
    http::request::Parts,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{CoreState, control::authorise, error::ApiError, timestamp};
use crate::{
    alert::Acknowledgement,
    monitor::Core,
    rules::{Bottleneck, Unit},
};

/// Longer than any such request.
const LARGEST: usize = 16 << 10;
/// Characters of a name and of a reason.
const LONGEST_NAME: usize = 100;
const LONGEST_REASON: usize = 1_000;
/// For how long one lasts.
const DEFAULT: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who acknowledges a bottleneck, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct AcknowledgeRequest {
    /// The person, up to 100 characters.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "ana", max_length = 100, pattern = r"^[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")
    )]
    by: String,
    /// Why nobody else need look at it, up to 1,000 characters.
    #[cfg_attr(
        feature = "openapi",
        schema(
            example = "the index is built tonight",
            max_length = 1000,
            pattern = r"^[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
        )
    )]
    reason: String,
    /// For how long, from `1m` to `720h`; `24h` by default.
    #[cfg_attr(feature = "openapi", schema(example = "4h", pattern = "^([1-9]|[1-9][0-9]|[1-6][0-9][0-9])h$"))]
    expires_in: Option<String>,
}

/// What a person said of a bottleneck.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct AcknowledgementView {
    pub(super) by: String,
    pub(super) reason: String,
    /// How severe it was then; it is not acknowledged should it get worse.
    pub(super) severity: String,
    pub(super) at: String,
    /// When it ends.
    pub(super) until: String,
}

impl AcknowledgementView {
    pub(super) fn of(acknowledgement: &Acknowledgement) -> Self {
        Self {
            by: acknowledgement.by.clone(),
            reason: acknowledgement.reason.clone(),
            severity: acknowledgement.severity.to_string(),
            at: timestamp::of_wall(acknowledgement.at),
            until: timestamp::of_wall(acknowledgement.until),
        }
    }
}

/// The effect of an acknowledgement, or of taking it back.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct AcknowledgeAnswer {
    /// `acknowledged` or `taken_back`.
    #[cfg_attr(feature = "openapi", schema(example = "acknowledged"))]
    status: &'static str,
    /// Id of the rule.
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    acknowledgement: AcknowledgementView,
    timestamp: String,
}

fn answer(status: &'static str, acknowledgement: &Acknowledgement) -> Json<AcknowledgeAnswer> {
    Json(AcknowledgeAnswer {
        status,
        kind: acknowledgement.rule.to_string(),
        subject: acknowledgement.subject.to_string(),
        acknowledgement: AcknowledgementView::of(acknowledgement),
        timestamp: timestamp::now(),
    })
}

/// Acknowledges a bottleneck that fires or is pending: it is shown as before, and sent to nobody until then. It ends early should the
/// bottleneck get more severe. Another of the same bottleneck takes its place. Kept in the history file.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/performance/bottlenecks/{id}/acknowledge", tag = "control",
    params(("id" = String, Path, description = "The `id` of the bottleneck")), request_body = AcknowledgeRequest,
    responses(
        (status = 200, body = AcknowledgeAnswer), (status = 400, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody), (status = 404, body = super::error::ErrorBody)
    ), security(("token" = []))
))]
pub(super) async fn acknowledge(
    State(core): CoreState,
    id: Result<Path<String>, PathRejection>,
    request: Parts,
    body: Body,
) -> Result<Json<AcknowledgeAnswer>, ApiError> {
    authorise(&core, &request)?;
    let id = id_of(id)?;
    let body = to_bytes(body, LARGEST).await.map_err(|_| wrong("it is longer than 16 kB or not whole"))?;
    let AcknowledgeRequest { by, reason, expires_in } =
        serde_json::from_slice(&body).map_err(|error| wrong(&error.to_string()))?;
    let (by, reason) = (text("by", &by, LONGEST_NAME)?, text("reason", &reason, LONGEST_REASON)?);
    let lasts = expires_in.map_or(Ok(DEFAULT), |text| length(&text))?;
    let bottleneck = find(&core, &id)?;
    let wall = core.wall(Instant::now());
    let acknowledgement = Acknowledgement {
        rule: bottleneck.rule.id.clone(),
        subject: bottleneck.subject.name.clone(),
        severity: bottleneck.severity,
        by,
        reason,
        at: wall,
        until: wall + lasts,
    };
    if !core.acknowledge(&acknowledgement) {
        return Err(ApiError::bad_request("1000 bottlenecks are acknowledged already; take one back first"));
    }
    Ok(answer("acknowledged", &acknowledgement))
}

/// Takes an acknowledgement back: the bottleneck is sent again, if it still fires.
#[cfg_attr(feature = "openapi", utoipa::path(
    delete, path = "/performance/bottlenecks/{id}/acknowledge", tag = "control",
    params(("id" = String, Path, description = "The `id` of the bottleneck")),
    responses(
        (status = 200, body = AcknowledgeAnswer), (status = 400, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody), (status = 404, body = super::error::ErrorBody)
    ), security(("token" = []))
))]
pub(super) async fn take_back(
    State(core): CoreState,
    id: Result<Path<String>, PathRejection>,
    request: Parts,
) -> Result<Json<AcknowledgeAnswer>, ApiError> {
    authorise(&core, &request)?;
    let id = id_of(id)?;
    let removed = core.take_acknowledgement_back(&id);
    let removed = removed.ok_or_else(|| ApiError::not_found("no bottleneck of this id is acknowledged"))?;
    Ok(answer("taken_back", &removed))
}

fn id_of(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::bad_request("the id must be UTF-8"))?;
    Ok(id)
}

fn find(core: &Core, id: &str) -> Result<Arc<Bottleneck>, ApiError> {
    let judgement = core.judgement();
    let found = judgement.firing.iter().chain(&judgement.pending).find(|bottleneck| bottleneck.id() == id);
    found
        .cloned()
        .ok_or_else(|| ApiError::not_found("no bottleneck of this id fires; GET /performance/bottlenecks has the ids"))
}

fn wrong(problem: &str) -> ApiError {
    let expected = "expected JSON such as {\"by\": \"ana\", \"reason\": \"known\", \"expires_in\": \"4h\"}";
    ApiError::bad_request(format!("the body is wrong: {problem}; {expected}"))
}

/// Returns a text that is neither empty nor too long, without control characters.
fn text(name: &str, text: &str, longest: usize) -> Result<String, ApiError> {
    let text = text.trim();
    match !text.is_empty() && text.chars().count() <= longest && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(wrong(&format!("{name} must have 1 to {longest} characters and no control character"))),
    }
}

fn length(text: &str) -> Result<Duration, ApiError> {
    let length = Unit::Seconds.parse(text).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let length = length.filter(|length| (SHORTEST..=LONGEST).contains(length));
    length.ok_or_else(|| wrong("expires_in must be a duration from 1m to 720h"))
}
