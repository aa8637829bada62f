//! `/performance/endpoints`: all endpoints in numbers, and one in detail.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use serde::Serialize;

use super::{
    CoreState,
    bottlenecks::BottleneckView,
    error::ApiError,
    evidence::{Detail, SlowRequestView, SplitView},
    parameters::Parameters,
    period::Period,
    timestamp, units,
};
use crate::{
    monitor::Core,
    names,
    rules::{Bottleneck, Endpoints, Measure, Subject, Texts, Uses},
    store::{OutcomeClass, Window},
};

/// One endpoint in numbers. A value without a measurement is null.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointView {
    /// Method and route template. `GET unmatched` are the requests that matched no route, such as those of files that a
    /// fallback serves; `GET other` are those of routes past the limit of series.
    #[cfg_attr(feature = "openapi", schema(example = "GET /api/users/{id}"))]
    pub(super) endpoint: String,
    pub(super) method: String,
    /// Empty for requests that matched none.
    pub(super) route: String,
    pub(super) request_count: u64,
    pub(super) avg_duration_ms: Option<f64>,
    pub(super) min_duration_ms: Option<f64>,
    pub(super) max_duration_ms: Option<f64>,
    pub(super) p50_duration_ms: Option<f64>,
    pub(super) p95_duration_ms: Option<f64>,
    pub(super) p99_duration_ms: Option<f64>,
    pub(super) requests_per_second: Option<f64>,
    /// Server errors: 5xx, panics, broken bodies.
    pub(super) error_count: u64,
    pub(super) error_rate_percent: Option<f64>,
    /// Responses 4xx.
    pub(super) client_error_rate_percent: Option<f64>,
    /// Requests whose client disconnected.
    pub(super) cancelled_rate_percent: Option<f64>,
    /// Requests by status, or by kind of error for those without a response.
    pub(super) status_codes: BTreeMap<String, u64>,
    /// Share of the time of all requests of the service.
    pub(super) time_share_percent: Option<f64>,
    /// Share of its time while a query ran. This and the next three parts add up to 100.
    pub(super) db_time_percent: Option<f64>,
    /// Share of its time in which it could go on and no worker of the runtime polled it.
    pub(super) late_time_percent: Option<f64>,
    /// Share of its time that it waited for its clients.
    pub(super) client_time_percent: Option<f64>,
    /// Share of its time in tracked calls to other services.
    pub(super) call_time_percent: Option<f64>,
    /// Share of its time that it waited for tracked connections, locks, permits, channels and blocking threads.
    pub(super) tracked_wait_percent: Option<f64>,
    /// Share of its time while a tracked task ran and nothing else that is tracked.
    pub(super) task_time_percent: Option<f64>,
    /// Share of its time inside poll, outside all that is tracked.
    pub(super) busy_time_percent: Option<f64>,
    /// The rest: it waited for something that is not tracked.
    pub(super) waiting_time_percent: Option<f64>,
    /// Requests in flight, as of the last evaluation.
    pub(super) active_requests: u64,
    /// How long the oldest of them has been running.
    pub(super) oldest_active_seconds: f64,
    pub(super) db_queries_per_request: Option<f64>,
    /// Longest single poll.
    pub(super) longest_poll_ms: Option<f64>,
}

/// All endpoints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointsAnswer {
    /// By their share of the time of all requests, the largest first.
    endpoints: Vec<EndpointView>,
    total_count: usize,
    timestamp: String,
}

/// A query that an endpoint issues.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointQuery {
    /// The statement without its literals.
    query: String,
    calls: u64,
    /// Mean over the requests that issued it at all.
    calls_per_request: Option<f64>,
    total_ms: f64,
}

/// One endpoint in detail.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointDetail {
    #[serde(flatten)]
    metrics: EndpointView,
    /// Its queries, the most expensive first.
    queries: Vec<EndpointQuery>,
    /// Its slowest requests within the longest window of a rule, each with its timeline.
    slowest_requests: Vec<SlowRequestView>,
    /// Its firing bottlenecks, with all of their evidence.
    bottlenecks: Vec<BottleneckView>,
}

