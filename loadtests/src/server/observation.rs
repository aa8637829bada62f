//! [`Observation`]: what a running service reports at one moment, for the monitor mode.

use std::time::{Duration, Instant};

use serde::Serialize;
use thiserror::Error;

use super::{
    bottleneck::Bottleneck,
    client::{ServerClient, ServerSnapshot, ServiceError},
};
use crate::{printable::printable_line, span::show_seconds};

/// Endpoints shown in the terminal; the JSON file has all.
const MOST_ENDPOINTS: usize = 5;

/// What a service reports of itself at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Observation {
    /// Seconds since the watch began.
    pub(crate) at: f64,
    /// Since the observation before; absent in the first.
    pub(crate) requests_per_second: Option<f64>,
    /// Mean of the requests since the observation before, in seconds.
    pub(crate) avg_duration: Option<f64>,
    /// Since the service's start.
    pub(crate) total_requests: u64,
    pub(crate) error_rate_percent: Option<f64>,
    pub(crate) active_requests: f64,
    pub(crate) memory_mb: Option<f64>,
    /// Endpoints with requests since the observation before, the most time first.
    pub(crate) endpoints: Vec<EndpointObservation>,
    /// Bottlenecks that fire.
    pub(crate) bottlenecks: Vec<Bottleneck>,
    /// Why a part is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incomplete: Option<String>,
}

/// One endpoint since the observation before.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EndpointObservation {
    pub(crate) endpoint: String,
    pub(crate) requests_per_second: f64,
    /// In seconds.
    pub(crate) avg_duration: f64,
}

/// The counters that the next observation subtracts.
#[derive(Debug)]
pub(crate) struct PreviousObservation {
    snapshot: ServerSnapshot,
    taken: Instant,
}

/// Why a service cannot be observed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ObserveError {
    /// It has no endpoint of the monitor.
    #[error(
        "the service does not answer at /performance/metrics; has it Pinchpoint inside? (--base-url names another)"
    )]
    NoPerformance,
    /// It refused, or did not answer.
    #[error(transparent)]
    Silent(#[from] ServiceError),
    /// No HTTP client can be set up on this system.
    #[error("cannot set up the HTTP client")]
    NoClient,
}

/// Observes a service; rates and means are of the time since `previous`.
///
/// # Errors
///
/// [`ObserveError::NoPerformance`] or [`ObserveError::Silent`] if the summary cannot be read. A part that cannot be read is
/// absent, and named in [`Observation::incomplete`].
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
    let span = previous.map_or(0.0, |previous| taken.duration_since(previous.taken).as_secs_f64().max(1e-3));
    let (mut requests, mut seconds, mut endpoints) = (0.0, 0.0, Vec::new());
    for (route, now) in previous.iter().flat_map(|_| &snapshot.endpoints) {
        let before = previous.and_then(|previous| previous.snapshot.endpoints.get(route)).copied().unwrap_or_default();
        let (more, took) = (now.requests - before.requests, now.seconds - before.seconds);
        if more > 0.0 {
            requests += more;
            seconds += took;
            endpoints.push(EndpointObservation {
                endpoint: if route.1.is_empty() { "no route".to_owned() } else { format!("{} {}", route.0, route.1) },
                requests_per_second: round(more / span),
                avg_duration: took / more,
            });
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
        incomplete: client.take_error().map(|error| error.to_string()),
    };
    Ok((look, PreviousObservation { snapshot, taken }))
}

impl Observation {
    /// Returns the observation as text, with the bottlenecks that fire or are resolved since `before`.
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
                printable_line(&endpoint.endpoint)
            ));
        }
        if let Some(why) = &self.incomplete
            && before.is_none_or(|before| before.incomplete.is_none())
        {
            text.push_str(&format!("  Incomplete: {why}.\n"));
        }
        text + &self.render_changes(before)
    }

    fn render_changes(&self, before: Option<&Self>) -> String {
        let fires_in = |observation: &Self, bottleneck: &Bottleneck| {
            observation.bottlenecks.iter().any(|other| other.is_same(bottleneck))
        };
        let mut text = String::new();
        let is_new = |bottleneck: &&Bottleneck| before.is_none_or(|before| !fires_in(before, bottleneck));
        for bottleneck in self.bottlenecks.iter().filter(is_new) {
            let Bottleneck { kind, severity, description, impact, .. } = bottleneck;
            let fired = printable_line(&format!("{kind} ({severity}): {description}. {impact}."));
            text.push_str(&format!("  FIRING  {fired}\n"));
            if let Some(advice) = bottleneck.recommendations.first() {
                text.push_str(&format!("          {}\n", printable_line(advice)));
            }
        }
        let resolved = before.iter().flat_map(|before| &before.bottlenecks).filter(|old| !fires_in(self, old));
        for bottleneck in resolved {
            let Bottleneck { kind, severity, subject, .. } = bottleneck;
            text.push_str(&format!("  CLEAR   {}\n", printable_line(&format!("{kind} ({severity}): {subject}"))));
        }
        text
    }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
