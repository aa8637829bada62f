//! `/performance/comparison`: this version of the service compared with the one before.

use axum::{Json, extract::State};
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::{CoreState, error::ApiError, timestamp, units};
use crate::{
    analysis::{RouteChange, Shift, Verdict},
    monitor::VersionComparison,
    names,
    rules::Unit,
};

/// This version of the service compared with the one before, route by route.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ComparisonView {
    service: String,
    /// The version before.
    pub(super) before: String,
    /// When the version before last wrote its numbers.
    before_written_at: String,
    /// This version, since its start or the last clear.
    pub(super) after: String,
    /// Routes that fail more often.
    pub(super) more_errors_count: usize,
    /// Routes that got slower, without those that fail more often.
    pub(super) slower_count: usize,
    pub(super) faster_count: usize,
    /// Routes of both versions: first those that fail more often, then from slower to faster.
    pub(super) routes: Vec<RouteChangeView>,
    /// Routes that were called in the version before and not yet in this one.
    pub(super) only_before: Vec<String>,
    /// Routes that were called in this version only.
    pub(super) only_after: Vec<String>,
    timestamp: String,
}

/// One route in both versions.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RouteChangeView {
    #[cfg_attr(feature = "openapi", schema(example = "GET /api/users/{id}"))]
    pub(super) endpoint: String,
    /// `more_errors`, whatever the speed does; `slower`, `faster` or `mixed`; `fewer_errors` at the same speed;
    /// `no_difference`, or `too_few_requests` in one of the versions.
    #[serde(serialize_with = "verdict_name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "slower"))]
    pub(super) verdict: Verdict,
    /// The verdict in words, with its size.
    pub(super) message: String,
    /// Requests that succeeded, failed or were refused; cancelled ones are left out.
    requests_before: u64,
    requests_after: u64,
    /// Share of them that failed; null with too few requests.
    error_percent_before: Option<f64>,
    error_percent_after: Option<f64>,
    /// 95 % interval of the difference, in percentage points.
    error_change_low: Option<f64>,
    error_change_high: Option<f64>,
    /// Mean duration of the successful requests. All durations here are of those alone: a version that fails at once is
    /// not fast.
    pub(super) avg_before_ms: Option<f64>,
    pub(super) avg_after_ms: Option<f64>,
    /// How the median moved; null with too few requests.
    median: Option<ShiftView>,
    /// How the 95th percentile moved; null with too few requests.
    p95: Option<ShiftView>,
    /// Effect size (Cliff's delta): the probability that a request of this version takes longer than one of the version
    /// before, less the probability of the contrary. From 0.147 it is commonly called small, from 0.33 medium, from 0.474
    /// large (Romano et al., 2006).
    cliffs_delta: Option<f64>,
}

/// How one percentile moved.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ShiftView {
    before_ms: f64,
    after_ms: f64,
    change_percent: f64,
    /// 95 % interval of the change.
    change_low_percent: f64,
    change_high_percent: f64,
    /// Probability of a shift this clear when there is none, corrected for the number of routes.
    p_value: f64,
}

impl ShiftView {
    fn of(shift: &Shift) -> Self {
        let percent = |ratio: f64| units::percent(ratio - 1.0);
        Self {
            before_ms: units::millis(shift.before_seconds),
            after_ms: units::millis(shift.after_seconds),
            change_percent: percent(shift.ratio),
            change_low_percent: percent(shift.ratio_interval.0),
            change_high_percent: percent(shift.ratio_interval.1),
            p_value: units::round_micros(shift.p_value),
        }
    }

    fn in_words(&self, name: &str) -> String {
        let [before, after] = [self.before_ms, self.after_ms].map(|millis| Unit::Seconds.render(millis / 1e3));
        format!("{name} {:+.0}% ({before} to {after})", self.change_percent)
    }
}

fn verdict_name<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict_str(*verdict))
}

/// Returns the published name of a verdict.
pub(super) fn verdict_str(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::MoreErrors => "more_errors",
        Verdict::FewerErrors => "fewer_errors",
        Verdict::Slower => "slower",
        Verdict::Faster => "faster",
        Verdict::Mixed => "mixed",
        Verdict::NoDifference => "no_difference",
        Verdict::TooFewRequests => "too_few_requests",
    }
}