/// The endpoints of a name.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct EndpointAnswer {
    /// One, or several if the name has no method.
    endpoints: Vec<EndpointDetail>,
    timestamp: String,
}

/// Returns the endpoints of a window, by their share of the time of all requests.
pub(super) fn views(window: &Window) -> Vec<EndpointView> {
    let endpoints = Endpoints::with_mixtures(window);
    let mut views: Vec<_> = (0..endpoints.all.len()).map(|at| view(&endpoints, at)).collect();
    views.sort_by(|a, b| b.time_share_percent.unwrap_or(0.0).total_cmp(&a.time_share_percent.unwrap_or(0.0)));
    views
}

fn view(endpoints: &Endpoints<'_>, at: usize) -> EndpointView {
    let endpoint = &endpoints.all[at];
    let measure = |measure| endpoint.measure(measure, endpoints);
    let millis = |of| measure(of).map(units::millis);
    let percent = |of| measure(of).map(units::percent);
    let label = |name| endpoint.subject().label(name).unwrap_or_default().to_owned();
    let split = endpoint.split().and_then(SplitView::of);
    let by_outcome = endpoint.durations.by_outcome();
    let failures = by_outcome.iter().filter(|known| known.outcome.class == OutcomeClass::Failure);
    let failed = failures.map(|known| known.count);
    EndpointView {
        endpoint: endpoint.subject().name.to_string(),
        method: label(names::METHOD),
        route: names::shown(label(names::ROUTE)).into_owned(),
        request_count: endpoint.durations.count(),
        avg_duration_ms: millis(Measure::AvgDuration),
        min_duration_ms: endpoint.durations.min().map(units::millis),
        max_duration_ms: millis(Measure::MaxDuration),
        p50_duration_ms: millis(Measure::DurationQuantile(50)),
        p95_duration_ms: millis(Measure::DurationQuantile(95)),
        p99_duration_ms: millis(Measure::DurationQuantile(99)),
        requests_per_second: measure(Measure::Rate).map(units::round_millis),
        error_count: failed.sum(),
        error_rate_percent: percent(Measure::ErrorRatio),
        client_error_rate_percent: percent(Measure::ClientErrorRatio),
        cancelled_rate_percent: percent(Measure::CancelledRatio),
        status_codes: by_outcome.iter().map(|known| (known.outcome.name.to_owned(), known.count)).collect(),
        time_share_percent: percent(Measure::TimeShare),
        db_time_percent: split.map(|split| units::percent(split.database)),
        late_time_percent: split.map(|split| units::percent(split.late)),
        client_time_percent: split.map(|split| units::percent(split.client)),
        call_time_percent: split.map(|split| units::percent(split.calls)),
        tracked_wait_percent: split.map(|split| units::percent(split.waits)),
        task_time_percent: split.map(|split| units::percent(split.tasks)),
        busy_time_percent: split.map(|split| units::percent(split.busy)),
        waiting_time_percent: split.map(|split| units::percent(split.waiting)),
        active_requests: measure(Measure::Active).map_or(0, units::count),
        oldest_active_seconds: measure(Measure::OldestActive).map_or(0.0, units::round_millis),
        db_queries_per_request: measure(Measure::DbQueriesPerRequest).map(units::round_millis),
        longest_poll_ms: millis(Measure::LongestPoll),
    }
}

/// All endpoints that had a request.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/endpoints", tag = "metrics", params(Period),
    responses((status = 200, body = EndpointsAnswer), (status = 400, body = super::error::ErrorBody))
))]
pub(super) async fn all(
    State(core): CoreState,
    Parameters(period): Parameters<Period>,
) -> Result<Json<EndpointsAnswer>, ApiError> {
    let endpoints = views(&period.window(&core)?);
    Ok(Json(EndpointsAnswer { total_count: endpoints.len(), endpoints, timestamp: timestamp::now() }))
}

