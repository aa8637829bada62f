//! `/performance/report`: everything worth knowing, on one page.

use axum::{Json, extract::State, response::Redirect};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    Shared,
    bottlenecks::{BottleneckView, Counts},
    endpoints::{EndpointView, views},
    summary::Summary,
    units,
};

/// Endpoints that a report names.
const ENDPOINTS: usize = 20;

/// Everything worth knowing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportAnswer {
    summary: Summary,
    #[serde(flatten)]
    counts: Counts,
    /// What fires, worst first.
    bottlenecks: Vec<BottleneckView>,
    /// What to do, in the order of the bottlenecks.
    recommendations: Vec<Advice>,
    /// The endpoints that take most of the service's time.
    endpoints: Vec<EndpointView>,
    timestamp: String,
}

/// One thing to do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Advice {
    severity: String,
    /// What it is about.
    subject: String,
    recommendation: String,
}

/// `GET /performance` leads to the report.
pub(super) async fn index() -> Redirect {
    Redirect::temporary("/performance/report")
}

/// Everything worth knowing: summary, bottlenecks with their evidence, what to do, and the endpoints that cost most.
#[utoipa::path(get, path = "/performance/report", tag = "analysis", responses((status = 200, body = ReportAnswer)))]
pub(super) async fn report(State(core): Shared) -> Json<ReportAnswer> {
    let window = core.total(Instant::now());
    let judgement = core.judgement();
    let advice = judgement.firing.iter().flat_map(|bottleneck| {
        bottleneck.recommendations.iter().map(|recommendation| Advice {
            severity: bottleneck.severity.to_string(),
            subject: bottleneck.subject.name.to_string(),
            recommendation: recommendation.clone(),
        })
    });
    Json(ReportAnswer {
        summary: Summary::of(&window, core.mean_memory()),
        counts: Counts::of(&judgement.firing),
        recommendations: advice.collect(),
        bottlenecks: judgement.firing.iter().map(|bottleneck| BottleneckView::of(bottleneck, &core)).collect(),
        endpoints: views(&window).into_iter().take(ENDPOINTS).collect(),
        timestamp: units::now(),
    })
}
