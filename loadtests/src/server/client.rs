//! [`ServerClient`]: reads a service's `/metrics` and `/performance/*`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode, Url, header::HeaderMap, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{bottleneck::Bottleneck, exposition::parse_samples};
use crate::{
    engine::{explain, hint_for},
    lock::lock,
};

/// Longest time to the last byte of a response: the service may be busy with the load, but the report must not wait for
/// it without end.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// All bottlenecks that fire, each with a summary of its evidence: the slow requests with their timelines would be most of
/// the answer, which is read every few seconds while the service is under load.
const BOTTLENECKS: &str = "/performance/bottlenecks?evidence=summary&limit=1000";
/// Redirects followed within the service's origin.
const MOST_REDIRECTS: usize = 5;

/// Reads one service.
#[derive(Clone, Debug)]
pub(crate) struct ServerClient {
    client: Client,
    base: Url,
    credentials: Credentials,
    /// Requests sent, which the server's totals include.
    requests: Arc<AtomicU64>,
    /// Why something could not be read, until it is taken.
    error: Arc<Mutex<Option<ServiceError>>>,
}

/// How a service is reached.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// The headers of each request.
    pub(crate) credentials: Credentials,
    /// Longest time to the last byte of a response.
    pub(crate) timeout: Duration,
    /// Whether certificates are accepted that no known authority has signed.
    pub(crate) accept_invalid_certs: bool,
}

/// The headers of `--header`, as far as they may be sent.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// These, which may be none.
    Headers(HeaderMap),
    /// None, because they are meant for another origin.
    Withheld,
}

/// Why a service could not be read.
#[derive(Clone, Debug, Error)]
pub(crate) enum ServiceError {
    /// It asks for credentials.
    #[error("{url} answers {status}; {hint}")]
    Refused {
        /// What was requested.
        url: Url,
        /// 401 or 403.
        status: StatusCode,
        /// What may help.
        hint: &'static str,
    },
    /// No response came.
    #[error("no answer from {url}: {problem}{}", hint_for(problem))]
    NoResponse {
        /// What was requested.
        url: Url,
        /// Why.
        problem: String,
    },
}

/// Cumulative numbers of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct EndpointFacts {
    /// Requests that have ended.
    pub(crate) requests: f64,
    /// Sum of their durations.
    pub(crate) seconds: f64,
    /// Time in database queries.
    pub(crate) db_seconds: f64,
    /// Database queries.
    pub(crate) db_queries: f64,
    /// Time inside poll.
    pub(crate) busy_seconds: f64,
    /// Longest single poll since the service's start.
    pub(crate) longest_poll_seconds: Option<f64>,
}

/// The counters of a service at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerSnapshot {
    /// By method and route.
    pub(crate) endpoints: BTreeMap<(String, String), EndpointFacts>,
    pub(crate) process: ProcessFacts,
}

/// Cumulative numbers of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ProcessFacts {
    pub(crate) cpu_seconds: f64,
    /// Summed over the runtime's workers.
    pub(crate) worker_busy_seconds: f64,
    /// How many workers the runtime has.
    pub(crate) workers: f64,
    /// How late the service's own timer was polled, summed over its ticks; every other task that is ready waits as long.
    pub(crate) lag_seconds: f64,
    /// How often that was measured.
    pub(crate) lags: f64,
}

