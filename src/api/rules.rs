//! `/performance/rules`: the rules in force.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{CoreState, timestamp, units};
use crate::rules::{Rule, Thresholds, Unit};

/// A rule in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RuleView {
    /// The `type` of its bottlenecks.
    id: String,
    scope: &'static str,
    measure: &'static str,
    /// Unit of its thresholds.
    #[serde(serialize_with = "units::name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    unit: Unit,
    window_seconds: f64,
    min_samples: u64,
    for_seconds: f64,
    keep_firing_for_seconds: f64,
    /// Thresholds by severity, as a rule file writes them: comparison and value.
    thresholds: BTreeMap<String, String>,
    /// Number of endpoints, queries or tasks with thresholds of their own.
    overrides: usize,
    /// Number of its firing bottlenecks.
    firing: usize,
    /// Number of its pending bottlenecks.
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
        format!("{} {}", threshold.operator.as_str(), rule.unit.render(threshold.limit))
    };
    thresholds.0.iter().map(|(severity, threshold)| (severity.to_string(), text(threshold))).collect()
}

/// The rules in force, with their thresholds.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/rules", tag = "analysis", responses((status = 200, body = RulesAnswer))))]
pub(super) async fn rules(State(core): CoreState) -> Json<RulesAnswer> {
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
            unit: rule.unit,
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
    Json(RulesAnswer { total_count: rules.len(), rules, timestamp: timestamp::now() })
}
