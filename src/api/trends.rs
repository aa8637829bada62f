//! `/performance/trends`: what gets better or worse.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    CoreState,
    error::ApiError,
    parameters::Parameters,
    timestamp,
    trend::{Coverage, TrendUnit, TrendView},
    units,
};
use crate::{
    names,
    rules::{EndpointTrends, TrendReport},
};

/// How far back an answer may look: seven days, which is what the trends keep.
const HOURS: std::ops::RangeInclusive<u32> = 1..=168;
const DEFAULT_HOURS: u32 = 24;

/// What got better or worse, overall and by endpoint.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct TrendsAnswer {
    /// The requested hours.
    hours: u32,
    from: String,
    to: String,
    /// How much of that there are data of, in hours.
    pub(super) covered_hours: f64,
    /// Length of a time bucket.
    pub(super) bucket_seconds: f64,
    /// Start of each bucket. Every `series` below has one value for each, null where nothing was measured.
    buckets: Vec<String>,
    requests: u64,
    /// Mean response time at a constant mix of the traffic: more calls of a slow endpoint are no slowdown. Failed and
    /// cancelled requests are in it, but failing at once is not faster, and the end of an outage not slower: a change is
    /// reported only where failed requests cannot explain it.
    pub(super) response_time: TrendView,
    /// Mean response time as the requests came.
    crude_response_time: TrendView,
    /// 95th percentile of the response time, in milliseconds, within about 10 %.
    p95_duration_ms: Vec<Option<f64>>,
    /// Share of failed requests at a constant mix of the traffic.
    pub(super) error_rate: TrendView,
    /// Share of failed requests as they came.
    crude_error_rate: TrendView,
    pub(super) memory: TrendView,
    pub(super) throughput: TrendView,
    /// Those that degrade first, then those that take most time; 50 at most.
    endpoints: Vec<EndpointTrendsView>,
    /// How many endpoints had requests in that time.
    endpoint_count: usize,
    /// Starts of the service in that time.
    runs: Vec<ServiceStart>,
    timestamp: String,
}

/// One endpoint's trends.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointTrendsView {
    #[cfg_attr(feature = "openapi", schema(example = "GET /api/users/{id}"))]
    endpoint: String,
    requests: u64,
    /// Sum of the durations of its requests.
    total_ms: f64,
    response_time: TrendView,
    p95_duration_ms: Vec<Option<f64>>,
    error_rate: TrendView,
    throughput: TrendView,
}

/// A start of the service.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ServiceStart {
    started_at: String,
    /// Null where the service has set none.
    version: Option<String>,
}

fn millis(series: &[Option<f64>]) -> Vec<Option<f64>> {
    series.iter().map(|value| value.map(units::millis)).collect()
}

impl EndpointTrendsView {
    fn of(endpoint: &EndpointTrends, coverage: Coverage) -> Self {
        Self {
            endpoint: endpoint.name.to_string(),
            requests: endpoint.requests,
            total_ms: units::millis(endpoint.seconds),
            response_time: TrendView::of(&endpoint.response_time, TrendUnit::Millis, coverage),
            p95_duration_ms: millis(&endpoint.p95),
            error_rate: TrendView::of(&endpoint.error_rate, TrendUnit::Percent, coverage),
            throughput: TrendView::of(&endpoint.throughput, TrendUnit::PerSecond, coverage),
        }
    }
}

impl TrendsAnswer {
    pub(super) fn of(report: &TrendReport, hours: u32) -> Self {
        let width = report.width;
        let covered = report.starts.first().map_or(Duration::ZERO, |start| report.to - *start.max(&report.from));
        let coverage = Coverage { width, covered, requested: report.to.saturating_sub(report.from) };
        let view = |judged, unit| TrendView::of(judged, unit, coverage);
        Self {
            hours,
            from: timestamp::of_wall(report.from),
            to: timestamp::of_wall(report.to),
            covered_hours: units::round_millis(covered.as_secs_f64() / 3600.0),
            bucket_seconds: units::seconds(width),
            buckets: report.starts.iter().map(|start| timestamp::of_wall(*start)).collect(),
            requests: report.requests,
            response_time: view(&report.response_time, TrendUnit::Millis),
            crude_response_time: view(&report.crude_response_time, TrendUnit::Millis),
            p95_duration_ms: millis(&report.p95),
            error_rate: view(&report.error_rate, TrendUnit::Percent),
            crude_error_rate: view(&report.crude_error_rate, TrendUnit::Percent),
            memory: view(&report.memory, TrendUnit::Megabytes),
            throughput: view(&report.throughput, TrendUnit::PerSecond),
            endpoints: report.endpoints.iter().map(|endpoint| EndpointTrendsView::of(endpoint, coverage)).collect(),
            endpoint_count: report.endpoint_count,
            runs: report
                .runs
                .iter()
                .map(|run| ServiceStart {
                    started_at: timestamp::of_wall(run.started),
                    version: (!run.version.is_empty()).then(|| names::shown(&*run.version).into_owned()),
                })
                .collect(),
            timestamp: timestamp::now(),
        }
    }
}