/// The service's own summary.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) total_requests: u64,
    pub(crate) avg_duration_ms: Option<f64>,
    pub(crate) p95_duration_ms: Option<f64>,
    pub(crate) error_rate_percent: Option<f64>,
    pub(crate) avg_memory_mb: Option<f64>,
    pub(crate) total_db_queries: u64,
    pub(crate) active_requests: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BottlenecksResponse {
    bottlenecks: Vec<Bottleneck>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointsResponse {
    endpoints: Vec<EndpointResponse>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointResponse {
    method: String,
    route: String,
    longest_poll_ms: Option<f64>,
}

#[derive(Deserialize)]
struct MetricsResponse {
    summary: Summary,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryResponse {
    current_memory_mb: Option<f64>,
}

impl ServerClient {
    /// Returns a client for the service at `base`; `None` if no HTTP client can be set up on this system.
    pub(crate) fn new(base: &Url, asking: ClientOptions) -> Option<Self> {
        let ClientOptions { credentials, timeout, accept_invalid_certs } = asking;
        let client = Client::builder()
            .no_proxy()
            .timeout(timeout)
            .tls_danger_accept_invalid_certs(accept_invalid_certs)
            // A redirect to another origin would carry the credentials there.
            .redirect(redirect::Policy::custom(|attempt| {
                let same = attempt.previous().iter().all(|from| from.origin() == attempt.url().origin());
                if same && attempt.previous().len() <= MOST_REDIRECTS { attempt.follow() } else { attempt.stop() }
            }))
            .build()
            .ok()?;
        Some(Self { client, base: base.clone(), credentials, requests: Arc::default(), error: Arc::default() })
    }

    /// Returns the cumulative numbers of each endpoint and of the process; `None` without Pinchpoint's metrics.
    pub(crate) async fn snapshot(&self) -> Option<ServerSnapshot> {
        let text = self.text("/metrics").await?;
        let mut endpoints = read_endpoints(&text);
        if let Some(response) = self.json::<EndpointsResponse>("/performance/endpoints").await {
            for endpoint in response.endpoints {
                if let Some(facts) = endpoints.get_mut(&(endpoint.method, endpoint.route)) {
                    facts.longest_poll_seconds = endpoint.longest_poll_ms.map(|millis| millis / 1e3);
                }
            }
        }
        // Before its first request a service has no series of requests, but those that the monitor has on itself.
        text.contains("pinchpoint_").then(|| ServerSnapshot { endpoints, process: read_process(&text) })
    }

    /// Returns the cumulative numbers of the process alone; `None` where they cannot be read.
    pub(crate) async fn process(&self) -> Option<ProcessFacts> {
        Some(read_process(&self.text("/metrics").await?))
    }

    /// Returns the bottlenecks that fire now; `None` where they cannot be read.
    pub(crate) async fn bottlenecks(&self) -> Option<Vec<Bottleneck>> {
        Some(self.json::<BottlenecksResponse>(BOTTLENECKS).await?.bottlenecks)
    }

    /// Returns the service's own summary; `None` where it cannot be read.
    pub(crate) async fn summary(&self) -> Option<Summary> {
        Some(self.json::<MetricsResponse>("/performance/metrics").await?.summary)
    }

    /// Returns the resident memory in megabytes of 1,000,000 bytes; `None` where it cannot be read.
    pub(crate) async fn memory_mb(&self) -> Option<f64> {
        self.json::<MemoryResponse>("/performance/memory").await?.current_memory_mb
    }

    /// Returns how many requests were sent.
    pub(crate) fn request_count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        serde_json::from_str(&self.text(path).await?).ok()
    }

    /// Removes and returns the error of the last request that failed; a refusal is kept before any other error.
    pub(crate) fn take_error(&self) -> Option<ServiceError> {
        lock(&self.error).take()
    }

    async fn text(&self, path: &str) -> Option<String> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let url = self.base.join(path).ok()?;
        let mut request = self.client.get(url.clone());
        if let Credentials::Headers(headers) = &self.credentials {
            request = request.headers(headers.clone());
        }
        let answered = async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, if status.is_success() { Some(response.text().await?) } else { None }))
        };
        match answered.await {
            Ok((status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _)) => {
                self.note(ServiceError::Refused { url, status, hint: self.credentials.hint() });
                None
            }
            Ok((_, text)) => text,
            Err(error) => {
                self.note(ServiceError::NoResponse { url, problem: explain(&error) });
                None
            }
        }
    }

    fn note(&self, error: ServiceError) {
        let mut known = lock(&self.error);
        if !matches!((&*known, &error), (Some(ServiceError::Refused { .. }), ServiceError::NoResponse { .. })) {
            *known = Some(error);
        }
    }
}

impl Credentials {
    fn hint(&self) -> &'static str {
        match self {
            Self::Headers(headers) if headers.is_empty() => "--monitor-token or --header can give it credentials",
            Self::Headers(_) => "what --monitor-token or --header gives does not suffice",
            Self::Withheld => {
                "--monitor-token can give it credentials; --header is sent to the origin of --base-url only"
            }
        }
    }
}

/// Sums the series of each endpoint, which differ by status.
fn read_endpoints(text: &str) -> BTreeMap<(String, String), EndpointFacts> {
    let mut endpoints: BTreeMap<(String, String), EndpointFacts> = BTreeMap::new();
    for sample in ["http_server_request_duration_seconds", "pinchpoint_request_"]
        .iter()
        .flat_map(|prefix| parse_samples(text, prefix))
    {
        let field: fn(&mut EndpointFacts) -> &mut f64 = match sample.name.as_str() {
            "http_server_request_duration_seconds_count" => |facts| &mut facts.requests,
            "http_server_request_duration_seconds_sum" => |facts| &mut facts.seconds,
            "pinchpoint_request_db_seconds_sum" => |facts| &mut facts.db_seconds,
            "pinchpoint_request_db_queries_sum" => |facts| &mut facts.db_queries,
            "pinchpoint_request_busy_seconds_sum" => |facts| &mut facts.busy_seconds,
            _ => continue,
        };
        let route = (sample.label("http_request_method").to_owned(), sample.label("http_route").to_owned());
        *field(endpoints.entry(route).or_default()) += sample.value;
    }
    endpoints
}

fn read_process(text: &str) -> ProcessFacts {
    let mut process = ProcessFacts::default();
    for sample in
        ["process_cpu_seconds_total", "pinchpoint_tokio_"].iter().flat_map(|prefix| parse_samples(text, prefix))
    {
        match sample.name.as_str() {
            "process_cpu_seconds_total" => process.cpu_seconds = sample.value,
            "pinchpoint_tokio_worker_busy_seconds_total" => process.worker_busy_seconds = sample.value,
            "pinchpoint_tokio_workers" => process.workers = sample.value,
            "pinchpoint_tokio_scheduling_lag_seconds_sum" => process.lag_seconds = sample.value,
            "pinchpoint_tokio_scheduling_lag_seconds_count" => process.lags = sample.value,
            _ => {}
        }
    }
    process
}
