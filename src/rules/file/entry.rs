//! The rule files' format: the types that serde_yaml fills and the JSON schema is generated from.
//!
//! Everything here is as it was written; [`file`](super::load) gives it a meaning. Keys that a rule must have are
//! `Option` all the same, so that a rule without one can still be checked for everything else.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::rules::measure::{self, Scope};

/// A rule file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Pinchpoint rules")]
pub(crate) struct RuleFile {
    /// The rules of this file, in any order.
    pub(crate) rules: Vec<RuleEntry>,
}

/// One rule: what is measured, when it is too much, and what to say then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = measures_by_scope)]
pub(crate) struct RuleEntry {
    /// The "type" in the API and the alert's name: lower-case letters, digits and _. Unique over all files.
    #[schemars(required, regex(pattern = r"^[a-z][a-z0-9_]*$"))]
    pub(crate) id: Option<Text>,
    /// What the rule looks at, one by one.
    #[schemars(required, with = "ScopeName")]
    pub(crate) scope: Option<Text>,
    /// The quantity that is compared with the thresholds.
    #[schemars(required, with = "String")]
    pub(crate) measure: Option<Text>,
    /// Scope metric only: the recorded metric to read. The end of its name (_seconds, _bytes, _ratio) is its unit.
    #[schemars(with = "Option<String>")]
    pub(crate) metric: Option<Text>,
    /// Scope metric only: one subject for each set of values of these labels. Without it all series count together.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) by: Option<Vec<Text>>,
    /// Only what matches: label names with patterns, in which * stands for anything.
    #[serde(rename = "match")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(crate) matches: Option<BTreeMap<String, Text>>,
    /// Nothing that matches one of these, e.g. a report that is allowed to be slow.
    #[schemars(with = "Option<Vec<BTreeMap<String, String>>>")]
    pub(crate) exclude: Option<Vec<BTreeMap<String, Text>>>,
    /// How far back the rule looks, e.g. 5m. Default: 5m. memory_growth has none: it is looked for over spans of its own.
    #[schemars(with = "Option<Span>")]
    pub(crate) window: Option<Text>,
    /// No answer on fewer observations (requests, calls, runs) in the window. Default: 5.
    #[schemars(with = "Option<u64>")]
    pub(crate) min_samples: Option<Text>,
    /// How long a threshold must be passed before the rule fires, e.g. 30s. Default: 30s.
    #[serde(rename = "for")]
    #[schemars(with = "Option<Span>")]
    pub(crate) hold: Option<Text>,
    /// How long the rule still fires after the threshold is no longer passed. Default: 1m.
    #[schemars(with = "Option<Span>")]
    pub(crate) keep_firing_for: Option<Text>,
    /// A condition over measures of the same scope that must hold too, e.g. "time_per_request > 50ms".
    #[schemars(with = "Option<String>")]
    pub(crate) only_if: Option<Text>,
    /// A threshold for each severity that there is, e.g. { high: "> 1s", critical: "> 5s" }.
    #[schemars(with = "ThresholdsEntry")]
    pub(crate) thresholds: Option<ThresholdsEntry>,
    /// Other thresholds for some subjects; the first that matches counts.
    pub(crate) overrides: Option<Vec<OverrideEntry>>,
    /// One sentence. {subject}, {value}, {threshold}, {window} and the evidence's names are filled in.
    #[schemars(required, with = "String")]
    pub(crate) description: Option<Text>,
    /// What it means for users; the same placeholders. Default: the value, the threshold and the window.
    #[schemars(with = "Option<String>")]
    pub(crate) impact: Option<Text>,
    /// What to do. Advice whose condition holds is shown first.
    pub(crate) recommendations: Option<Vec<RecommendationEntry>>,
}

/// Thresholds, each with its comparison.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdsEntry {
    /// Worth knowing.
    #[schemars(with = "Option<Limit>")]
    pub(crate) low: Option<Text>,
    /// Worth planning a fix.
    #[schemars(with = "Option<Limit>")]
    pub(crate) medium: Option<Text>,
    /// Users notice it.
    #[schemars(with = "Option<Limit>")]
    pub(crate) high: Option<Text>,
    /// Users leave, or the service is about to fail.
    #[schemars(with = "Option<Limit>")]
    pub(crate) critical: Option<Text>,
}

