//! `/performance/metrics`: totals of the service, and its slowest endpoints.

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    CoreState,
    endpoints::{EndpointView, views},
    error::ApiError,
    parameters::Parameters,
    period::Period,
    timestamp, units,
};
use crate::{names, rules, store::Window};

/// Number of slowest endpoints.
const SLOWEST: usize = 10;

/// Totals of the service, and its slowest endpoints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct MetricsAnswer {
    summary: Summary,
    /// Pairs of name and numbers, by average duration, slowest first.
    slowest_endpoints: Vec<(String, SlowestEndpoint)>,
    timestamp: String,
}

/// Totals of the whole service. A value without a measurement is null: no traffic is not zero milliseconds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Summary {
    /// Requests that ended, including those that matched no route.
    pub(super) total_requests: u64,
    pub(super) avg_duration_ms: Option<f64>,
    pub(super) max_duration_ms: Option<f64>,
    pub(super) min_duration_ms: Option<f64>,
    /// Server errors: 5xx, panics, broken bodies.
    pub(super) error_rate_percent: Option<f64>,
    /// Mean resident memory, in megabytes of 1,000,000 bytes.
    pub(super) avg_memory_mb: Option<f64>,
    pub(super) total_db_queries: u64,
    pub(super) total_db_time_ms: f64,
    pub(super) total_async_tasks: u64,
    pub(super) total_async_time_ms: f64,
    /// Median of the durations. All percentiles are within 5 % from 8 µs on.
    pub(super) p50_duration_ms: Option<f64>,
    pub(super) p95_duration_ms: Option<f64>,
    pub(super) p99_duration_ms: Option<f64>,
    pub(super) requests_per_second: Option<f64>,
    /// Requests in flight now.
    pub(super) active_requests: u64,
    /// Requests that matched no route and belong to no endpoint.
    pub(super) unmatched_requests: u64,
    /// Length of the window in seconds.
    pub(super) window_seconds: f64,
}

/// One of the slowest endpoints; durations in seconds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SlowestEndpoint {
    avg_duration: f64,
    requests: u64,
    max_duration: Option<f64>,
    p95_duration: Option<f64>,
}

impl Summary {
    pub(super) fn of(window: &Window, mean_memory: Option<f64>) -> Self {
        let requests = rules::Totals::of(window, names::HTTP_DURATION.name);
        let queries = rules::Totals::of(window, names::DB_DURATION.name);
        let tasks = rules::Totals::of(window, names::TASK_DURATION.name);
        let quantile = |percent| requests.quantile(percent).map(units::millis);
        let active = window.series(names::HTTP_ACTIVE.name).filter_map(|series| series.last());
        Self {
            total_requests: requests.count(),
            avg_duration_ms: requests.mean().map(units::millis),
            max_duration_ms: requests.max().map(units::millis),
            min_duration_ms: requests.min().map(units::millis),
            error_rate_percent: requests.error_ratio().map(units::percent),
            avg_memory_mb: mean_memory.map(units::megabytes),
            total_db_queries: queries.count(),
            total_db_time_ms: units::millis(queries.seconds()),
            total_async_tasks: tasks.count(),
            total_async_time_ms: units::millis(tasks.seconds()),
            p50_duration_ms: quantile(50),
            p95_duration_ms: quantile(95),
            p99_duration_ms: quantile(99),
            requests_per_second: requests.rate(window.span()).map(units::round_millis),
            active_requests: units::count(active.sum()),
            unmatched_requests: requests.unmatched(),
            window_seconds: units::seconds(window.span()),
        }
    }
}

/// Totals of the service, and its slowest endpoints.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/metrics", tag = "metrics", params(Period),
    responses((status = 200, body = MetricsAnswer), (status = 400, body = super::error::ErrorBody))
))]
pub(super) async fn metrics(
    State(core): CoreState,
    Parameters(period): Parameters<Period>,
) -> Result<Json<MetricsAnswer>, ApiError> {
    let window = period.window(&core)?;
    let summary = Summary::of(&window, core.mean_memory_of(&window));
    let mut endpoints = views(&window);
    let average = |endpoint: &EndpointView| endpoint.avg_duration_ms.unwrap_or(0.0);
    endpoints.sort_by(|a, b| average(b).total_cmp(&average(a)));
    let slowest = endpoints.into_iter().take(SLOWEST).map(|endpoint| {
        let seconds = |millis: f64| units::round_micros(millis / 1e3);
        let numbers = SlowestEndpoint {
            avg_duration: seconds(average(&endpoint)),
            requests: endpoint.request_count,
            max_duration: endpoint.max_duration_ms.map(seconds),
            p95_duration: endpoint.p95_duration_ms.map(seconds),
        };
        (endpoint.endpoint, numbers)
    });
    Ok(Json(MetricsAnswer { summary, slowest_endpoints: slowest.collect(), timestamp: timestamp::now() }))
}