impl RouteChangeView {
    fn of(route: &RouteChange) -> Self {
        Self {
            endpoint: names::shown(&route.endpoint).into_owned(),
            verdict: route.verdict,
            message: message(route),
            requests_before: route.requests.0,
            requests_after: route.requests.1,
            error_percent_before: route.errors.map(|errors| units::percent(errors.before_ratio)),
            error_percent_after: route.errors.map(|errors| units::percent(errors.after_ratio)),
            error_change_low: route.errors.map(|errors| units::percent(errors.difference_interval.0)),
            error_change_high: route.errors.map(|errors| units::percent(errors.difference_interval.1)),
            avg_before_ms: route.means_seconds.map(|(before, _)| units::millis(before)),
            avg_after_ms: route.means_seconds.map(|(_, after)| units::millis(after)),
            median: route.median.as_ref().map(ShiftView::of),
            p95: route.p95.as_ref().map(ShiftView::of),
            cliffs_delta: route.cliffs_delta.map(units::round_millis),
        }
    }
}

fn all_shown(endpoints: &[String]) -> Vec<String> {
    endpoints.iter().map(|endpoint| names::shown(endpoint).into_owned()).collect()
}

/// The verdict on a route in words.
fn message(route: &RouteChange) -> String {
    match route.verdict {
        Verdict::TooFewRequests => "too few requests in one of the versions".to_owned(),
        Verdict::NoDifference => "no difference beyond chance".to_owned(),
        Verdict::MoreErrors => {
            let speed = speed(route).map_or_else(String::new, |speed| format!("; successful requests: {speed}"));
            format!("more errors: {}{speed}", errors(route))
        }
        Verdict::FewerErrors => format!("fewer errors: {}", errors(route)),
        Verdict::Slower | Verdict::Faster | Verdict::Mixed => speed(route).unwrap_or_default(),
    }
}

/// How the speed changed, in words; `None` where it did not.
fn speed(route: &RouteChange) -> Option<String> {
    if !matches!(route.speed, Verdict::Slower | Verdict::Faster | Verdict::Mixed) {
        return None;
    }
    let shifts = [("median", &route.median), ("95th percentile", &route.p95)];
    let shifts = shifts.iter().filter_map(|(name, shift)| Some(ShiftView::of(shift.as_ref()?).in_words(name)));
    Some(format!("{}: {}", verdict_str(route.speed), shifts.collect::<Vec<_>>().join(", ")))
}

fn errors(route: &RouteChange) -> String {
    route.errors.as_ref().map_or_else(String::new, |errors| {
        let [before, after] = [errors.before_ratio, errors.after_ratio].map(|ratio| Unit::Ratio.render(ratio));
        format!("{before} of the requests failed before, {after} now")
    })
}

impl ComparisonView {
    pub(super) fn of(compared: &VersionComparison) -> Self {
        let comparison = &compared.comparison;
        let count = |verdict| comparison.routes.iter().filter(|route| route.verdict == verdict).count();
        Self {
            service: names::shown(&compared.service).into_owned(),
            before: names::shown(&compared.before).into_owned(),
            before_written_at: compared.before_written_at.clone(),
            after: names::shown(&compared.after).into_owned(),
            more_errors_count: count(Verdict::MoreErrors),
            slower_count: count(Verdict::Slower),
            faster_count: count(Verdict::Faster),
            routes: comparison.routes.iter().map(RouteChangeView::of).collect(),
            only_before: all_shown(&comparison.only_before),
            only_after: all_shown(&comparison.only_after),
            timestamp: timestamp::now(),
        }
    }

    /// Leaves out the routes that did not change.
    pub(super) fn changes_only(mut self) -> Self {
        self.routes.retain(|route| !matches!(route.verdict, Verdict::NoDifference | Verdict::TooFewRequests));
        self
    }
}

/// Routes that fail more often, or got slower or faster since the version before, with the size of the effect.
///
/// A difference is reported only where it is large enough to matter and too clear to be chance.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/comparison", tag = "analysis",
    responses((status = 200, body = ComparisonView), (status = 404, body = super::error::ErrorBody))
))]
pub(super) async fn comparison(State(core): CoreState) -> Result<Json<ComparisonView>, ApiError> {
    let compared = core.comparison(Instant::now()).ok_or_else(|| {
        ApiError::not_found(
            "there is no earlier version to compare with: set MonitorBuilder::history_file and \
             MonitorBuilder::service, and let a version before this one run for some time",
        )
    })?;
    Ok(Json(ComparisonView::of(&compared)))
}
