//! [`RuleBuilder`]: a rule on its way from its entry, and what several of its keys are checked with.
//!
//! [`build`](super::build) goes through the keys in order, [`limits`](super::limits) through those of thresholds; both report
//! through this one, so that every problem has its place.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    entry::Scalar,
    located::Node,
    position::Position,
    problem::{LoadProblem, ProblemKind},
};
use crate::{
    context::Glob,
    rules::{
        condition::{Condition, Names},
        rule::LabelGlobs,
        scope::Scope,
        suggest::nearest,
        template::Template,
        unit::{Unit, UnitError},
    },
};

/// Where a rule stands and where its problems go.
pub(crate) struct Context<'a> {
    pub(crate) path: &'a Path,
    /// The file's lines, to find the column of a wrong word within a longer text.
    pub(crate) lines: &'a [&'a str],
    /// The id, as far as there is one.
    pub(crate) rule: Option<String>,
    pub(crate) longest_window: Duration,
    pub(crate) problems: &'a mut Vec<LoadProblem>,
}

impl Context<'_> {
    pub(crate) fn report(&mut self, at: Position, kind: ProblemKind) {
        let (path, rule) = (self.path.to_owned(), self.rule.clone());
        self.problems.push(LoadProblem { path, at: Some(at), rule, kind });
    }

    /// Returns the place of `found` within the text of a node, or the node's own where the text is escaped or spans lines.
    pub(crate) fn place_of(&self, node: &Node, found: &str) -> Position {
        let line = self.lines.get(node.at.line - 1).copied().unwrap_or_default();
        let before: usize = line.chars().take(node.at.column - 1).map(char::len_utf8).sum();
        match line[before..].find(found) {
            Some(offset) => Position { column: node.at.column + line[before..][..offset].chars().count(), ..node.at },
            None => node.at,
        }
    }
}

/// A rule on its way from its entry.
pub(super) struct RuleBuilder<'a, 'b> {
    pub(super) node: &'a Node,
    pub(super) context: &'a mut Context<'b>,
}

impl RuleBuilder<'_, '_> {
    pub(super) fn place(&self, key: &str) -> Position {
        self.node.get(key).map_or(self.node.at, |node| node.at)
    }

    pub(super) fn report(&mut self, key: &str, kind: ProblemKind) {
        self.context.report(self.place(key), kind);
    }

    /// Checks the labels of a pattern; of the scope `metric`, subjects have those of `by` only.
    pub(super) fn labels(
        &mut self,
        scope: Scope,
        by: Option<&[Arc<str>]>,
        labels: &BTreeMap<String, Scalar>,
        node: Option<&Node>,
        key: &str,
    ) -> LabelGlobs {
        let node = node.unwrap_or(self.node);
        if labels.is_empty() {
            self.context.report(node.at, ProblemKind::NoLabels { key: key.to_owned() });
        }
        let expected: Option<Vec<String>> = match (scope.labels(), by) {
            (Some(labels), _) => Some(labels.iter().map(|label| (*label).to_owned()).collect()),
            (None, Some(by)) => Some(by.iter().map(|label| label.to_string()).collect()),
            (None, None) => None,
        };
        if let Some(expected) = expected {
            for found in labels.keys().filter(|label| !expected.contains(label)) {
                let at = node.entry(found).map_or(node.at, |(name, _)| name.at);
                let suggestion = nearest(found, expected.iter().map(String::as_str)).map(str::to_owned);
                let (found, expected) = (found.clone(), expected.clone());
                self.context
                    .report(at, ProblemKind::UnknownLabel { found, scope: scope.as_str(), suggestion, expected });
            }
        }
        globs(labels)
    }

    pub(super) fn span(&mut self, key: &str, text: Option<&Scalar>, default: Duration) -> Duration {
        let Some(Scalar(text)) = text else { return default };
        match Unit::Seconds.parse(text).map(Duration::try_from_secs_f64) {
            Ok(Ok(span)) => return span,
            Ok(Err(_)) => {
                let reason = UnitError::TooLarge { found: text.clone() };
                self.report(key, ProblemKind::Quantity(reason));
            }
            Err(reason) => self.report(key, ProblemKind::Quantity(reason)),
        }
        default
    }

    pub(super) fn condition(&mut self, text: &str, node: Option<&Node>, names: &Names) -> Option<Condition> {
        let node = node.unwrap_or(self.node);
        match Condition::parse(text, names) {
            Ok(condition) => Some(condition),
            Err(reason) => {
                let at = reason.found().map_or(node.at, |found| self.context.place_of(node, found));
                self.context.report(at, ProblemKind::Condition(reason));
                None
            }
        }
    }

    pub(super) fn template(&mut self, text: &str, node: Option<&Node>, names: &[&'static str]) -> Option<Template> {
        let node = node.unwrap_or(self.node);
        match Template::parse(text, names) {
            Ok(template) => Some(template),
            Err(reason) => {
                let at = self.context.place_of(node, reason.found());
                self.context.report(at, ProblemKind::Template(reason));
                None
            }
        }
    }
}

pub(super) fn globs(labels: &BTreeMap<String, Scalar>) -> LabelGlobs {
    let each = labels.iter().map(|(label, Scalar(pattern))| (Arc::from(label.as_str()), Glob::new(pattern)));
    LabelGlobs(each.collect())
}