/// How far back an answer looks, and at what.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(super) struct TrendsQuery {
    /// How far back to look, 1 to 168; 24 by default.
    #[cfg_attr(feature = "openapi", param(value_type = Option<u32>, minimum = 1, maximum = 168))]
    hours: Option<String>,
    /// Only this endpoint: method and route template, or the template alone.
    #[cfg_attr(feature = "openapi", param(example = "GET /api/users/{id}"))]
    endpoint: Option<String>,
}

impl TrendsQuery {
    fn hours(&self) -> Result<u32, ApiError> {
        let Some(text) = &self.hours else { return Ok(DEFAULT_HOURS) };
        // `parse` takes a sign too.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let hours = text.parse().ok().filter(|hours| is_number && HOURS.contains(hours));
        hours.ok_or_else(|| ApiError::bad_request("hours must be a whole number from 1 to 168"))
    }

    /// Returns whether an endpoint is asked for: by method and template, or by the template with any method.
    fn matches(&self, name: &str) -> bool {
        let Some(wanted) = &self.endpoint else { return true };
        let route = name.split_once(' ').map_or(name, |(_, route)| route);
        name == names::shown(wanted.trim()) || route.trim_matches('/') == wanted.trim().trim_matches('/')
    }
}

/// Whether response time, errors, memory and throughput get better or worse, overall and by endpoint.
///
/// A change is reported only where it is both certain (Mann–Kendall's test, or a change point) and large enough to matter;
/// its size is that of the Theil–Sen line or of the step. One outlier is no trend.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/trends", tag = "analysis",
    params(TrendsQuery),
    responses(
        (status = 200, body = TrendsAnswer), (status = 400, body = super::error::ErrorBody), (status = 404, body = super::error::ErrorBody)
    )
))]
pub(super) async fn trends(
    State(core): CoreState,
    Parameters(query): Parameters<TrendsQuery>,
) -> Result<Json<TrendsAnswer>, ApiError> {
    let hours = query.hours()?;
    let length = Duration::from_secs(u64::from(hours) * 3600);
    let only_one = query.endpoint.is_some();
    let report = core.trends(Instant::now(), length, move |name| query.matches(name)).await;
    let report = report.ok_or_else(|| ApiError::unavailable("the service is shutting down"))?;
    if only_one && report.endpoints.is_empty() {
        return Err(ApiError::not_found(
            "no request to this endpoint was measured in that time; GET /performance/endpoints lists the endpoints",
        ));
    }
    Ok(Json(TrendsAnswer::of(&report, hours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(hours: Option<&str>, endpoint: Option<&str>) -> TrendsQuery {
        TrendsQuery { hours: hours.map(str::to_owned), endpoint: endpoint.map(str::to_owned) }
    }

    #[test]
    fn hours_are_whole_and_kept() {
        assert_eq!(query(None, None).hours().ok(), Some(24));
        for hours in ["1", "24", "168"] {
            assert_eq!(query(Some(hours), None).hours().ok().map(|hours| hours.to_string()).as_deref(), Some(hours));
        }
        for wrong in ["0", "169", "-1", "+1", "1.5", "day", "", "99999999999"] {
            assert!(query(Some(wrong), None).hours().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_is_asked_for_by_method_and_template_or_by_template() {
        let matches = |wanted: &str, name| query(None, Some(wanted)).matches(name);
        assert!(matches("GET /api/users", "GET /api/users"));
        assert!(matches("api/users", "POST /api/users"));
        assert!(matches("/api/users/", "POST /api/users"));
        assert!(!matches("GET /api/users", "POST /api/users"));
        assert!(!matches("api", "POST /api/users"));
        assert!(query(None, None).matches("anything"));
    }
}
