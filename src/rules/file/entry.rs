//! The rule files' format: the types that serde_yaml fills and the JSON schema is generated from.
//!
//! Everything here is as it was written; [`build`](super::build) gives it a meaning. Keys that a rule must have are
//! `Option` all the same, so that a rule without one can still be checked for everything else. The documentation of a field
//! is its description in the schema and in docs/rules.md.

use std::collections::BTreeMap;

use serde::Deserialize;

#[cfg(feature = "schema")]
use super::schema::{
    BadRequestsSchema, DurationSchema, ScopeName, SloScopeName, ThresholdSchema, free_names, measures_by_scope,
};

/// A rule file.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(title = "Pinchpoint rules", transform = free_names))]
pub(crate) struct RuleFile {
    /// The rules of this file, in any order.
    #[serde(default)]
    pub(crate) rules: Vec<RuleEntry>,
    /// Service-level objectives, each with the alerts on its error budget. docs/slo.md explains them.
    #[serde(default)]
    pub(crate) slo: Vec<SloEntry>,
}

/// A service-level objective: the share of good requests that is promised, and in which time. What it allows of bad ones is the
/// error budget.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SloEntry {
    /// The "type" in the API and the alert's name: lower-case letters, digits and _. Unique over all rules and files.
    #[cfg_attr(feature = "schema", schemars(required, with = "String", regex(pattern = r"^[a-z][a-z0-9_]*$")))]
    pub(crate) id: Option<Scalar>,
    /// service: one budget for all endpoints that match, together. endpoint: a budget for each of them. Default: service.
    #[cfg_attr(feature = "schema", schemars(with = "Option<SloScopeName>"))]
    pub(crate) scope: Option<Scalar>,
    /// Share of the requests that must be good, e.g. 99.9%.
    #[cfg_attr(feature = "schema", schemars(required, with = "String"))]
    pub(crate) objective: Option<Scalar>,
    /// The time in which the error budget is counted, 3d to 92d. Default: 30d.
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) window: Option<Scalar>,
    /// Which requests are bad: "errors" for those that error_ratio counts (5xx, panics, broken bodies), or "> 500ms" for those that took longer, whatever they answered. The limit is one of the edges of the exported histogram. Default: errors.
    #[cfg_attr(feature = "schema", schemars(with = "Option<BadRequestsSchema>"))]
    pub(crate) bad: Option<Scalar>,
    /// Only the endpoints that match: http_route and http_request_method with patterns, in which * stands for anything.
    #[serde(rename = "match")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<BTreeMap<String, String>>"))]
    pub(crate) matches: Option<BTreeMap<String, Scalar>>,
    /// Leave out every endpoint that matches one of these.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<BTreeMap<String, String>>>"))]
    pub(crate) exclude: Option<Vec<BTreeMap<String, Scalar>>>,
    /// With fewer requests in a severity's long window there is no finding. Default: 5.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub(crate) min_samples: Option<Scalar>,
    /// With fewer bad requests in a severity's long window there is no finding: one error at night is no outage. Default: 5.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub(crate) min_bad: Option<Scalar>,
    /// How long the burn rates must be passed before it fires, e.g. 1m. Default: 30s.
    #[serde(rename = "for")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) hold: Option<Scalar>,
    /// How long it still fires after they are no longer passed. Default: 1m.
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) keep_firing_for: Option<Scalar>,
    /// Burn rates above which each severity fires, in both of its windows; those that are not named keep their default. Default: { low: "> 1", medium: "> 3", high: "> 6", critical: "> 14.4" }.
    #[cfg_attr(feature = "schema", schemars(with = "Option<ThresholdsEntry>"))]
    pub(crate) thresholds: Option<ThresholdsEntry>,
    /// One sentence. {subject}, {value}, {window} and the facts of objectives are filled in. Default: one that names the burn rate.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) description: Option<Scalar>,
    /// What it means for users; the same placeholders. Default: the bad requests, and how much of the budget is left.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) impact: Option<Scalar>,
    /// What to do. Advice whose condition holds is shown first.
    pub(crate) recommendations: Option<Vec<RecommendationEntry>>,
}

