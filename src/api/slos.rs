//! `/performance/slos`: the service-level objectives and their error budgets.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{CoreState, error::ApiError, parameters::Parameters, selection, timestamp, units};
use crate::{
    monitor::Judgement,
    rules::{BURN_WINDOWS, Budget, ObjectiveReading, RequestCounts, Rule, Severity, Slo},
};

/// How many budgets are asked for.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(super) struct SlosQuery {
    /// How many budgets the answer has at most; those with the least left come first. 100 by default.
    #[cfg_attr(feature = "openapi", param(value_type = Option<u32>, minimum = 1, maximum = 1000))]
    limit: Option<String>,
}

/// The error budgets of the service-level objectives in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SlosAnswer {
    /// Those with the least left first.
    slos: Vec<SloView>,
    /// Number of all budgets: one for each objective of the service, and one for each endpoint of the others.
    total_count: usize,
    /// Objectives without a budget, since none of their requests has ended so far.
    without_requests: Vec<String>,
    timestamp: String,
}

/// One error budget.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SloView {
    /// Id of the objective, the `type` of its bottlenecks.
    pub(super) id: String,
    /// `service`, or the endpoint.
    pub(super) subject: String,
    /// Share of the requests that must be good.
    #[cfg_attr(feature = "openapi", schema(example = 99.9))]
    pub(super) objective_percent: f64,
    /// The time in which the budget is counted.
    pub(super) window_seconds: f64,
    /// Which requests are bad.
    #[cfg_attr(feature = "openapi", schema(example = "slower than 500ms"))]
    pub(super) bad: String,
    /// Requests in that time, as far as they are known.
    pub(super) request_count: u64,
    /// Those of them that were bad.
    pub(super) bad_count: u64,
    /// Share of the budget that is left, of the requests that are known; below 0 where more is spent than there was.
    pub(super) budget_left_percent: f64,
    /// When it is spent if requests come and fail as in the last hour: 0 where it is. Null where it lasts for the window, or where
    /// no request came in the last hour.
    pub(super) budget_ends_in_seconds: Option<f64>,
    /// Since when requests are known; later than the window's beginning where the history does not reach that far.
    pub(super) known_since: String,
    pub(super) known_seconds: f64,
    /// Whether that is the whole window.
    pub(super) is_whole: bool,
    /// From the shortest window.
    pub(super) burn_rates: Vec<BurnRateView>,
    /// Endpoints with bad requests in the last hour, the five with the most first.
    pub(super) worst_endpoints: Vec<BadEndpointView>,
    /// Severity of its bottleneck; null where none fires.
    pub(super) firing: Option<String>,
}

/// How fast a budget is spent.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BurnRateView {
    pub(super) window_seconds: f64,
    /// How many times as fast as the objective allows; null without requests.
    pub(super) burn_rate: Option<f64>,
    pub(super) request_count: u64,
    pub(super) bad_count: u64,
}

/// The requests of an endpoint that count against a budget.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BadEndpointView {
    pub(super) endpoint: String,
    pub(super) request_count: u64,
    pub(super) bad_count: u64,
}

impl SloView {
    /// Returns every budget, those with the least left first.
    pub(super) fn all(judgement: &Judgement) -> Vec<Self> {
        let of_reading = |reading: &ObjectiveReading| {
            let ObjectiveReading { rule, since, budgets } = reading;
            let slo = rule.slo.as_ref()?;
            Some(budgets.iter().filter_map(|budget| Self::of(rule, slo, *since, budget, judgement)).collect::<Vec<_>>())
        };
        let mut views: Vec<Self> = judgement.budgets.0.iter().filter_map(of_reading).flatten().collect();
        views.sort_by(|a, b| a.budget_left_percent.total_cmp(&b.budget_left_percent));
        views
    }

    /// Returns the burn rate in a window.
    #[cfg(feature = "report")]
    pub(super) fn burn_rate_in(&self, window_seconds: f64) -> Option<f64> {
        self.burn_rates.iter().find(|rate| rate.window_seconds == window_seconds)?.burn_rate
    }

    fn of(rule: &Rule, slo: &Slo, since: Duration, budget: &Budget, judgement: &Judgement) -> Option<Self> {
        let firing = judgement
            .firing
            .iter()
            .find(|bottleneck| bottleneck.rule.id == rule.id && bottleneck.subject.name == budget.subject.name);
        let burn_rate = |window: Duration| {
            let RequestCounts { total, bad } = budget.counts(window);
            BurnRateView {
                window_seconds: units::seconds(window),
                burn_rate: budget.burn_rate(slo, window).map(units::round_millis),
                request_count: total,
                bad_count: bad,
            }
        };
        Some(Self {
            id: rule.id.to_string(),
            subject: budget.subject.name.to_string(),
            objective_percent: units::percent(slo.objective),
            window_seconds: units::seconds(slo.window),
            bad: slo.bad.about(),
            request_count: budget.whole.total,
            bad_count: budget.whole.bad,
            budget_left_percent: units::percent(budget.left_ratio(slo)?),
            budget_ends_in_seconds: budget.ends_in(slo).map(units::seconds),
            known_since: timestamp::of_wall(since),
            known_seconds: units::seconds(budget.known),
            is_whole: budget.known >= slo.window,
            burn_rates: BURN_WINDOWS.into_iter().map(burn_rate).collect(),
            worst_endpoints: budget
                .worst
                .iter()
                .map(|(endpoint, counts)| BadEndpointView {
                    endpoint: endpoint.to_string(),
                    request_count: counts.total,
                    bad_count: counts.bad,
                })
                .collect(),
            firing: firing.map(|bottleneck| bottleneck.severity).as_ref().map(Severity::to_string),
        })
    }
}

/// The service-level objectives: how much of each error budget is left, how fast it is spent, and when it ends.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/slos", tag = "analysis", params(SlosQuery),
    responses((status = 200, body = SlosAnswer), (status = 400, body = super::error::ErrorBody))
))]
pub(super) async fn slos(
    State(core): CoreState,
    Parameters(query): Parameters<SlosQuery>,
) -> Result<Json<SlosAnswer>, ApiError> {
    let limit = selection::limit_of(query.limit.as_deref())?;
    let judgement = core.judgement();
    let mut slos = SloView::all(&judgement);
    let total_count = slos.len();
    slos.truncate(limit);
    let without = judgement.budgets.0.iter().filter(|reading| reading.budgets.is_empty());
    Ok(Json(SlosAnswer {
        slos,
        total_count,
        without_requests: without.map(|reading| reading.rule.id.to_string()).collect(),
        timestamp: timestamp::now(),
    }))
}
