//! What the JSON schema of rule files says beyond the types of [`entry`](super::entry).
//!
//! Editors complete and check rule files with the schema. The types give it the keys and their descriptions; this file adds
//! how quantities are written, and which measures and labels each scope has.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::rules::{fact, measure, scope::Scope, slo::SloScope};

/// Schema of a duration.
pub(super) struct DurationSchema;

impl JsonSchema for DurationSchema {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: 250ms, 30s, 5m, 1h, 30d.",
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)? *(ms|s|m|h|d)$",
        })
    }
}

/// Schema of a threshold.
pub(super) struct ThresholdSchema;

impl JsonSchema for ThresholdSchema {
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

/// Schema of which requests break an objective.
pub(super) struct BadRequestsSchema;

impl JsonSchema for BadRequestsSchema {
    fn schema_name() -> Cow<'static, str> {
        "BadRequests".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "\"errors\", or \"> 500ms\" for those that took longer than an edge of the exported histogram.",
            "type": "string",
            "pattern": r"^(errors| *> *[0-9]+(\.[0-9]+)? *(ms|s))$",
        })
    }
}

/// Schema of an objective's scope.
pub(super) struct SloScopeName;

impl JsonSchema for SloScopeName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "SloScope".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": SloScope::ALL.map(SloScope::as_str) })
    }
}

/// Schema of a scope's name.
pub(super) struct ScopeName;

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

/// Allows names that begin with `x-` beside the rules, for anchors.
pub(super) fn free_names(schema: &mut Schema) {
    let about = "Free for anchors, such as the defaults of several rules: <<: *defaults.";
    schema.insert("patternProperties".to_owned(), serde_json::json!({ "^x-": { "description": about } }));
    let lists = serde_json::json!([{ "required": ["rules"] }, { "required": ["slo"] }]);
    schema.insert("anyOf".to_owned(), lists);
}

/// Offers in each scope the measures and labels that it has.
pub(super) fn measures_by_scope(schema: &mut Schema) {
    let mut cases: Vec<serde_json::Value> = Scope::ALL.into_iter().map(scope_case).collect();
    let growth = fact::MEMORY_GROWTH.name;
    let growth = serde_json::json!({ "properties": { "measure": { "const": growth } }, "required": ["measure"] });
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

/// Returns the JSON schema of a type, as `rules/rules.schema.json` holds that of rule files.
pub(super) fn text<T: JsonSchema>() -> String {
    let mut schema = schemars::schema_for!(T).to_value();
    refuse_null(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON by its type");
    text.push('\n');
    text
}

/// Takes `null` out of every type: a key may be left out, but `window:` with nothing after it is a slip.
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