/// One rule: what is measured, when it is too much, and what to say then.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = measures_by_scope))]
pub(crate) struct RuleEntry {
    /// The "type" in the API and the alert's name: lower-case letters, digits and _. Unique over all files.
    #[cfg_attr(feature = "schema", schemars(required, with = "String", regex(pattern = r"^[a-z][a-z0-9_]*$")))]
    pub(crate) id: Option<Scalar>,
    /// The kind of subjects that the rule judges, one by one.
    #[cfg_attr(feature = "schema", schemars(required, with = "ScopeName"))]
    pub(crate) scope: Option<Scalar>,
    /// The quantity that is compared with the thresholds.
    #[cfg_attr(feature = "schema", schemars(required, with = "String"))]
    pub(crate) measure: Option<Scalar>,
    /// Scope metric only: the recorded metric to read. The end of its name (_seconds, _bytes, _ratio) is its unit.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) metric: Option<Scalar>,
    /// Scope metric only: one subject for each set of values of these labels. Without it all series count together.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    pub(crate) by: Option<Vec<Scalar>>,
    /// Judge only the subjects that match: label names with patterns, in which * stands for anything.
    #[serde(rename = "match")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<BTreeMap<String, String>>"))]
    pub(crate) matches: Option<BTreeMap<String, Scalar>>,
    /// Leave out every subject that matches one of these, e.g. a report that is allowed to be slow.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<BTreeMap<String, String>>>"))]
    pub(crate) exclude: Option<Vec<BTreeMap<String, Scalar>>>,
    /// How far back the rule looks, e.g. 5m. Default: 5m. Not for memory_growth, absent_for, drop_ratio and those of versions, which choose their spans themselves.
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) window: Option<Scalar>,
    /// With fewer observations (requests, calls, runs) in the window there is no finding. Default: 5. Not for states, such as resident_memory.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub(crate) min_samples: Option<Scalar>,
    /// How long a threshold must be passed before the rule fires, e.g. 30s. Default: 30s.
    #[serde(rename = "for")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) hold: Option<Scalar>,
    /// How long the rule still fires after the threshold is no longer passed. Default: 1m.
    #[cfg_attr(feature = "schema", schemars(with = "Option<DurationSchema>"))]
    pub(crate) keep_firing_for: Option<Scalar>,
    /// A condition over measures and words of the same scope that must hold too, e.g. "time_per_request > 50ms and operation == SELECT".
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) only_if: Option<Scalar>,
    /// A threshold for one or more of the severities, e.g. { high: "> 1s", critical: "> 5s" }.
    #[cfg_attr(feature = "schema", schemars(with = "ThresholdsEntry"))]
    pub(crate) thresholds: Option<ThresholdsEntry>,
    /// Other thresholds for some subjects; the first that matches applies.
    pub(crate) overrides: Option<Vec<OverrideEntry>>,
    /// One sentence. {subject}, {value}, {threshold}, {window} and the facts of the scope are filled in.
    #[cfg_attr(feature = "schema", schemars(required, with = "String"))]
    pub(crate) description: Option<Scalar>,
    /// What it means for users; the same placeholders. Default: the value, the threshold and the window.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) impact: Option<Scalar>,
    /// What to do. Advice whose condition holds is shown first.
    pub(crate) recommendations: Option<Vec<RecommendationEntry>>,
}

/// Thresholds, each with its comparison.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdsEntry {
    /// Worth knowing.
    #[cfg_attr(feature = "schema", schemars(with = "Option<ThresholdSchema>"))]
    pub(crate) low: Option<Scalar>,
    /// Worth planning a fix.
    #[cfg_attr(feature = "schema", schemars(with = "Option<ThresholdSchema>"))]
    pub(crate) medium: Option<Scalar>,
    /// Users notice it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<ThresholdSchema>"))]
    pub(crate) high: Option<Scalar>,
    /// Users leave, or the service is about to fail.
    #[cfg_attr(feature = "schema", schemars(with = "Option<ThresholdSchema>"))]
    pub(crate) critical: Option<Scalar>,
}

/// Thresholds of their own for some subjects.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideEntry {
    /// The subjects: label names with patterns, in which * stands for anything.
    #[serde(rename = "match")]
    #[cfg_attr(feature = "schema", schemars(required, with = "BTreeMap<String, String>"))]
    pub(crate) matches: Option<BTreeMap<String, Scalar>>,
    /// What differs; the rule's other thresholds stay. "off" takes one away.
    #[cfg_attr(feature = "schema", schemars(with = "ThresholdsEntry"))]
    pub(crate) thresholds: Option<ThresholdsEntry>,
}

/// A piece of advice: a sentence, or one with a condition.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(crate) enum RecommendationEntry {
    /// Always good advice.
    Always(#[cfg_attr(feature = "schema", schemars(with = "String"))] Scalar),
    /// Advice that follows from the evidence.
    When(ConditionalEntry),
}

/// Advice that follows from the evidence.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionalEntry {
    /// A condition over the facts of the scope, e.g. "db_time_ratio > 0.5 and method in (POST, PUT)".
    #[serde(rename = "if")]
    #[cfg_attr(feature = "schema", schemars(required, with = "String"))]
    pub(crate) condition: Option<Scalar>,
    /// The advice; it may name facts, e.g. {top_query}.
    #[cfg_attr(feature = "schema", schemars(required, with = "String"))]
    pub(crate) say: Option<Scalar>,
}

/// A plain value as it was written: units decide what a number or a boolean means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Scalar(pub(crate) String);
