//! `/performance/bottlenecks`: what slows the service down or breaks it, and why.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{Shared, evidence::EvidenceView, units};
use crate::{
    monitor::Core,
    rules::{Bottleneck, Gain, Severity},
};

/// What fires now, worst first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BottlenecksAnswer {
    pub(super) bottlenecks: Vec<BottleneckView>,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// What will fire if it lasts, worst first.
    pub(super) pending: Vec<BottleneckView>,
    /// When the rules were last evaluated; null before the first time.
    pub(super) evaluated_at: Option<String>,
    pub(super) timestamp: String,
}

/// How many bottlenecks fire, by severity.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct Counts {
    pub(super) total_count: usize,
    pub(super) critical_count: usize,
    pub(super) high_count: usize,
    pub(super) medium_count: usize,
    pub(super) low_count: usize,
}

impl Counts {
    pub(super) fn of(firing: &[Arc<Bottleneck>]) -> Self {
        let count = |severity| firing.iter().filter(|bottleneck| bottleneck.severity == severity).count();
        Self {
            total_count: firing.len(),
            critical_count: count(Severity::Critical),
            high_count: count(Severity::High),
            medium_count: count(Severity::Medium),
            low_count: count(Severity::Low),
        }
    }
}

/// A bottleneck and its evidence.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct BottleneckView {
    /// Id of the rule that found it.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "slow_endpoint"))]
    pub(super) kind: String,
    /// `low`, `medium`, `high` or `critical`.
    #[cfg_attr(feature = "openapi", schema(example = "high"))]
    pub(super) severity: String,
    /// What it is about: an endpoint, a query, a task or the process.
    pub(super) subject: String,
    pub(super) description: String,
    pub(super) impact: String,
    /// What follows from the evidence first, general advice after.
    pub(super) recommendations: Vec<String>,
    pub(super) affected_endpoints: Vec<String>,
    /// Plain numbers; durations in seconds, ratios from 0 to 1, sizes in bytes.
    pub(super) metrics: BTreeMap<String, f64>,
    /// Since when its threshold is passed.
    pub(super) since: String,
    /// What was measured, in `unit`.
    pub(super) value: f64,
    /// What it was measured against, in `unit`.
    pub(super) threshold: f64,
    pub(super) unit: String,
    /// Length of the window, in seconds.
    pub(super) window_seconds: f64,
    /// Observations that the value rests on.
    pub(super) samples: u64,
    pub(super) evidence: EvidenceView,
    /// What fixing it is expected to gain; null where the evidence carries no computation.
    pub(super) expected_gain: Option<GainView>,
}

/// What fixing a bottleneck is expected to gain.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct GainView {
    #[cfg_attr(feature = "openapi", schema(example = "takes GET /orders from 1.2s to about 200ms"))]
    pub(super) summary: String,
    /// How it was computed.
    pub(super) how: String,
    /// The endpoint that gains most.
    pub(super) endpoint: Option<String>,
    /// Now, in `unit`.
    pub(super) from: f64,
    /// Afterwards, about.
    pub(super) to: f64,
    pub(super) unit: String,
    /// Share of the time of all requests that is saved, or of all requests that no longer fail, 0 to 1. Recommendations
    /// are ranked by it.
    pub(super) share: f64,
}

impl GainView {
    pub(super) fn of(gain: &Gain) -> Self {
        Self {
            summary: gain.summary.clone(),
            how: gain.how.clone(),
            endpoint: gain.endpoint.as_ref().map(ToString::to_string),
            from: units::micros(gain.from),
            to: units::micros(gain.to),
            unit: gain.unit.as_str().to_owned(),
            share: units::micros(gain.share),
        }
    }
}

impl BottleneckView {
    pub(super) fn of(bottleneck: &Bottleneck, core: &Core) -> Self {
        let rule = &bottleneck.rule;
        Self {
            kind: rule.id.to_string(),
            severity: bottleneck.severity.to_string(),
            subject: bottleneck.subject.name.to_string(),
            description: bottleneck.description.clone(),
            impact: bottleneck.impact.clone(),
            recommendations: bottleneck.recommendations.clone(),
            affected_endpoints: bottleneck.affected_endpoints.iter().map(ToString::to_string).collect(),
            metrics: bottleneck
                .metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), units::micros(*value)))
                .collect(),
            since: units::at(bottleneck.since),
            value: units::micros(bottleneck.value),
            threshold: bottleneck.threshold.limit,
            unit: rule.unit.as_str().to_owned(),
            window_seconds: units::seconds(bottleneck.window),
            samples: bottleneck.samples,
            evidence: EvidenceView::of(bottleneck, core),
            expected_gain: bottleneck.gain.as_ref().map(GainView::of),
        }
    }
}

/// What slows the service down or breaks it now, worst first, each with its evidence.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/performance/bottlenecks", tag = "analysis", responses((status = 200, body = BottlenecksAnswer))
))]
pub(super) async fn bottlenecks(State(core): Shared) -> Json<BottlenecksAnswer> {
    let judgement = core.judgement();
    let views = |bottlenecks: &[Arc<Bottleneck>]| {
        bottlenecks.iter().map(|bottleneck| BottleneckView::of(bottleneck, &core)).collect()
    };
    Json(BottlenecksAnswer {
        bottlenecks: views(&judgement.firing),
        counts: Counts::of(&judgement.firing),
        pending: views(&judgement.pending),
        evaluated_at: judgement.at.map(units::at),
        timestamp: units::now(),
    })
}