/// Thresholds of their own for some subjects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideEntry {
    /// The subjects: label names with patterns, in which * stands for anything.
    #[serde(rename = "match")]
    #[schemars(required, with = "BTreeMap<String, String>")]
    pub(crate) matches: Option<BTreeMap<String, Text>>,
    /// What differs; the rule's other thresholds stay. "off" takes one away.
    #[schemars(with = "ThresholdsEntry")]
    pub(crate) thresholds: Option<ThresholdsEntry>,
}

/// A piece of advice: a sentence, or one with a condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RecommendationEntry {
    /// Always good advice.
    Always(#[schemars(with = "String")] Text),
    /// Advice that follows from the evidence.
    When(ConditionalEntry),
}

/// Advice that follows from the evidence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionalEntry {
    /// A condition over the evidence, e.g. "db_time_ratio > 0.5 and top_query_calls_per_request > 5".
    #[serde(rename = "if")]
    #[schemars(required, with = "String")]
    pub(crate) condition: Option<Text>,
    /// The advice; it may name the evidence, e.g. {top_query}.
    #[schemars(required, with = "String")]
    pub(crate) say: Option<Text>,
}

/// A plain value as it was written: the tree that fills it knows no numbers and no booleans.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text(pub(crate) String);

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Schema of a duration.
struct Span;

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: 250ms, 30s, 5m, 1h.",
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)? *(ms|s|m|h)$",
        })
    }
}

/// Schema of a threshold.
struct Limit;

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A comparison and a quantity in the measure's unit: \"> 1s\", \">= 10%\", \"> 512MiB\", \
                            \"< 20/s\", \"> 10MB/h\", \"> 5\"; in an override also \"off\".",
            "type": "string",
            "pattern": r"^ *([<>]=? *[0-9]+(\.[0-9]+)? *[A-Za-z%/]*|off)$",
        })
    }
}

/// Schema of a scope's name.
struct ScopeName;

impl JsonSchema for ScopeName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Scope::ALL.map(Scope::as_str) })
    }
}

/// Offers in each scope the measures and labels that it has.
fn measures_by_scope(schema: &mut Schema) {
    let mut cases: Vec<serde_json::Value> = Scope::ALL.into_iter().map(scope_case).collect();
    let growth =
        serde_json::json!({ "properties": { "measure": { "const": "memory_growth" } }, "required": ["measure"] });
    cases.push(serde_json::json!({ "if": growth, "then": { "properties": { "window": false } } }));
    schema.insert("allOf".to_owned(), cases.into());
}

fn scope_case(scope: Scope) -> serde_json::Value {
    let measures: Vec<_> = measure::of_scope(scope)
        .map(|entry| serde_json::json!({ "const": entry.name, "description": entry.about }))
        .collect();
    let mut then = serde_json::json!({ "properties": { "measure": { "oneOf": measures } } });
    if let Some(labels) = scope.labels() {
        let names = serde_json::json!({ "propertyNames": { "enum": labels } });
        then["properties"]["match"] = names.clone();
        then["properties"]["exclude"] = serde_json::json!({ "items": names });
        then["properties"]["metric"] = false.into();
        then["properties"]["by"] = false.into();
    } else {
        then["required"] = serde_json::json!(["metric"]);
    }
    serde_json::json!({ "if": { "properties": { "scope": { "const": scope.as_str() } }, "required": ["scope"] }, "then": then })
}

/// Returns the JSON schema of rule files, as `rules/rules.schema.json` holds it.
pub(crate) fn json_schema_text() -> String {
    let mut schema = schemars::schema_for!(RuleFile).to_value();
    refuse_null(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON by its type");
    text.push('\n');
    text
}

/// `window:` with nothing after it is a slip, not a choice: what may be left out may still not be empty.
fn refuse_null(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Array(items) => items.iter_mut().for_each(refuse_null),
        serde_json::Value::Object(keys) => {
            if let Some(serde_json::Value::Array(types)) = keys.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    keys.insert("type".to_owned(), only);
                }
            }
            if let Some(serde_json::Value::Array(cases)) = keys.get_mut("anyOf") {
                cases.retain(|case| case.get("type").is_none_or(|name| name != "null"));
                if let [serde_json::Value::Object(only)] = cases.as_slice() {
                    let only = only.clone();
                    keys.remove("anyOf");
                    keys.extend(only);
                }
            }
            keys.values_mut().for_each(refuse_null);
        }
        _ => {}
    }
}