/// Returns the indices of the endpoints that have a name: the one with exactly this name, or else all whose name or route
/// is the same without slashes at the ends.
fn find_named(endpoints: &Endpoints<'_>, name: &str) -> Vec<usize> {
    let all = || endpoints.all.iter().enumerate();
    let exact = names::shown(name.trim());
    if let Some((at, _)) = all().find(|(_, endpoint)| *endpoint.subject().name == *exact) {
        return vec![at];
    }
    let wanted = name.trim_matches('/');
    let alike = all().filter(|(_, endpoint)| {
        // Unmatched requests have no route, and are found by their name.
        let route = endpoint.subject().label(names::ROUTE).filter(|route| !route.is_empty());
        endpoint.subject().name.trim_end_matches('/') == wanted
            || route.is_some_and(|route| route.trim_matches('/') == wanted)
    });
    alike.map(|(at, _)| at).collect()
}

/// One endpoint in detail, by `GET /api/users` (URL-encoded) or by `api/users` for all methods.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/endpoints/{endpoint}", tag = "metrics",
    params((
        "endpoint" = String, Path, description = "Method and route template, or the template alone; URL-encoded",
        pattern = "^([A-Z]+ )?/?[A-Za-z0-9_{}/*.:~+@%,;=!$&'()-]+$", example = "GET /api/users/{id}"
    ), Period),
    responses(
        (status = 200, body = EndpointAnswer), (status = 400, body = super::error::ErrorBody), (status = 404, body = super::error::ErrorBody)
    )
))]
pub(super) async fn one(
    State(core): CoreState,
    name: Result<Path<String>, PathRejection>,
    Parameters(period): Parameters<Period>,
) -> Result<Json<EndpointAnswer>, ApiError> {
    let Path(name) = name.map_err(|_| ApiError::bad_request("the endpoint must be UTF-8 text, URL-encoded"))?;
    let window = period.window(&core)?;
    let endpoints = Endpoints::with_mixtures(&window);
    let uses = Uses::of(&window, &endpoints, &Texts::of(&window));
    let mut found = find_named(&endpoints, &name);
    if found.is_empty() {
        return Err(ApiError::not_found(
            "no request to this endpoint was measured; GET /performance/endpoints lists the endpoints",
        ));
    }
    found.sort_by_key(|at| endpoints.all[*at].subject().name.clone());
    let judgement = core.judgement();
    let details = found.into_iter().map(|at| {
        let metrics = view(&endpoints, at);
        detail(endpoints.all[at].subject(), metrics, queries(&uses, at), &judgement.firing, &core)
    });
    Ok(Json(EndpointAnswer { endpoints: details.collect(), timestamp: timestamp::now() }))
}

/// Returns the queries of the endpoint at an index, the most expensive first.
fn queries(uses: &Uses<'_>, at: usize) -> Vec<EndpointQuery> {
    let queries = uses.of_endpoint(at).iter().map(|query| EndpointQuery {
        query: query.name.to_owned(),
        calls: query.calls as u64,
        calls_per_request: (query.requests > 0.0).then(|| units::round_millis(query.calls / query.requests)),
        total_ms: units::millis(query.seconds),
    });
    queries.collect()
}

fn detail(
    subject: &Subject,
    metrics: EndpointView,
    queries: Vec<EndpointQuery>,
    firing: &[Arc<Bottleneck>],
    core: &Core,
) -> EndpointDetail {
    let label = |name| subject.label(name).unwrap_or_default();
    let slowest = core.instruments().slow_requests().of(label(names::METHOD), label(names::ROUTE));
    let affects = |bottleneck: &Bottleneck| bottleneck.affected_endpoints.contains(&subject.name);
    let bottlenecks = firing.iter().filter(|bottleneck| affects(bottleneck));
    EndpointDetail {
        queries,
        slowest_requests: slowest.iter().map(SlowRequestView::of).collect(),
        bottlenecks: bottlenecks.map(|bottleneck| BottleneckView::of(bottleneck, core, Detail::Full)).collect(),
        metrics,
    }
}
