//! What is wrong with rule files, and where.
//!
//! A file is refused whole, and every problem of every file is reported at once, each with its place, what was found and
//! what was expected.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{position::Position, source::ReadError};
use crate::rules::{
    condition::ConditionError, severity::Severity, suggest::meant, template::TemplateError, unit::UnitError,
};

/// Every problem found while loading rule files.
///
/// Its `Display` prints one problem a line, as `path:line:column: what is wrong`.
#[derive(Debug, Error)]
#[error("{}", one_per_line(.problems))]
#[non_exhaustive]
pub struct LoadError {
    problems: Vec<LoadProblem>,
}

fn one_per_line(problems: &[LoadProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl LoadError {
    /// Makes the error of one or more problems, in the order of the files.
    pub(crate) fn new(mut problems: Vec<LoadProblem>) -> Self {
        problems.sort_by(|a, b| (&a.path, a.at).cmp(&(&b.path, b.at)));
        // What several rules take from one place by aliases is one mistake.
        problems.dedup_by(|a, b| a.at.is_some() && a.at == b.at && a.path == b.path && a.message() == b.message());
        Self { problems }
    }

    /// Returns every problem, by file and place.
    #[must_use]
    pub fn problems(&self) -> &[LoadProblem] {
        &self.problems
    }
}

/// One problem of one rule file.
#[derive(Debug)]
pub struct LoadProblem {
    pub(crate) path: PathBuf,
    pub(crate) at: Option<Position>,
    pub(crate) rule: Option<String>,
    pub(crate) kind: ProblemKind,
}

impl LoadProblem {
    /// Returns the file, or the directory when it holds no rule file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the line, counted from 1; `None` when the file could not be read.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.at.map(|at| at.line)
    }

    /// Returns the column, counted from 1 in characters; `None` when the file could not be read.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.at.map(|at| at.column)
    }

    /// Returns the id of the rule that the problem is in, where it has one.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Returns what is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> String {
        self.kind.to_string()
    }
}

impl fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(Position { line, column }) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, " rule {rule:?}:")?;
        }
        write!(f, " {}", self.kind)
    }
}

