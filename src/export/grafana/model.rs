//! The JSON of a dashboard, as Grafana's schema has it (version 39: Grafana 10.4). Source: the types of `@grafana/schema`.

use serde::Serialize;
use serde_json::{Value, json};

/// Version of the schema: newer versions of Grafana read it.
pub(super) const SCHEMA_VERSION: u8 = 39;
/// The variable with the source of the data.
pub(super) const DATASOURCE: &str = "datasource";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) tags: [&'static str; 1],
    pub(super) schema_version: u8,
    pub(super) editable: bool,
    /// 1: the cursor is at the same time in all panels.
    pub(super) graph_tooltip: u8,
    pub(super) refresh: &'static str,
    pub(super) time: Range,
    pub(super) timezone: &'static str,
    pub(super) links: Vec<Link>,
    pub(super) templating: List<Variable>,
    pub(super) annotations: List<Annotation>,
    pub(super) panels: Vec<Panel>,
}

#[derive(Debug, Serialize)]
pub(super) struct Range {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) list: Vec<T>,
}

/// A link to another dashboard, which keeps the variables and the time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) title: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) icon: &'static str,
    pub(super) tooltip: &'static str,
    pub(super) tags: [&'static str; 0],
    pub(super) as_dropdown: bool,
    pub(super) include_vars: bool,
    pub(super) keep_time: bool,
    pub(super) target_blank: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    pub(super) name: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) label: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datasource: Option<Source>,
    pub(super) query: Value,
    /// 2: asked again when the range of time changes.
    pub(super) refresh: u8,
    /// 1: by name.
    pub(super) sort: u8,
    pub(super) multi: bool,
    pub(super) include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) all_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) current: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotation {
    pub(super) name: &'static str,
    pub(super) datasource: Source,
    pub(super) enable: bool,
    pub(super) icon_color: &'static str,
    pub(super) expr: String,
    pub(super) step: &'static str,
    pub(super) title_format: String,
    pub(super) text_format: String,
    pub(super) tag_keys: String,
    /// Whether the value is the time of the event, in milliseconds.
    pub(super) use_value_for_time: bool,
}

/// Where data come from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

/// The Prometheus that the variable names.
pub(super) const PROMETHEUS: Source = Source { kind: "prometheus", uid: "${datasource}" };

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Panel {
    pub(super) id: usize,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    pub(super) grid_pos: GridPos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datasource: Option<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) targets: Vec<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field_config: Option<FieldConfig>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) options: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transformations: Vec<Value>,
    /// Of rows only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collapsed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) panels: Option<[(); 0]>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct GridPos {
    pub(super) h: u8,
    pub(super) w: u8,
    pub(super) x: u8,
    pub(super) y: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) ref_id: String,
    pub(super) datasource: Source,
    pub(super) expr: String,
    pub(super) legend_format: String,
    /// Whether the value now is asked for, rather than one for each step of the range.
    pub(super) instant: bool,
    pub(super) range: bool,
    pub(super) format: &'static str,
    pub(super) editor_mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct FieldConfig {
    pub(super) defaults: Defaults,
    pub(super) overrides: Vec<Override>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Defaults {
    pub(super) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<u8>,
    pub(super) no_value: &'static str,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) color: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) thresholds: Value,
    pub(super) custom: Value,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Override {
    pub(super) matcher: Matcher,
    pub(super) properties: Vec<Property>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Matcher {
    pub(super) id: &'static str,
    pub(super) options: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Property {
    pub(super) id: &'static str,
    pub(super) value: Value,
}

impl Override {
    /// Changes the fields with a name.
    pub(super) fn named(name: &str, properties: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self::of("byName", name, properties)
    }

    /// Changes the fields whose name a regular expression matches.
    pub(super) fn like(regex: &str, properties: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        Self::of("byRegexp", regex, properties)
    }

    fn of(id: &'static str, options: &str, properties: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let properties = properties.into_iter().map(|(id, value)| Property { id, value }).collect();
        Self { matcher: Matcher { id, options: options.to_owned() }, properties }
    }
}

/// A colour that stays, whatever the value.
pub(super) fn fixed(color: &str) -> Value {
    json!({ "fixedColor": color, "mode": "fixed" })
}
