//! [`Fields`]: the keys of a mapping in a test file.

use std::time::Duration;

use super::problem::Problems;
use crate::rules::{
    Unit,
    located::{Node, Value},
    meant, nearest,
};

/// Names with this beginning are free at the top of a file: their values are for anchors.
const FREE: &str = "x-";

/// The entries of a mapping, whose keys are all known.
#[derive(Debug)]
pub(super) struct Fields<'a>(&'a Node);

impl<'a> Fields<'a> {
    /// Returns the entries of a node; `None` where it is no mapping. Keys that are not `known` are reported.
    pub(super) fn of(
        node: &'a Node,
        within: &str,
        known: &[&'static str],
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let expected = known.join(", ");
            problems.report(node.at, format!("{within} is {}; expected a mapping with {expected}", node.kind()));
            return None;
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, _) in entries {
            let name = key.as_text().unwrap_or_default();
            if !known.contains(&name) && !name.starts_with(FREE) {
                let meant = meant(&nearest(name, known.iter().copied()), known);
                problems.report(key.at, format!("unknown key {name:?} in {within}; {meant}"));
            } else if seen.contains(&name) {
                problems.report(key.at, format!("duplicate key {name:?} in {within}"));
            }
            seen.push(name);
        }
        Some(Self(node))
    }

    /// Returns the value of a key that may be left out.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.0.get(key)
    }

    /// Returns the value of a key; reports that it is missing.
    pub(super) fn need(&self, key: &str, within: &str, problems: &mut Problems<'_>) -> Option<&'a Node> {
        let value = self.get(key);
        if value.is_none() {
            problems.report(self.0.at, format!("missing key {key:?} in {within}"));
        }
        value
    }

    /// Returns the items of a list; none where the key is left out.
    pub(super) fn list(&self, key: &str, expected: &str, problems: &mut Problems<'_>) -> &'a [Node] {
        match self.get(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(other) => {
                problems.report(other.at, format!("{key} is {}; expected a list of {expected}", other.kind()));
                &[]
            }
        }
    }

    /// Returns a duration; `otherwise` where the key is left out.
    pub(super) fn duration(&self, key: &str, otherwise: Duration, problems: &mut Problems<'_>) -> Duration {
        self.get(key).map_or(otherwise, |node| duration(node, key, problems).unwrap_or(otherwise))
    }
}

/// Returns the text of a node.
pub(super) fn text<'a>(node: &'a Node, key: &str, expected: &str, problems: &mut Problems<'_>) -> Option<&'a str> {
    let text = node.as_text();
    if text.is_none() {
        problems.report(node.at, format!("{key} is {}; expected {expected}", node.kind()));
    }
    text
}

/// Returns the duration that a node is.
pub(super) fn duration(node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<Duration> {
    let text = text(node, key, Unit::Seconds.example(), problems)?;
    let seconds = Unit::Seconds.parse(text).map_err(|error| error.to_string());
    let read = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()));
    read.map_err(|error| problems.report(node.at, format!("{key}: {error}"))).ok()
}
