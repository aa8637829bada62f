//! [`Readings`]: the interface that evaluation reads through.
//!
//! It answers questions about measures. The in-process window is one source of answers
//! ([`WindowReadings`](super::window::readings::WindowReadings)); a Prometheus server can be another, with the same rules.
//! Invariant: a subject without data is not in an answer. Zero is a value that was measured.

use std::{sync::Arc, time::Duration};

use super::{
    budget::Budget,
    evidence::Evidence,
    measure::Measure,
    rule::{MetricSelector, Rule},
    scope::Scope,
    subject::Subject,
};

/// What is asked: one measure of every subject of a scope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Question<'a> {
    pub(crate) scope: Scope,
    pub(crate) measure: Measure,
    /// The time that counts, up to now.
    pub(crate) window: Duration,
    /// Subjects with fewer observations need not be answered.
    pub(crate) min_samples: u64,
    /// Values below this need not be answered: they pass no threshold.
    pub(crate) at_least: Option<f64>,
    /// The metric, of the scope `metric`.
    pub(crate) metric: Option<&'a MetricSelector>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) subject: Arc<Subject>,
    /// In the measure's base unit; always finite.
    pub(crate) value: f64,
    /// How many observations it rests on; 1 for a state that is read once.
    pub(crate) samples: u64,
    /// How far back it reaches, where that is not the window that was asked for.
    pub(crate) span: Option<Duration>,
}

/// A source of readings, all of the same moment.
pub(crate) trait Readings {
    /// Answers a question: a reading for each subject that has data.
    fn read(&self, question: &Question<'_>) -> Vec<Reading>;

    /// Gathers what is known about a subject that is over a threshold. Facts that the source does not know are left out.
    ///
    /// Where the threshold is one of a duration, `slow` is its limit in seconds: above it a single observation is slow.
    fn evidence(&self, scope: Scope, subject: &Subject, window: Duration, slow: Option<f64>) -> Evidence;

    /// Returns the error budgets of the objective of a rule; none where the source keeps no counts for days.
    fn budgets(&self, rule: &Rule) -> &[Budget] {
        let _ = rule;
        &[]
    }
}
