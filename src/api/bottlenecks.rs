//! `/performance/bottlenecks`: what slows the service down or breaks it, and why.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, evidence::EvidenceView, units};
use crate::{
    monitor::Core,
    rules::{Bottleneck, Severity},
};

/// What fires now, worst first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BottlenecksAnswer {
    bottlenecks: Vec<BottleneckView>,
    #[serde(flatten)]
    counts: Counts,
    /// What will fire if it lasts, worst first.
    pending: Vec<BottleneckView>,
    /// When the rules were last evaluated; null before the first time.
    evaluated_at: Option<String>,
    timestamp: String,
}

/// How many bottlenecks fire, by severity.
#[derive(Debug, Serialize, ToSchema)]
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
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BottleneckView {
    /// Id of the rule that found it.
    #[serde(rename = "type")]
    #[schema(example = "slow_endpoint")]
    kind: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    severity: String,
    /// What it is about: an endpoint, a query, a task or the process.
    subject: String,
    description: String,
    impact: String,
    /// What follows from the evidence first, general advice after.
    recommendations: Vec<String>,
    affected_endpoints: Vec<String>,
    /// Plain numbers; durations in seconds, ratios from 0 to 1, sizes in bytes.
    metrics: BTreeMap<String, f64>,
    /// Since when its threshold is passed.
    since: String,
    /// What was measured, in `unit`.
    value: f64,
    /// What it was measured against, in `unit`.
    threshold: f64,
    unit: String,
    /// Length of the window, in seconds.
    window_seconds: f64,
    /// Observations that the value rests on.
    samples: u64,
    evidence: EvidenceView,
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
            window_seconds: units::seconds(rule.window),
            samples: bottleneck.samples,
            evidence: EvidenceView::of(bottleneck, core),
        }
    }
}

/// What slows the service down or breaks it now, worst first, each with its evidence.
#[utoipa::path(
    get, path = "/performance/bottlenecks", tag = "analysis", responses((status = 200, body = BottlenecksAnswer))
)]
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
