//! `/performance/health`.

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Shared, bottlenecks::Counts, units};
use crate::{names, rules::Totals};

/// How the service is, in one word and the reason for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthAnswer {
    /// `excellent`: nothing fires. `good`: nothing worse than medium. `degraded`: something high. `critical`. And
    /// `unknown` where no request was measured: silence is not health.
    #[schema(example = "excellent")]
    status: &'static str,
    /// Why.
    message: String,
    /// Whether requests are measured now.
    monitoring: bool,
    requests: u64,
    #[serde(flatten)]
    counts: Counts,
    /// Descriptions of what fires, worst first.
    issues: Vec<String>,
    timestamp: String,
}

/// How the service is. Always 200: this is a report on the service and no probe of it.
#[utoipa::path(get, path = "/performance/health", tag = "analysis", responses((status = 200, body = HealthAnswer)))]
pub(super) async fn health(State(core): Shared) -> Json<HealthAnswer> {
    let judgement = core.judgement();
    let requests = Totals::of(&core.total(Instant::now()), names::HTTP_DURATION.name).count();
    let counts = Counts::of(&judgement.firing);
    let monitoring = core.instruments().enabled();
    let (status, message) = if counts.total_count == 0 && !monitoring {
        ("unknown", "monitoring is stopped".to_owned())
    } else if counts.total_count == 0 && requests == 0 {
        ("unknown", "no request was measured yet".to_owned())
    } else if counts.critical_count > 0 {
        ("critical", format!("{} critical bottlenecks", counts.critical_count))
    } else if counts.high_count > 0 {
        ("degraded", format!("{} bottlenecks of high severity", counts.high_count))
    } else if counts.total_count > 0 {
        ("good", format!("{} bottlenecks, none of high severity", counts.total_count))
    } else {
        ("excellent", format!("no bottleneck in {requests} requests"))
    };
    let issues = judgement.firing.iter().map(|bottleneck| bottleneck.description.clone()).collect();
    Json(HealthAnswer { status, message, monitoring, requests, counts, issues, timestamp: units::now() })
}
