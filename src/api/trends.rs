//! `/performance/trends`: what gets better or worse.

use std::time::{Duration, SystemTime};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{Shared, error::ApiError, units};
use crate::{
    analysis::{Direction, Movement, Shape, Trend},
    rules::{EndpointTrends, Judged, TrendReport},
};

/// The hours that can be asked for: what is kept.
const HOURS: std::ops::RangeInclusive<u32> = 1..=168;
const DEFAULT_HOURS: u32 = 24;

/// What got better or worse, overall and by endpoint.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct TrendsAnswer {
    /// What was asked for.
    hours: u32,
    from: String,
    to: String,
    /// How much of that there are data of, in hours.
    pub(super) covered_hours: f64,
    /// Length of a time bucket.
    pub(super) bucket_seconds: f64,
    /// Where each bucket starts. Every `series` below has one value for each of them, null where nothing was measured.
    buckets: Vec<String>,
    requests: u64,
    /// Mean response time at a constant mix of the traffic: more calls of a slow endpoint are no slowdown. Failed and
    /// cancelled requests are in it, but failing at once is not faster, and the end of an outage not slower: a change is
    /// told only where failed requests cannot explain it.
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
    /// Time that its requests took together.
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
    /// Null where the service told none.
    version: Option<String>,
}

/// Which way a measure goes.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct TrendView {
    /// `improving`, `degrading`, `stable`, or `unknown` where there are too few data.
    #[cfg_attr(feature = "openapi", schema(example = "degrading"))]
    pub(super) direction: &'static str,
    /// The judgement in words.
    pub(super) message: String,
    /// Unit of `change`, `series` and, each hour, of the slope: `ms`, `percent`, `mb` or `per_second`.
    pub(super) unit: &'static str,
    /// From the beginning to the end, or the height of the step.
    pub(super) change: Option<f64>,
    /// The same as a share of where it began; null where it began at zero.
    pub(super) change_percent: Option<f64>,
    pub(super) slope_per_hour: Option<f64>,
    /// 95 % interval of the slope.
    pub(super) slope_low: Option<f64>,
    pub(super) slope_high: Option<f64>,
    /// 1 less the p-value: the share of series without any change that look less changed than this one. It holds where
    /// neighbouring buckets are not much alike; waves longer than the period cannot be told from a change.
    pub(super) confidence: Option<f64>,
    /// `gradual`, or `step` where it changed at once.
    pub(super) shape: Option<&'static str>,
    /// When it changed, of a step.
    pub(super) step_at: Option<String>,
    /// Observations behind the judgement: requests, or readings of the memory.
    pub(super) samples: Option<u64>,
    /// Time buckets with enough observations, after poor ones were pooled with their neighbours.
    pub(super) bucket_count: usize,
    /// How many of them a judgement needs.
    pub(super) needed_buckets: usize,
    /// The value of each bucket.
    pub(super) series: Vec<Option<f64>>,
}

/// A unit of the answer, and how the core's numbers get there.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    symbol: &'static str,
    factor: f64,
}

const MILLIS: Unit = Unit { name: "ms", symbol: " ms", factor: 1e3 };
const PERCENT: Unit = Unit { name: "percent", symbol: " percentage points", factor: 1e2 };
const MEGABYTES: Unit = Unit { name: "mb", symbol: " MB", factor: 1e-6 };
const PER_SECOND: Unit = Unit { name: "per_second", symbol: " requests a second", factor: 1.0 };

impl Unit {
    fn of(self, value: f64) -> f64 {
        units::rounded(value * self.factor)
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Improving => "improving",
        Direction::Degrading => "degrading",
        Direction::Stable => "stable",
        Direction::Unknown => "unknown",
    }
}

/// The time that is looked at.
#[derive(Clone, Copy)]
struct Period {
    /// Length of a bucket.
    width: Duration,
    /// How much of it there are data of.
    covered: Duration,
    asked: Duration,
}