/// What can be wrong with a rule file.
#[derive(Debug, Error)]
pub(crate) enum ProblemKind {
    #[error("{0}")]
    Unread(ReadError),
    #[error("not valid YAML: {0}")]
    Syntax(String),
    #[error(
        "file has no rules and no objectives; expected \"rules:\" or \"slo:\" and a list, or \"rules: []\" for none"
    )]
    EmptyFile,
    #[error("{key} is {found}; expected {expected}")]
    WrongKind { key: String, found: &'static str, expected: String },
    #[error("unknown key {found:?} in {within}; {}", meant(.suggestion, .expected))]
    UnknownKey { found: String, within: String, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("duplicate key {key:?} in {within}; first at line {}", .first.line)]
    DuplicateKey { key: String, within: String, first: Position },
    #[error("missing key {key:?} in {within}")]
    MissingKey { key: &'static str, within: String },
    #[error("bad rule id {found:?}; expected lower-case letters, digits and _, such as slow_endpoint")]
    BadId { found: String },
    #[error("duplicate rule id {id:?}; first at {}:{}:{}", .path.display(), .first.line, .first.column)]
    DuplicateId { id: String, path: PathBuf, first: Position },
    #[error("unknown {what} {found:?}; {}", meant(.suggestion, .expected))]
    UnknownName { what: &'static str, found: String, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("unknown measure {found:?} of scope {scope}; {}", meant(.suggestion, .expected))]
    UnknownMeasure { found: String, scope: &'static str, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("measure {found:?} belongs to scope {scopes}, not {scope}")]
    WrongScope { found: String, scope: &'static str, scopes: String },
    #[error("unknown label {found:?} of scope {scope}; {}", labels_meant(.suggestion, .expected))]
    UnknownLabel { found: String, scope: &'static str, suggestion: Option<String>, expected: Vec<String> },
    #[error("no {label} is {found:?}; {}", .suggestion.as_ref().map_or_else(|| format!("expected {expected}"), |meant| format!("did you mean {meant:?}?")))]
    UnknownValue { label: String, found: String, suggestion: Option<String>, expected: String },
    #[error("unknown label {found:?} of metric {metric}; {}", labels_meant(.suggestion, .expected))]
    UnknownMetricLabel { found: String, metric: String, suggestion: Option<String>, expected: Vec<String> },
    #[error("{0}")]
    Quantity(UnitError),
    #[error("no comparison in {found:?}; expected one of >, >=, <, <= and {expected}")]
    NoComparison { found: String, expected: &'static str },
    #[error("{found:?} can never be exceeded: {measure} is at most 100%")]
    Unreachable { found: String, measure: &'static str },
    #[error("{found:?} can never hold: {measure} is never below 0")]
    BelowZero { found: String, measure: &'static str },
    #[error("{found:?} can never hold: min_samples ({min_samples}) in {window} are {rate}")]
    TooFew { found: String, min_samples: u64, window: String, rate: String },
    #[error("{lower} ({lower_limit}) must be {side} {higher} ({higher_limit})")]
    Order { lower: Severity, lower_limit: String, side: &'static str, higher: Severity, higher_limit: String },
    #[error("{lower} and {higher} look in opposite directions ({lower_sign} and {higher_sign})")]
    Directions { lower: Severity, lower_sign: &'static str, higher: Severity, higher_sign: &'static str },
    #[error("{0} has no threshold; expected at least one of low, medium, high, critical")]
    NoThreshold(String),
    #[error("window must be longer than 0")]
    ZeroWindow,
    #[error("window of {found} is longer than the history that is kept ({longest})")]
    WindowTooLong { found: String, longest: String },
    #[error("window has no meaning for {measure}, which chooses its spans itself; leave it out")]
    UselessWindow { measure: &'static str },
    #[error("{key} is {found:?}; expected a whole number above 0")]
    BadCount { key: &'static str, found: String },
    #[error("objective is {found:?}; expected a share above 0% and below 100%, such as 99.9%")]
    BadObjective { found: String },
    #[error("window of {found} is not one of an objective; expected {shortest} to {longest}")]
    SloWindow { found: String, shortest: String, longest: String },
    #[error("bad is {found:?}; expected \"errors\", or what is too slow, such as \"> 500ms\"")]
    BadRequests { found: String },
    #[error(
        "{found} is no edge of the histogram of durations, and what is slower cannot be counted exactly; nearest: {nearest}"
    )]
    NoEdge { found: String, nearest: String },
    #[error("{found:?} is no burn rate to be alarmed by; expected \">\" and a number, such as \"> 14.4\"")]
    DownwardBurnRate { found: String },
    #[error("{found:?} can never be exceeded: while every request is bad the burn rate of this objective is {highest}")]
    UnreachableBurnRate { found: String, highest: String },
    #[error("min_samples of {found} in {window} is more than any service has; expected at most {most}")]
    TooManySamples { found: u64, window: String, most: u64 },
    #[error("{key} of {found} is longer than {longest}; {why}")]
    TooLong { key: &'static str, found: String, longest: String, why: &'static str },
    #[error("min_samples has no meaning for {measure}, which is a state and not counted")]
    UselessMinSamples { measure: &'static str },
    #[error("label {label:?} stands twice in by")]
    LabelTwice { label: String },
    #[error("{key} belongs to rules of scope metric only, not {scope}")]
    MetricKey { key: &'static str, scope: &'static str },
    #[error("{measure} is not a measure of {metric}, which is a {kind}")]
    MetricKind { measure: &'static str, metric: String, kind: &'static str },
    #[error("{metric} is made for /metrics and no rule sees it; expected {of}, which it is counted from")]
    TalliedMetric { metric: &'static str, of: &'static str },
    #[error(
        "{metric} is made for /metrics and no rule sees it; expected a rule of scope query, with a measure such as \
         calls_per_request or time_share"
    )]
    FoldedMetric { metric: &'static str },
    #[error(
        "{found} is a part of a histogram on /metrics and no rule sees it; expected {of}, and a measure such as p95 or rate"
    )]
    HistogramPart { found: String, of: &'static str },
    #[error("{found:?} is no name of a {what}; {}", .suggestion.map_or_else(|| format!("expected a name such as {expected}"), |meant| format!("did you mean {meant:?}?")))]
    BadName { what: &'static str, found: String, suggestion: Option<&'static str>, expected: &'static str },
    #[error("{found:?} can never hold: {measure} is never longer than {longest}")]
    BeyondAny { found: String, measure: &'static str, longest: String },
    #[error("no subject has these thresholds: the override at line {line} matches all of them and comes first")]
    Shadowed { line: usize },
    #[error("no subject has these thresholds: {label} is {found:?} here and {expected:?} in the match of the rule")]
    Contradiction { label: String, found: String, expected: String },
    #[error("{key} would match everything; expected at least one label")]
    NoLabels { key: String },
    #[error("{0}")]
    Condition(ConditionError),
    #[error("{0}")]
    Template(TemplateError),
}

fn labels_meant(suggestion: &Option<String>, expected: &[String]) -> String {
    if expected.is_empty() { "it has no labels".to_owned() } else { meant(suggestion, expected) }
}
