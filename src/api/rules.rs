//! `/performance/rules`: the rules in force.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use tokio::time::Instant;

use super::{CoreState, timestamp, units};
use crate::{
    monitor::{Core, Judgement, RuleCoverage},
    rules::{Bottleneck, Rule, Thresholds, Unit},
};

/// A rule in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RuleView {
    /// The `type` of its bottlenecks.
    pub(super) id: String,
    /// Its file and the line that it begins in.
    #[cfg_attr(feature = "openapi", schema(example = "endpoints.yaml:12"))]
    pub(super) place: String,
    pub(super) scope: &'static str,
    pub(super) measure: &'static str,
    /// Unit of its thresholds.
    #[serde(serialize_with = "units::name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub(super) unit: Unit,
    pub(super) window_seconds: f64,
    pub(super) min_samples: u64,
    pub(super) for_seconds: f64,
    pub(super) keep_firing_for_seconds: f64,
    /// Thresholds by severity, as a rule file writes them: comparison and value.
    pub(super) thresholds: BTreeMap<String, String>,
    /// Number of endpoints, queries or tasks with thresholds of their own.
    pub(super) overrides: usize,
    /// Number of its firing bottlenecks.
    pub(super) firing: usize,
    /// Number of its pending bottlenecks.
    pub(super) pending: usize,
    /// Number of subjects (endpoints, queries, tasks, …) in its window that `match` and `exclude` choose.
    pub(super) subjects: usize,
    /// Those of them that have enough samples to be judged.
    pub(super) judged: usize,
    /// Why the rule cannot find anything now, or misses what it is for; null where it can.
    #[cfg_attr(feature = "openapi", schema(example = "nothing has recorded the metric queue_depth so far"))]
    pub(super) silent_because: Option<String>,
}

/// The rules in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct RulesAnswer {
    rules: Vec<RuleView>,
    total_count: usize,
    /// How many of them cannot find anything now, or miss what they are for.
    silent_count: usize,
    timestamp: String,
}

fn thresholds(rule: &Rule, thresholds: &Thresholds) -> BTreeMap<String, String> {
    let text = |threshold: &crate::rules::Threshold| {
        format!("{} {}", threshold.operator.as_str(), rule.unit.render(threshold.limit))
    };
    thresholds.0.iter().map(|(severity, threshold)| (severity.to_string(), text(threshold))).collect()
}

/// A rule that cannot find anything now.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct SilentRule {
    /// The `type` of its bottlenecks.
    pub(super) id: String,
    /// Why, as in `/performance/rules`.
    pub(super) reason: String,
}

impl SilentRule {
    /// Returns every rule in force that is silent, and how many rules are in force.
    pub(super) fn all(core: &Core) -> (Vec<Self>, usize) {
        let covered = core.coverage(Instant::now());
        let count = covered.len();
        let silent = covered
            .into_iter()
            .filter_map(|covered| Some(Self { id: covered.rule.id.to_string(), reason: covered.silence? }));
        (silent.collect(), count)
    }
}

impl RuleView {
    /// Returns every rule in force.
    pub(super) fn all(core: &Core, judgement: &Judgement) -> Vec<Self> {
        core.coverage(Instant::now()).into_iter().map(|covered| Self::of(covered, judgement)).collect()
    }

    fn of(covered: RuleCoverage, judgement: &Judgement) -> Self {
        let RuleCoverage { rule, coverage, silence } = covered;
        let count = |bottlenecks: &[Arc<Bottleneck>]| {
            bottlenecks.iter().filter(|bottleneck| bottleneck.rule.id == rule.id).count()
        };
        Self {
            id: rule.id.to_string(),
            place: rule.place.to_string(),
            scope: rule.scope.as_str(),
            measure: rule.measure_name,
            unit: rule.unit,
            window_seconds: units::seconds(rule.window),
            min_samples: rule.min_samples,
            for_seconds: units::seconds(rule.hold),
            keep_firing_for_seconds: units::seconds(rule.keep_firing_for),
            thresholds: thresholds(&rule, &rule.thresholds),
            overrides: rule.overrides.len(),
            firing: count(&judgement.firing),
            pending: count(&judgement.pending),
            subjects: coverage.chosen,
            judged: coverage.judged,
            silent_because: silence,
        }
    }
}

/// The rules in force, with their thresholds, how many subjects each judges now, and why a silent one is silent.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/performance/rules", tag = "analysis", responses((status = 200, body = RulesAnswer))))]
pub(super) async fn rules(State(core): CoreState) -> Json<RulesAnswer> {
    let judgement = core.judgement();
    let rules = RuleView::all(&core, &judgement);
    Json(RulesAnswer {
        total_count: rules.len(),
        silent_count: rules.iter().filter(|rule| rule.silent_because.is_some()).count(),
        rules,
        timestamp: timestamp::now(),
    })
}
