//! `/performance/health`.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;

use super::{CoreState, bottlenecks::Counts, timestamp};
use crate::{
    monitor::{Core, Judgement},
    names::{self, DEFAULT_WINDOW},
    rules::{Totals, Unit},
};

/// Intervals after which an evaluation no longer describes the present.
const STALE: u32 = 3;
/// An evaluation younger than this is fresh at any interval: a busy machine may skip several intervals of a fraction of a
/// second.
const SURELY_FRESH: Duration = Duration::from_secs(5);

/// So many requests that run for more than 10 s are no few downloads: what they wait for is not known yet.
const MANY: u64 = 10;

/// The health of the service, in one word with its reason.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct HealthAnswer {
    /// `excellent`: nothing fires. `good`: nothing of high severity. `degraded`: something high, nothing critical.
    /// `critical`: something critical. `unknown`: the rules were not evaluated lately, or nothing fires while monitoring is
    /// stopped or no request matched a route in the last 5 min, or ten requests or more have been
    /// in flight for more than 10 s.
    #[cfg_attr(feature = "openapi", schema(example = "excellent"))]
    status: &'static str,
    /// Why.
    message: String,
    /// Whether requests are measured now.
    monitoring: bool,
    /// Requests of the last 5 min that matched a route.
    requests: u64,
    #[serde(flatten)]
    counts: Counts,
    /// Descriptions of the firing bottlenecks, worst first.
    issues: Vec<String>,
    timestamp: String,
}

/// What health depends on.
#[derive(Debug)]
pub(super) struct Health {
    /// Firing bottlenecks.
    counts: Counts,
    /// Requests of the last [`DEFAULT_WINDOW`] that matched a route: scanners are no users.
    requests: u64,
    /// Requests in flight for longer than nearly all are.
    long_running: u64,
    /// Whether requests are measured now.
    monitoring: bool,
    /// How long ago the rules were evaluated.
    evaluated: Option<Duration>,
    interval: Duration,
}

impl Health {
    pub(super) fn of(core: &Core, judgement: &Judgement, now: Instant) -> Self {
        let recent = Totals::of(&core.window(now, DEFAULT_WINDOW), names::HTTP_DURATION.name);
        Self {
            counts: Counts::of(&judgement.firing),
            requests: recent.count() - recent.unmatched(),
            long_running: core.instruments().long_running(),
            monitoring: core.instruments().enabled(),
            evaluated: judgement.at.map(|at| now.saturating_duration_since(at)),
            interval: core.interval(),
        }
    }

    /// Returns the health in one word, and its reason. Silence is not health: without traffic it is unknown.
    pub(super) fn verdict(&self) -> (&'static str, String) {
        let Self { counts, requests, .. } = self;
        let Some(evaluated) = self.evaluated else { return ("unknown", "the rules were not evaluated yet".to_owned()) };
        if evaluated > (self.interval * STALE).max(SURELY_FRESH) {
            ("unknown", format!("the rules were last evaluated {} ago", span(evaluated)))
        } else if counts.total_count == 0 && !self.monitoring {
            ("unknown", "monitoring is stopped".to_owned())
        } else if counts.total_count == 0 && *requests == 0 {
            ("unknown", format!("no request matched a route in the last {}", span(DEFAULT_WINDOW)))
        } else if counts.total_count == 0 && self.long_running >= MANY {
            (
                "unknown",
                format!("{} requests have been in flight for more than 10s, and may never end", self.long_running),
            )
        } else if counts.critical_count > 0 {
            ("critical", bottlenecks(counts.critical_count, "critical ", ""))
        } else if counts.high_count > 0 {
            ("degraded", bottlenecks(counts.high_count, "", " of high severity"))
        } else if counts.total_count > 0 {
            ("good", bottlenecks(counts.total_count, "", ", none of high severity"))
        } else {
            let plural = if *requests == 1 { "" } else { "s" };
            ("excellent", format!("no bottleneck in {requests} request{plural} of the last {}", span(DEFAULT_WINDOW)))
        }
    }
}

fn span(span: Duration) -> String {
    Unit::Seconds.render(span.as_secs_f64())
}

fn bottlenecks(count: usize, before: &str, after: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {before}bottleneck{plural}{after}")
}

/// The health of the service. Always 200: this is a report on the service, not a probe for a load balancer.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/health", tag = "analysis", responses((status = 200, body = HealthAnswer))))]
pub(super) async fn health(State(core): CoreState) -> Json<HealthAnswer> {
    let judgement = core.judgement();
    let health = Health::of(&core, &judgement, Instant::now());
    let (status, message) = health.verdict();
    let issues = judgement.firing.iter().map(|bottleneck| bottleneck.description.clone()).collect();
    let Health { counts, requests, monitoring, .. } = health;
    Json(HealthAnswer { status, message, monitoring, requests, counts, issues, timestamp: timestamp::now() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn quiet(requests: u64) -> Health {
        let (counts, evaluated) = (Counts::of(&[]), Some(INTERVAL));
        Health { counts, requests, long_running: 0, monitoring: true, evaluated, interval: INTERVAL }
    }

    #[track_caller]
    fn check(health: &Health, status: &str, message: &str) {
        assert_eq!(health.verdict(), (status, message.to_owned()));
    }

    #[test]
    fn silence_is_not_health() {
        check(&quiet(1), "excellent", "no bottleneck in 1 request of the last 5m");
        check(&quiet(0), "unknown", "no request matched a route in the last 5m");
        check(&Health { monitoring: false, ..quiet(7) }, "unknown", "monitoring is stopped");
        let message = "85 requests have been in flight for more than 10s, and may never end";
        check(&Health { long_running: 85, ..quiet(7) }, "unknown", message);
    }

    #[test]
    fn a_stale_evaluation_is_not_health() {
        check(&Health { evaluated: None, ..quiet(7) }, "unknown", "the rules were not evaluated yet");
        let old = |evaluated| Health { evaluated: Some(evaluated), ..quiet(7) };
        check(&old(INTERVAL * 3), "excellent", "no bottleneck in 7 requests of the last 5m");
        check(&old(Duration::from_secs(120)), "unknown", "the rules were last evaluated 2m ago");
        let short = Health { interval: INTERVAL / 50, evaluated: Some(INTERVAL), ..quiet(7) };
        check(&short, "excellent", "no bottleneck in 7 requests of the last 5m");
    }
}
