//! One look at a running service, for the monitor mode.

use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use super::client::{Bottleneck, ServerClient, ServerSnapshot, ServiceError};
use crate::span::show_seconds;

/// What a service says of itself at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Observation {
    /// Seconds since the watch began.
    pub(crate) at: f64,
    /// Since the look before; absent at the first.
    pub(crate) requests_per_second: Option<f64>,
    /// Mean of the requests since the look before, in seconds.
    pub(crate) avg_duration: Option<f64>,
    /// Since the service's start.
    pub(crate) total_requests: u64,
    pub(crate) error_rate_percent: Option<f64>,
    pub(crate) active_requests: f64,
    pub(crate) memory_mb: Option<f64>,
    /// Endpoints with requests since the look before, the most time first.
    pub(crate) endpoints: Vec<EndpointObservation>,
    /// What fires.
    pub(crate) bottlenecks: Vec<Bottleneck>,
    /// Why something is missing here that the service did not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incomplete: Option<String>,
}

/// One endpoint since the look before.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EndpointObservation {
    pub(crate) endpoint: String,
    pub(crate) requests_per_second: f64,
    /// In seconds.
    pub(crate) avg_duration: f64,
}

/// What the next look compares itself with.
#[derive(Debug)]
pub(crate) struct PreviousObservation {
    snapshot: ServerSnapshot,
    taken: Instant,
}

/// The service says nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ObserveError {
    /// It has no monitor.
    #[error(
        "the service does not answer at /performance/metrics; has it Pinchpoint inside? (--base-url names another)"
    )]
    NoPerformance,
    /// It was asked and did not tell.
    #[error(transparent)]
    Silent(#[from] ServiceError),
    /// The system gives no HTTP client.
    #[error("cannot set up the HTTP client")]
    NoClient,
}

/// Looks at a service.
pub(crate) async fn observe(
    client: &ServerClient,
    previous: Option<&PreviousObservation>,
    at: Duration,
) -> Result<(Observation, PreviousObservation), ObserveError> {
    let Some(summary) = client.summary().await else {
        return Err(client.take_error().map_or(ObserveError::NoPerformance, ObserveError::Silent));
    };
    let snapshot = client.snapshot().await.unwrap_or_default();
    let taken = Instant::now();
    let mut endpoints = Vec::new();
    let (mut requests, mut seconds, mut span) = (0.0, 0.0, 0.0);
    if let Some(previous) = previous {
        span = taken.duration_since(previous.taken).as_secs_f64().max(1e-3);
        for (key, now) in &snapshot.endpoints {
            let before = previous.snapshot.endpoints.get(key).copied().unwrap_or_default();
            let (more, took) = (now.requests - before.requests, now.seconds - before.seconds);
            if more > 0.0 {
                requests += more;
                seconds += took;
                endpoints.push(EndpointObservation {
                    endpoint: if key.1.is_empty() { "no route".to_owned() } else { format!("{} {}", key.0, key.1) },
                    requests_per_second: round(more / span),
                    avg_duration: took / more,
                });
            }
        }
    }
    let time = |endpoint: &EndpointObservation| endpoint.requests_per_second * endpoint.avg_duration;
    endpoints.sort_by(|a, b| time(b).total_cmp(&time(a)));
    let look = Observation {
        at: round(at.as_secs_f64()),
        requests_per_second: previous.map(|_| round(requests / span)),
        avg_duration: (requests > 0.0).then(|| seconds / requests),
        total_requests: summary.total_requests,
        error_rate_percent: summary.error_rate_percent,
        active_requests: summary.active_requests,
        memory_mb: client.memory_mb().await.or(summary.avg_memory_mb),
        endpoints,
        bottlenecks: client.bottlenecks().await.unwrap_or_default(),
        incomplete: client.take_error().map(|silence| silence.to_string()),
    };
    Ok((look, PreviousObservation { snapshot, taken }))
}

impl Observation {
    /// The look as text; bottlenecks in full when they are new since `before`.
    pub(crate) fn render(&self, before: Option<&Self>) -> String {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut text = format!(
            "{:>6.1} s  {:>8} req/s  mean {:>8}  in flight {:>3}  errors {:>7}  memory {:>7}  {} bottleneck{}\n",
            self.at,
            or_dash(self.requests_per_second.map(|rate| format!("{rate:.1}"))),
            or_dash(self.avg_duration.map(show_seconds)),
            self.active_requests,
            or_dash(self.error_rate_percent.map(|percent| format!("{percent:.2} %"))),
            or_dash(self.memory_mb.map(|memory| format!("{memory:.0} MB"))),
            self.bottlenecks.len(),
            if self.bottlenecks.len() == 1 { "" } else { "s" },
        );
        for endpoint in self.endpoints.iter().take(MOST_ENDPOINTS) {
            text.push_str(&format!(
                "          {:>8.1} req/s  mean {:>8}  {}\n",
                endpoint.requests_per_second,
                show_seconds(endpoint.avg_duration),
                endpoint.endpoint
            ));
        }
        if let Some(why) = &self.incomplete
            && before.is_none_or(|before| before.incomplete.is_none())
        {
            text.push_str(&format!("  Incomplete: {why}.\n"));
        }
        let known = |of: &Self, bottleneck: &Bottleneck| of.bottlenecks.iter().any(|other| same(other, bottleneck));
        for bottleneck in self.bottlenecks.iter().filter(|new| before.is_none_or(|before| !known(before, new))) {
            text.push_str(&format!(
                "  FIRING  {} ({}): {}. {}.\n",
                bottleneck.kind, bottleneck.severity, bottleneck.description, bottleneck.impact
            ));
            if let Some(advice) = bottleneck.recommendations.first() {
                text.push_str(&format!("          {advice}\n"));
            }
        }
        for gone in before.iter().flat_map(|before| &before.bottlenecks).filter(|old| !known(self, old)) {
            text.push_str(&format!("  CLEAR   {} ({}): {}\n", gone.kind, gone.severity, gone.subject));
        }
        text
    }
}

fn same(a: &Bottleneck, b: &Bottleneck) -> bool {
    a.kind == b.kind && a.subject == b.subject && a.severity == b.severity
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

const MOST_ENDPOINTS: usize = 5;
