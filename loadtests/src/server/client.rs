//! Asks a service what it saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::exposition::samples;
use crate::engine::{explain, hint_for};

/// Asks one service.
#[derive(Clone, Debug)]
pub(crate) struct ServerClient {
    client: Client,
    base: Url,
    credentials: Credentials,
    asked: Arc<AtomicU64>,
    silence: Arc<Mutex<Option<ServiceError>>>,
}

/// How a service is asked.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// What is sent with each request.
    pub(crate) credentials: Credentials,
    /// Longest time until the last byte of an answer.
    pub(crate) timeout: Duration,
    /// Whether certificates that nobody vouches for are taken.
    pub(crate) accept_invalid_certs: bool,
}

/// The headers of `--header`, where they may be sent.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// These, if there are any.
    Headers(HeaderMap),
    /// None: they are meant for another origin.
    Withheld,
}

/// Why a service did not tell.
#[derive(Clone, Debug, Error)]
pub(crate) enum ServiceError {
    /// It does not know who asks.
    #[error("{url} answers {status}; {hint}")]
    Refused {
        /// What was asked for.
        url: Url,
        /// 401 or 403.
        status: StatusCode,
        /// What may help.
        hint: &'static str,
    },
    /// There was no answer.
    #[error("no answer from {url}: {problem}{}", hint_for(problem))]
    NoAnswer {
        /// What was asked for.
        url: Url,
        /// Why.
        problem: String,
    },
}

/// Cumulative numbers of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct EndpointFacts {
    /// Requests that ended.
    pub(crate) requests: f64,
    /// Sum of their durations.
    pub(crate) seconds: f64,
    /// Time in queries.
    pub(crate) db_seconds: f64,
    /// Queries.
    pub(crate) db_queries: f64,
    /// Time inside poll.
    pub(crate) busy_seconds: f64,
    /// Longest single poll since the service's start.
    pub(crate) longest_poll_seconds: Option<f64>,
}

/// What a service tells at one moment.
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
}

/// A finding of the service, as its API tells it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Bottleneck {
    /// Rule.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) severity: String,
    pub(crate) subject: String,
    pub(crate) description: String,
    pub(crate) impact: String,
    pub(crate) recommendations: Vec<String>,
    pub(crate) affected_endpoints: Vec<String>,
    /// Numbers and words behind it, as the service gives them.
    pub(crate) evidence: serde_json::Value,
}

/// The service at a glance.
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

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct BottlenecksAnswer {
    bottlenecks: Vec<Bottleneck>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointsAnswer {
    endpoints: Vec<EndpointAnswer>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointAnswer {
    method: String,
    route: String,
    longest_poll_ms: Option<f64>,
}

#[derive(Deserialize)]
struct MetricsAnswer {
    summary: Summary,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryAnswer {
    current_memory_mb: Option<f64>,
}

impl ServerClient {
    /// A client for the service at an address; `None` if the system gives no HTTP client.
    pub(crate) fn new(base: &Url, asking: ClientOptions) -> Option<Self> {
        let ClientOptions { credentials, timeout, accept_invalid_certs } = asking;
        let client = Client::builder()
            .no_proxy()
            .timeout(timeout)
            .tls_danger_accept_invalid_certs(accept_invalid_certs)
            // Headers would go along to wherever a redirect leads.
            .redirect(redirect::Policy::custom(|attempt| {
                let same = attempt.previous().iter().all(|from| from.origin() == attempt.url().origin());
                if same && attempt.previous().len() <= MOST_REDIRECTS { attempt.follow() } else { attempt.stop() }
            }))
            .build()
            .ok()?;
        Some(Self { client, base: base.clone(), credentials, asked: Arc::default(), silence: Arc::default() })
    }

    /// Cumulative numbers by endpoint; `None` where the service tells none.
    pub(crate) async fn snapshot(&self) -> Option<ServerSnapshot> {
        let text = self.text("/metrics").await?;
        let mut endpoints: BTreeMap<(String, String), EndpointFacts> = BTreeMap::new();
        for sample in samples(&text, "http_server_") {
            let field: fn(&mut EndpointFacts) -> &mut f64 = match sample.name.as_str() {
                "http_server_request_duration_seconds_count" => |facts| &mut facts.requests,
                "http_server_request_duration_seconds_sum" => |facts| &mut facts.seconds,
                "http_server_request_db_seconds_sum" => |facts| &mut facts.db_seconds,
                "http_server_request_db_queries_sum" => |facts| &mut facts.db_queries,
                "http_server_request_busy_seconds_sum" => |facts| &mut facts.busy_seconds,
                _ => continue,
            };
            let key = (sample.label("http_request_method").to_owned(), sample.label("http_route").to_owned());
            *field(endpoints.entry(key).or_default()) += sample.value;
        }
        if let Some(answer) = self.json::<EndpointsAnswer>("/performance/endpoints").await {
            for endpoint in answer.endpoints {
                if let Some(facts) = endpoints.get_mut(&(endpoint.method, endpoint.route)) {
                    facts.longest_poll_seconds = endpoint.longest_poll_ms.map(|millis| millis / 1e3);
                }
            }
        }
        let mut process = ProcessFacts::default();
        for prefix in ["process_cpu_seconds_total", "tokio_worker"] {
            for sample in samples(&text, prefix) {
                match sample.name.as_str() {
                    "process_cpu_seconds_total" => process.cpu_seconds = sample.value,
                    "tokio_worker_busy_seconds_total" => process.worker_busy_seconds = sample.value,
                    "tokio_workers" => process.workers = sample.value,
                    _ => {}
                }
            }
        }
        // Before its first request a service has no series of requests, only those of the monitor on itself.
        text.contains("pinchpoint_").then_some(ServerSnapshot { endpoints, process })
    }

    /// What fires now; `None` where the service does not say.
    pub(crate) async fn bottlenecks(&self) -> Option<Vec<Bottleneck>> {
        Some(self.json::<BottlenecksAnswer>("/performance/bottlenecks").await?.bottlenecks)
    }

    /// The service at a glance; `None` where it does not say.
    pub(crate) async fn summary(&self) -> Option<Summary> {
        Some(self.json::<MetricsAnswer>("/performance/metrics").await?.summary)
    }

    /// Resident memory in megabytes of 1,000,000 bytes; `None` where the service does not say.
    pub(crate) async fn memory_mb(&self) -> Option<f64> {
        self.json::<MemoryAnswer>("/performance/memory").await?.current_memory_mb
    }

    /// How many requests it has made.
    pub(crate) fn request_count(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        serde_json::from_str(&self.text(path).await?).ok()
    }

    /// Why it was last told nothing, a refusal before anything else; forgotten then.
    pub(crate) fn take_error(&self) -> Option<ServiceError> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn text(&self, path: &str) -> Option<String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
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
                self.note(ServiceError::NoAnswer { url, problem: explain(&error) });
                None
            }
        }
    }

    fn note(&self, silence: ServiceError) {
        let mut known = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!((&*known, &silence), (Some(ServiceError::Refused { .. }), ServiceError::NoAnswer { .. })) {
            *known = Some(silence);
        }
    }
}

impl Credentials {
    fn hint(&self) -> &'static str {
        match self {
            Self::Headers(headers) if headers.is_empty() => "--header can give it credentials",
            Self::Headers(_) => "what --header gives does not suffice",
            Self::Withheld => "--header is sent to the origin of --base-url only",
        }
    }
}

/// The service may be busy with the load, but the report does not wait for ever.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 5;