impl TrendView {
    fn of(judged: &Judged, unit: Unit, period: Period) -> Self {
        let width = period.width;
        let series = judged.series.iter().map(|value| value.map(|value| unit.of(value))).collect();
        let direction = direction(judged.trend.direction());
        match &judged.trend {
            Trend::Unknown { buckets, needed, each, samples } => Self {
                direction,
                message: too_little((*buckets, *needed), *each, *samples, period),
                unit: unit.name,
                change: None,
                change_percent: None,
                slope_per_hour: None,
                slope_low: None,
                slope_high: None,
                confidence: None,
                shape: None,
                step_at: None,
                samples: None,
                bucket_count: *buckets,
                needed_buckets: *needed,
                series,
            },
            Trend::Known(movement) => {
                let (shape, step_at) = match movement.shape {
                    Shape::Gradual => ("gradual", None),
                    Shape::Step { at_seconds } => {
                        let half = width.as_secs_f64() / 2.0;
                        ("step", Some(wall(Duration::from_secs_f64((at_seconds - half).max(0.0)))))
                    }
                };
                Self {
                    direction,
                    message: words(movement, unit, direction, step_at.as_deref()),
                    unit: unit.name,
                    change: Some(unit.of(movement.change)),
                    change_percent: movement.change_ratio.map(units::percent),
                    slope_per_hour: Some(unit.of(movement.slope_per_hour)),
                    slope_low: Some(unit.of(movement.slope_interval.0)),
                    slope_high: Some(unit.of(movement.slope_interval.1)),
                    confidence: Some(units::micros(movement.confidence())),
                    shape: Some(shape),
                    step_at,
                    samples: Some(movement.samples as u64),
                    bucket_count: movement.buckets,
                    needed_buckets: crate::analysis::FEWEST_BUCKETS,
                    series,
                }
            }
        }
    }
}

