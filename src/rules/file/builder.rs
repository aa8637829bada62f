//! [`RuleBuilder`]: a rule on its way from its entry, and what several of its keys are checked with.
//!
//! [`build`](super::build) goes through the keys in order, [`limits`](super::limits) through those of thresholds; both report
//! through this one, so that every problem has its place.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    entry::Scalar,
    located::Node,
    naming,
    position::Position,
    problem::{LoadProblem, ProblemKind},
    values::{self, Mistake},
};
use crate::{
    context::Glob,
    names::Metric,
    rules::{
        condition::{Condition, Misplaced, Names},
        measure::{self, Bound, Entry},
        rule::LabelGlobs,
        scope::Scope,
        suggest::nearest,
        template::Template,
        threshold::Operator,
        unit::{Unit, UnitError},
    },
};

/// No process lives longer than this, and no request, query or task of it either.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);

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

    /// Returns where a rule stands, as `endpoints.yaml:12`.
    pub(super) fn rule_place(&self, node: &Node) -> Arc<str> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        format!("{name}:{}", node.at.line).into()
    }

    /// Returns the place of `found` within the text of a node, or the node's own where the text is escaped or spans lines.
    pub(crate) fn place_of(&self, node: &Node, found: &str) -> Position {
        let line = self.line_from(node);
        line.find(found).map_or(node.at, |offset| columns_after(node.at, &line[..offset]))
    }

    /// Returns the place of what begins at `offset` in the text of a node. Where the text is escaped or spans lines, it is that of
    /// the first such words after the node's beginning, or else the node's own.
    fn place_within(&self, node: &Node, text: &str, offset: usize, found: &str) -> Position {
        let line = self.line_from(node);
        match line.find(text) {
            Some(start) if !text.is_empty() => columns_after(node.at, &line[..start + offset]),
            _ => self.place_of(node, found),
        }
    }

    /// Returns the rest of the line in which a node begins.
    fn line_from(&self, node: &Node) -> &str {
        let line = self.lines.get(node.at.line - 1).copied().unwrap_or_default();
        let before: usize = line.chars().take(node.at.column - 1).map(char::len_utf8).sum();
        &line[before..]
    }
}

/// Returns the place after some text that begins at `at`, in the same line.
fn columns_after(at: Position, text: &str) -> Position {
    Position { column: at.column + text.chars().count(), ..at }
}

/// What the labels of a pattern belong to.
#[derive(Clone, Copy)]
pub(super) struct LabelsOf<'a> {
    pub(super) scope: Scope,
    /// The metric of a rule of scope metric, where it is one of the catalogue's.
    pub(super) metric: Option<&'static Metric>,
    /// The labels that a subject of the scope metric has; `None` for the labels of its series.
    pub(super) by: Option<&'a [Arc<str>]>,
}

impl LabelsOf<'_> {
    /// Returns what to say about a label that is not there; `None` about every other, and where any may be there.
    pub(super) fn unknown(&self, label: &str) -> Option<ProblemKind> {
        let expected: Vec<String> = match (self.scope.labels(), self.by, self.metric) {
            (Some(labels), ..) => labels.iter().map(|label| (*label).to_owned()).collect(),
            (None, Some(by), _) => by.iter().map(|label| label.to_string()).collect(),
            (None, None, Some(metric)) => values::labels_of(metric).map(str::to_owned).collect(),
            (None, None, None) => return naming::label_mistake(label),
        };
        if expected.iter().any(|known| known == label) {
            return None;
        }
        let suggestion = nearest(label, expected.iter().map(String::as_str)).map(str::to_owned);
        let found = label.to_owned();
        Some(match self.metric.filter(|_| self.by.is_none()) {
            Some(metric) => {
                ProblemKind::UnknownMetricLabel { found, metric: metric.name.to_owned(), suggestion, expected }
            }
            None => ProblemKind::UnknownLabel { found, scope: self.scope.as_str(), suggestion, expected },
        })
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

    /// Checks the labels of a pattern, and their values where those are known.
    pub(super) fn labels(
        &mut self,
        whose: &LabelsOf<'_>,
        labels: &BTreeMap<String, Scalar>,
        node: Option<&Node>,
        key: &str,
    ) -> LabelGlobs {
        let node = node.unwrap_or(self.node);
        if labels.is_empty() {
            self.context.report(node.at, ProblemKind::NoLabels { key: key.to_owned() });
        }
        for (label, Scalar(pattern)) in labels {
            let (at, value_at) = node.entry(label).map_or((node.at, node.at), |(name, value)| (name.at, value.at));
            if let Some(kind) = whose.unknown(label) {
                self.context.report(at, kind);
            } else if let Some(mistake) = values::mistake(whose.metric, label, pattern) {
                let Mistake { suggestion, expected } = mistake;
                let (label, found) = (label.clone(), pattern.clone());
                self.context.report(value_at, ProblemKind::UnknownValue { label, found, suggestion, expected });
            }
        }
        globs(labels)
    }

    /// Reads a whole number above 0.
    pub(super) fn whole_number(&mut self, key: &'static str, text: Option<&Scalar>, default: u64) -> u64 {
        let Some(Scalar(text)) = text else { return default };
        match text.parse() {
            Ok(number) if number > 0 => number,
            Ok(_) | Err(_) => {
                self.report(key, ProblemKind::BadCount { key, found: text.clone() });
                default
            }
        }
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

    /// Parses a condition; one with a comparison that never holds is a mistake.
    pub(super) fn condition(
        &mut self,
        scope: Scope,
        text: &str,
        node: Option<&Node>,
        names: &Names,
    ) -> Option<Condition> {
        let node = node.unwrap_or(self.node);
        match Condition::parse(text, names) {
            Ok(condition) => {
                let wrong = condition.comparisons().into_iter().find_map(|(name, operator, limit)| {
                    let measure = measure::find(scope, name)?;
                    let found = format!("{name} {} {}", operator.as_str(), measure.unit.render(limit));
                    Some((name, unreachable(measure, operator, limit, found)?))
                });
                let Some((name, kind)) = wrong else { return Some(condition) };
                self.context.report(self.context.place_of(node, name), kind);
                None
            }
            Err(Misplaced { offset, found, reason }) => {
                let at = self.context.place_within(node, text, offset, &found);
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

/// Returns what to say about a comparison that no value of a measure passes; `None` about every other.
pub(super) fn unreachable(measure: &Entry, operator: Operator, limit: f64, found: String) -> Option<ProblemKind> {
    let measure_name = measure.name;
    if operator.is_upward() {
        let most = match measure.bound {
            Bound::Whole => 1.0,
            Bound::None => return beyond_any(measure, operator, limit, found),
        };
        return (!operator.holds(most, limit)).then_some(ProblemKind::Unreachable { found, measure: measure_name });
    }
    // A gauge of the service's own may be negative; nothing else is.
    let may_be_negative = measure.scope == Scope::Metric;
    (!may_be_negative && !operator.holds(0.0, limit)).then_some(ProblemKind::BelowZero { found, measure: measure_name })
}

/// Returns what to say about a duration that nothing of the monitor's lasts. Of the service's own metrics some are moments.
fn beyond_any(measure: &Entry, operator: Operator, limit: f64, found: String) -> Option<ProblemKind> {
    let is_duration = measure.scope != Scope::Metric && measure.unit == Unit::Seconds;
    (is_duration && !operator.holds(LONGEST_DURATION.as_secs_f64(), limit)).then(|| {
        let longest = Unit::Seconds.render(LONGEST_DURATION.as_secs_f64());
        ProblemKind::BeyondAny { found, measure: measure.name, longest }
    })
}
