//! `/performance/openapi.json`, generated from the handlers.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    bottlenecks, control, endpoints, events, exposition, health, memory, report, rules, status, summary, trends,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Pinchpoint", description = "The bottlenecks of this service, and why they are there."),
    paths(
        exposition::metrics, summary::metrics, memory::memory, endpoints::all, endpoints::one,
        bottlenecks::bottlenecks, trends::trends, report::handler::report, health::health, status::status, rules::rules, events::events,
        control::start, control::stop, control::clear
    ),
    components(schemas(events::BottleneckEvent, events::EvaluationEvent)),
    modifiers(&Token)
)]
struct Description;

/// The paths that the feature `archive` adds.
#[cfg(feature = "archive")]
#[derive(OpenApi)]
#[openapi(paths(super::comparison::comparison))]
struct ArchiveDescription;

/// Declares the token that the control endpoints take.
struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        api.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// This OpenAPI document.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    let description = Description::openapi();
    #[cfg(feature = "archive")]
    let description = description.merge_from(ArchiveDescription::openapi());
    Json(description)
}
