//! `/performance/rules`.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{Shared, units};
use crate::rules::{Rule, Thresholds};

/// A rule in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RuleView {
    /// The `type` of its bottlenecks.
    id: String,
    scope: &'static str,
    measure: &'static str,
    /// Unit of its thresholds.
    unit: &'static str,
    window_seconds: f64,
    min_samples: u64,
    for_seconds: f64,
    keep_firing_for_seconds: f64,
    /// Threshold by severity, as in the file: comparison and value.
    thresholds: BTreeMap<String, String>,
    /// How many endpoints, queries or tasks have thresholds of their own.
    overrides: usize,
    /// How many of its bottlenecks fire now, and are pending.
    firing: usize,
    pending: usize,
}

/// The rules in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RulesAnswer {
    rules: Vec<RuleView>,
    total_count: usize,
    timestamp: String,
}

fn thresholds(rule: &Rule, thresholds: &Thresholds) -> BTreeMap<String, String> {
    let text = |threshold: &crate::rules::Threshold| {
        format!("{} {}", threshold.comparison.as_str(), rule.unit.render(threshold.limit))
    };
    thresholds.0.iter().map(|(severity, threshold)| (severity.to_string(), text(threshold))).collect()
}

/// The rules in force, with their thresholds.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/rules", tag = "analysis", responses((status = 200, body = RulesAnswer))))]
pub(super) async fn rules(State(core): Shared) -> Json<RulesAnswer> {
    let judgement = core.judgement();
    let count = |bottlenecks: &[std::sync::Arc<crate::rules::Bottleneck>], rule: &Rule| {
        bottlenecks.iter().filter(|bottleneck| bottleneck.rule.id == rule.id).count()
    };
    let rules: Vec<_> = core
        .rules_state()
        .set
        .rules()
        .iter()
        .map(|rule| RuleView {
            id: rule.id.to_string(),
            scope: rule.scope.as_str(),
            measure: rule.measure_name,
            unit: rule.unit.as_str(),
            window_seconds: units::seconds(rule.window),
            min_samples: rule.min_samples,
            for_seconds: units::seconds(rule.hold),
            keep_firing_for_seconds: units::seconds(rule.keep_firing_for),
            thresholds: thresholds(rule, &rule.thresholds),
            overrides: rule.overrides.len(),
            firing: count(&judgement.firing, rule),
            pending: count(&judgement.pending, rule),
        })
        .collect();
    Json(RulesAnswer { total_count: rules.len(), rules, timestamp: units::now() })
}
