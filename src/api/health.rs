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

/// How the service is in a word, and why.
pub(super) fn verdict(counts: &Counts, requests: u64, monitoring: bool) -> (&'static str, String) {
    if counts.total_count == 0 && !monitoring {
        ("unknown", "monitoring is stopped".to_owned())
    } else if counts.total_count == 0 && requests == 0 {
        ("unknown", "no request was measured yet".to_owned())
    } else if counts.critical_count > 0 {
        ("critical", told(counts.critical_count, "critical", ""))
    } else if counts.high_count > 0 {
        ("degraded", told(counts.high_count, "", " of high severity"))
    } else if counts.total_count > 0 {
        ("good", told(counts.total_count, "", ", none of high severity"))
    } else {
        ("excellent", format!("no bottleneck in {requests} requests"))
    }
}

fn told(count: usize, kind: &str, rest: &str) -> String {
    let (space, plural) = (if kind.is_empty() { "" } else { " " }, if count == 1 { "" } else { "s" });
    format!("{count} {kind}{space}bottleneck{plural}{rest}")
}

/// How the service is. Always 200: this is a report on the service and no probe of it.
#[utoipa::path(get, path = "/performance/health", tag = "analysis", responses((status = 200, body = HealthAnswer)))]
pub(super) async fn health(State(core): Shared) -> Json<HealthAnswer> {
    let judgement = core.judgement();
    let requests = Totals::of(&core.total(Instant::now()), names::HTTP_DURATION.name).count();
    let counts = Counts::of(&judgement.firing);
    let monitoring = core.instruments().enabled();
    let (status, message) = verdict(&counts, requests, monitoring);
    let issues = judgement.firing.iter().map(|bottleneck| bottleneck.description.clone()).collect();
    Json(HealthAnswer { status, message, monitoring, requests, counts, issues, timestamp: units::now() })
}
