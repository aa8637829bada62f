//! Which keys stand where in a rule file.
//!
//! serde stops at the first thing it cannot fill. This walk reports every key that is unknown, missing, duplicate or of
//! the wrong kind, and returns the tree without them, so that the rest of the file can still be checked.

use super::{
    located::{Node, Value},
    position::Position,
    problem::ProblemKind,
};
use crate::rules::suggest::nearest;

/// What a value must be.
#[derive(Debug)]
pub(crate) enum ValueKind {
    /// A plain value; the text says what it should look like.
    Text(&'static str),
    /// A list of plain values.
    Texts,
    /// Label names with patterns.
    Labels,
    /// A list of those.
    LabelsList,
    Map(&'static Keys),
    List(&'static Keys),
    /// A list of plain values and mappings.
    TextsOrMaps(&'static Keys),
}

/// The keys of a mapping.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What the mapping is called in messages.
    pub(crate) within: &'static str,
    pub(crate) keys: &'static [Key],
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) kind: ValueKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

const fn required(name: &'static str, kind: ValueKind) -> Key {
    Key { name, need: Need::Required, kind }
}

const fn optional(name: &'static str, kind: ValueKind) -> Key {
    Key { name, need: Need::Optional, kind }
}

const LIMIT: ValueKind = ValueKind::Text("a threshold such as \"> 1s\"");
const SPAN: ValueKind = ValueKind::Text("a duration such as 30s");

/// Names with this beginning are free at the top of a file: their values are for anchors, such as defaults of several rules.
const FREE: &str = "x-";

pub(crate) static FILE: Keys = Keys {
    within: "file",
    keys: &[optional("rules", ValueKind::List(&RULE)), optional("slo", ValueKind::List(&OBJECTIVE))],
};

/// The keys of a file of which one must be there.
const LISTS: [&str; 2] = ["rules", "slo"];

pub(crate) static RULE: Keys = Keys {
    within: "rule",
    keys: &[
        required("id", ValueKind::Text("a name such as slow_endpoint")),
        required("scope", ValueKind::Text("endpoint, query, task, process or metric")),
        required("measure", ValueKind::Text("a measure such as avg_duration")),
        optional("metric", ValueKind::Text("the name of a metric")),
        optional("by", ValueKind::Texts),
        optional("match", ValueKind::Labels),
        optional("exclude", ValueKind::LabelsList),
        optional("window", SPAN),
        optional("min_samples", ValueKind::Text("a number such as 5")),
        optional("for", SPAN),
        optional("keep_firing_for", SPAN),
        optional("only_if", ValueKind::Text("a condition such as \"request_rate > 1/s\"")),
        required("thresholds", ValueKind::Map(&THRESHOLDS)),
        optional("overrides", ValueKind::List(&OVERRIDE)),
        required("description", ValueKind::Text("a sentence")),
        optional("impact", ValueKind::Text("a sentence")),
        optional("recommendations", ValueKind::TextsOrMaps(&RECOMMENDATION)),
    ],
};

pub(crate) static OBJECTIVE: Keys = Keys {
    within: "objective",
    keys: &[
        required("id", ValueKind::Text("a name such as api_availability")),
        optional("scope", ValueKind::Text("service or endpoint")),
        required("objective", ValueKind::Text("a share such as 99.9%")),
        optional("window", ValueKind::Text("a duration such as 30d")),
        optional("bad", ValueKind::Text("\"errors\", or what is too slow, such as \"> 500ms\"")),
        optional("match", ValueKind::Labels),
        optional("exclude", ValueKind::LabelsList),
        optional("min_samples", ValueKind::Text("a number such as 5")),
        optional("min_bad", ValueKind::Text("a number such as 5")),
        optional("for", SPAN),
        optional("keep_firing_for", SPAN),
        optional("thresholds", ValueKind::Map(&THRESHOLDS)),
        optional("description", ValueKind::Text("a sentence")),
        optional("impact", ValueKind::Text("a sentence")),
        optional("recommendations", ValueKind::TextsOrMaps(&RECOMMENDATION)),
    ],
};

pub(crate) static THRESHOLDS: Keys = Keys {
    within: "thresholds",
    keys: &[optional("low", LIMIT), optional("medium", LIMIT), optional("high", LIMIT), optional("critical", LIMIT)],
};

pub(crate) static OVERRIDE: Keys = Keys {
    within: "override",
    keys: &[required("match", ValueKind::Labels), required("thresholds", ValueKind::Map(&THRESHOLDS))],
};

pub(crate) static RECOMMENDATION: Keys = Keys {
    within: "recommendation",
    keys: &[required("if", ValueKind::Text("a condition")), required("say", ValueKind::Text("a sentence"))],
};

/// Where problems go.
pub(crate) type Report<'a> = dyn FnMut(Position, ProblemKind) + 'a;

/// Checks the keys of a mapping, all the way down, and returns what is right.
///
/// A value of the wrong kind is left out; a mapping that lacks a key stays, without it.
pub(crate) fn check(node: &Node, keys: &Keys, report: &mut Report<'_>) -> Option<Node> {
    let Value::Map(entries) = &node.value else {
        report(
            node.at,
            wrong(keys.within, node, format!("a mapping with {}", names(keys).collect::<Vec<_>>().join(", "))),
        );
        return None;
    };
    let mut right: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    let is_file = std::ptr::eq(keys, &raw const FILE);
    // A mistyped key was reported under its wrong name: it is not also missing.
    let mut reported = Vec::new();
    for (name_node, value) in entries {
        let Some(name) = plain_key(name_node, keys.within, report) else { continue };
        if is_file && name.starts_with(FREE) {
            continue;
        }
        let Some(key) = keys.keys.iter().find(|key| key.name == name) else {
            let suggestion = nearest(name, names(keys));
            reported.extend(suggestion);
            report(
                name_node.at,
                ProblemKind::UnknownKey {
                    found: name.to_owned(),
                    within: keys.within.to_owned(),
                    suggestion,
                    expected: names(keys).chain(is_file.then_some("x-… for anchors")).collect(),
                },
            );
            continue;
        };
        if is_duplicate(&right, name_node, name, keys.within, report) {
            continue;
        }
        match check_value(value, key, report) {
            Some(value) => right.push((name_node.clone(), value)),
            None => reported.push(key.name),
        }
    }
    let is_there = |name: &str| right.iter().any(|(key, _)| key.as_text() == Some(name)) || reported.contains(&name);
    if is_file && !LISTS.into_iter().any(is_there) {
        report(node.at, ProblemKind::EmptyFile);
    }
    for key in keys.keys.iter().filter(|key| key.need == Need::Required && !reported.contains(&key.name)) {
        if !right.iter().any(|(name, _)| name.as_text() == Some(key.name)) {
            report(node.at, ProblemKind::MissingKey { key: key.name, within: keys.within.to_owned() });
        }
    }
    Some(Node { at: node.at, value: Value::Map(right) })
}

fn names(keys: &Keys) -> impl Iterator<Item = &'static str> + use<> {
    keys.keys.iter().map(|key| key.name).collect::<Vec<_>>().into_iter()
}

fn wrong(key: &str, node: &Node, expected: impl Into<String>) -> ProblemKind {
    ProblemKind::WrongKind { key: key.to_owned(), found: node.kind(), expected: expected.into() }
}

fn plain_key<'a>(node: &'a Node, within: &str, report: &mut Report<'_>) -> Option<&'a str> {
    if node.as_text().is_none() {
        report(node.at, wrong(&format!("a key of {within}"), node, "a name"));
    }
    node.as_text()
}

fn is_duplicate(right: &[(Node, Node)], name_node: &Node, name: &str, within: &str, report: &mut Report<'_>) -> bool {
    let Some((first, _)) = right.iter().find(|(key, _)| key.as_text() == Some(name)) else { return false };
    let kind = ProblemKind::DuplicateKey { key: name.to_owned(), within: within.to_owned(), first: first.at };
    report(name_node.at, kind);
    true
}

fn check_value(node: &Node, key: &Key, report: &mut Report<'_>) -> Option<Node> {
    match &key.kind {
        ValueKind::Text(expected) => text(node, key.name, expected, report),
        ValueKind::Texts => list(node, key.name, report, |item, report| text(item, key.name, "a name", report)),
        ValueKind::Labels => labels(node, key.name, report),
        ValueKind::LabelsList => list(node, key.name, report, |item, report| labels(item, key.name, report)),
        ValueKind::Map(keys) => check(node, keys, report),
        ValueKind::List(keys) => list(node, key.name, report, |item, report| check(item, keys, report)),
        ValueKind::TextsOrMaps(keys) => list(node, key.name, report, |item, report| match item.value {
            Value::Scalar(_) => Some(item.clone()),
            Value::Nothing | Value::List(_) | Value::Map(_) => check(item, keys, report),
        }),
    }
}

fn text(node: &Node, key: &str, expected: &'static str, report: &mut Report<'_>) -> Option<Node> {
    if node.as_text().is_none() {
        report(node.at, wrong(key, node, expected));
        return None;
    }
    Some(node.clone())
}

fn list(
    node: &Node,
    key: &str,
    report: &mut Report<'_>,
    mut item: impl FnMut(&Node, &mut Report<'_>) -> Option<Node>,
) -> Option<Node> {
    let Value::List(items) = &node.value else {
        report(node.at, wrong(key, node, "a list"));
        return None;
    };
    let right = items.iter().filter_map(|node| item(node, report)).collect();
    Some(Node { at: node.at, value: Value::List(right) })
}

fn labels(node: &Node, key: &str, report: &mut Report<'_>) -> Option<Node> {
    let Value::Map(entries) = &node.value else {
        report(node.at, wrong(key, node, "label names with patterns, such as { http_route: \"/reports/*\" }"));
        return None;
    };
    let mut right: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    for (name_node, value) in entries {
        let Some(name) = plain_key(name_node, key, report) else { continue };
        if is_duplicate(&right, name_node, name, key, report) {
            continue;
        }
        if let Some(value) = text(value, name, "a pattern such as \"/reports/*\"", report) {
            right.push((name_node.clone(), value));
        }
    }
    // Where every label was wrong, that was reported; that none is left is not a further mistake.
    if right.is_empty() && !entries.is_empty() { None } else { Some(Node { at: node.at, value: Value::Map(right) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file::entry::RuleFile;
    use std::collections::BTreeSet;

    /// The keys of a definition in the schema, and those of them that are required.
    fn of_schema(definition: &serde_json::Value) -> (BTreeSet<String>, BTreeSet<String>) {
        let keys = definition["properties"].as_object().expect("an object").keys().cloned().collect();
        let required = definition["required"].as_array().into_iter().flatten();
        (keys, required.map(|name| name.as_str().expect("a name").to_owned()).collect())
    }

    fn of_kind(keys: &Keys) -> (BTreeSet<String>, BTreeSet<String>) {
        let required = keys.keys.iter().filter(|key| key.need == Need::Required);
        (names(keys).map(str::to_owned).collect(), required.map(|key| key.name.to_owned()).collect())
    }

    #[test]
    fn the_walk_knows_the_keys_that_serde_knows() {
        let schema = serde_json::to_value(schemars::schema_for!(RuleFile)).expect("a schema is JSON");
        let definitions = &schema["$defs"];
        assert_eq!(of_kind(&FILE), of_schema(&schema));
        assert_eq!(of_kind(&RULE), of_schema(&definitions["RuleEntry"]));
        assert_eq!(of_kind(&THRESHOLDS), of_schema(&definitions["ThresholdsEntry"]));
        assert_eq!(of_kind(&OVERRIDE), of_schema(&definitions["OverrideEntry"]));
        assert_eq!(of_kind(&RECOMMENDATION), of_schema(&definitions["ConditionalEntry"]));
    }
}