/// Says what is missing to the buckets that are needed, and how long that takes at the rate of those that there are.
fn too_little((buckets, needed): (usize, usize), each: f64, samples: f64, period: Period) -> String {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let of_requests = if each > 0.0 { format!(" of at least {each} requests each") } else { String::new() };
    let missing = format!("too little data: {buckets} time buckets{of_requests} were measured, {needed} are needed");
    let mut takes = needed.saturating_sub(buckets) as f64 * seconds(period.width);
    if each > 0.0 {
        if samples <= 0.0 {
            return format!("{missing}; there was no request");
        }
        let rate = samples / seconds(period.covered).max(1.0);
        takes = takes.max((needed as f64 * each - samples) / rate);
    }
    let all = seconds(period.covered) + takes;
    if all > seconds(period.asked) {
        format!("{missing}, for which such traffic takes about {}, longer than was asked for", span(all.ceil() as u64))
    } else {
        format!("{missing}, which takes about {} more of traffic", span(takes.ceil() as u64))
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

fn words(movement: &Movement, unit: Unit, direction: &str, step_at: Option<&str>) -> String {
    if movement.withheld {
        return "stable: the mean changed by no more than what requests that failed explain".to_owned();
    }
    if movement.direction == Direction::Stable {
        return "stable: no change that is both certain and large enough to matter".to_owned();
    }
    let (verb, change) = (if movement.change > 0.0 { "up" } else { "down" }, unit.of(movement.change.abs()));
    let share = movement.change_ratio.map_or_else(String::new, |ratio| format!(" ({:+.0} %)", ratio * 100.0));
    let how = match step_at {
        Some(at) => format!("at once, at {at}"),
        None => format!("bit by bit over {}", span(movement.span.as_secs())),
    };
    format!("{direction}: {verb} by {change}{}{share} {how}", unit.symbol)
}

fn wall(since_epoch: Duration) -> String {
    units::wall(SystemTime::UNIX_EPOCH + since_epoch)
}

fn millis(series: &[Option<f64>]) -> Vec<Option<f64>> {
    series.iter().map(|value| value.map(units::millis)).collect()
}

impl EndpointTrendsView {
    fn of(endpoint: &EndpointTrends, period: Period) -> Self {
        Self {
            endpoint: endpoint.name.to_string(),
            requests: endpoint.requests,
            total_ms: units::millis(endpoint.seconds),
            response_time: TrendView::of(&endpoint.response_time, MILLIS, period),
            p95_duration_ms: millis(&endpoint.p95),
            error_rate: TrendView::of(&endpoint.error_rate, PERCENT, period),
            throughput: TrendView::of(&endpoint.throughput, PER_SECOND, period),
        }
    }
}

impl TrendsAnswer {
    pub(super) fn of(report: &TrendReport, hours: u32) -> Self {
        let width = report.width;
        let covered = report.starts.first().map_or(Duration::ZERO, |start| report.to - *start.max(&report.from));
        let period = Period { width, covered, asked: report.to.saturating_sub(report.from) };
        let view = |judged, unit| TrendView::of(judged, unit, period);
        Self {
            hours,
            from: wall(report.from),
            to: wall(report.to),
            covered_hours: units::rounded(covered.as_secs_f64() / 3600.0),
            bucket_seconds: units::seconds(width),
            buckets: report.starts.iter().map(|start| wall(*start)).collect(),
            requests: report.requests,
            response_time: view(&report.response_time, MILLIS),
            crude_response_time: view(&report.crude_response_time, MILLIS),
            p95_duration_ms: millis(&report.p95),
            error_rate: view(&report.error_rate, PERCENT),
            crude_error_rate: view(&report.crude_error_rate, PERCENT),
            memory: view(&report.memory, MEGABYTES),
            throughput: view(&report.throughput, PER_SECOND),
            endpoints: report.endpoints.iter().map(|endpoint| EndpointTrendsView::of(endpoint, period)).collect(),
            endpoint_count: report.endpoint_count,
            runs: report
                .runs
                .iter()
                .map(|run| ServiceStart {
                    started_at: wall(run.started),
                    version: (!run.version.is_empty()).then(|| run.version.to_string()),
                })
                .collect(),
            timestamp: units::now(),
        }
    }
}

/// What is asked for.
struct Asked {
    hours: u32,
    endpoint: Option<String>,
}

impl Asked {
    fn of(parameters: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut asked = Self { hours: DEFAULT_HOURS, endpoint: None };
        for (name, value) in parameters {
            match &*name {
                "hours" => {
                    let hours = value.parse().ok().filter(|hours| HOURS.contains(hours));
                    asked.hours =
                        hours.ok_or_else(|| ApiError::bad_request("hours must be a whole number from 1 to 168"))?;
                }
                "endpoint" => asked.endpoint = Some(value),
                _ => {
                    return Err(ApiError::bad_request(
                        "unknown parameter; allowed are hours (1 to 168, default 24) and endpoint, as GET /api/users or \
                         api/users",
                    ));
                }
            }
        }
        Ok(asked)
    }

    /// Returns whether an endpoint is meant: by method and template, or by the template, whatever the method.
    fn means(&self, name: &str) -> bool {
        let Some(wanted) = &self.endpoint else { return true };
        let route = name.split_once(' ').map_or(name, |(_, route)| route);
        name == wanted.trim() || route.trim_matches('/') == wanted.trim().trim_matches('/')
    }
}

/// Whether response time, errors, memory and throughput get better or worse, overall and by endpoint.
///
/// A change is told only where it is both certain (Mann–Kendall's test, or a change point) and large enough to matter;
/// its size is that of the Theil–Sen line or of the step. One outlier is no trend.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/trends", tag = "analysis",
    params(
        ("hours" = Option<u32>, Query, description = "How far back to look, 1 to 168; 24 by default", minimum = 1,
            maximum = 168),
        ("endpoint" = Option<String>, Query, description = "Only this endpoint: method and route template, or the \
            template alone")
    ),
    responses(
        (status = 200, body = TrendsAnswer), (status = 400, body = super::error::ErrorBody), (status = 404, body = super::error::ErrorBody)
    )
))]
pub(super) async fn trends(
    State(core): Shared,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<TrendsAnswer>, ApiError> {
    let Query(parameters) = query.map_err(|_| ApiError::bad_request("the query string is no list of name=value"))?;
    let asked = Asked::of(parameters)?;
    let hours = asked.hours;
    let length = Duration::from_secs(u64::from(hours) * 3600);
    let only_one = asked.endpoint.is_some();
    let report = core.trends(Instant::now(), length, move |name| asked.means(name)).await;
    let report = report.ok_or_else(|| ApiError::unavailable("the service is shutting down"))?;
    if only_one && report.endpoints.is_empty() {
        return Err(ApiError::not_found(
            "no request of such an endpoint was measured in that time; GET /performance/endpoints lists endpoints",
        ));
    }
    Ok(Json(TrendsAnswer::of(&report, hours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&str, &str)]) -> Result<Asked, ApiError> {
        Asked::of(query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn hours_are_whole_and_kept() {
        assert_eq!(asked(&[]).map(|asked| asked.hours).ok(), Some(24));
        for hours in ["1", "24", "168"] {
            assert_eq!(asked(&[("hours", hours)]).map(|asked| asked.hours.to_string()).ok().as_deref(), Some(hours));
        }
        for wrong in ["0", "169", "-1", "1.5", "day", "", "99999999999"] {
            assert!(asked(&[("hours", wrong)]).is_err(), "{wrong}");
        }
        assert!(asked(&[("hour", "1")]).is_err());
    }

    #[test]
    fn too_little_data_is_told_with_its_reason() {
        let period = |covered: u64, asked: u64| Period {
            width: Duration::from_secs(60),
            covered: Duration::from_secs(covered * 60),
            asked: Duration::from_secs(asked * 60),
        };
        #[track_caller]
        fn check(message: &str, end: &str) {
            assert_eq!(message.strip_prefix("too little data: "), Some(end));
        }
        check(
            &too_little((3, 8), 0.0, 3.0, period(3, 60)),
            "3 time buckets were measured, 8 are needed, which takes about 5 min more of traffic",
        );
        check(
            &too_little((0, 8), 20.0, 0.0, period(30, 60)),
            "0 time buckets of at least 20 requests each were measured, 8 are needed; there was no request",
        );
        // Two calls a minute: 160 of them take 80 minutes.
        check(
            &too_little((3, 8), 20.0, 60.0, period(30, 60)),
            "3 time buckets of at least 20 requests each were measured, 8 are needed, for which such traffic takes about \
             80 min, longer than was asked for",
        );
        check(
            &too_little((3, 8), 20.0, 60.0, period(30, 24 * 60)),
            "3 time buckets of at least 20 requests each were measured, 8 are needed, which takes about 50 min more of \
             traffic",
        );
        check(
            &too_little((2, 8), 5.0, 1000.0, period(2, 60)),
            "2 time buckets of at least 5 requests each were measured, 8 are needed, which takes about 6 min more of \
             traffic",
        );
    }

    #[test]
    fn an_endpoint_is_meant_by_method_and_template_or_by_template() {
        let means = |wanted: &str, name| asked(&[("endpoint", wanted)]).map(|asked| asked.means(name)).ok();
        assert_eq!(means("GET /api/users", "GET /api/users"), Some(true));
        assert_eq!(means("api/users", "POST /api/users"), Some(true));
        assert_eq!(means("/api/users/", "POST /api/users"), Some(true));
        assert_eq!(means("GET /api/users", "POST /api/users"), Some(false));
        assert_eq!(means("api", "POST /api/users"), Some(false));
        assert!(asked(&[]).map(|asked| asked.means("anything")).unwrap_or(false));
    }
}
