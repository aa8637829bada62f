//! One rule, checked and typed.
//!
//! A [`Rule`] exists only if everything in it makes sense: its measure belongs to its scope, its thresholds are in order
//! and reachable, its texts name only what will be there. [`file`](super::file) alone makes one.

use std::{sync::Arc, time::Duration};

use super::{
    condition::Condition, measure::Measure, scope::Scope, slo::Slo, subject::Subject, template::Template,
    threshold::Thresholds, unit::Unit,
};
use crate::context::Glob;

/// A rule as the evaluator runs it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The "type" in the API and the alert's name.
    pub(crate) id: Arc<str>,
    /// Name of its file, without the directories, and the line that it begins in.
    pub(crate) place: Arc<str>,
    pub(crate) scope: Scope,
    pub(crate) measure: Measure,
    /// The measure's name in rule files.
    pub(crate) measure_name: &'static str,
    pub(crate) unit: Unit,
    /// The metric of a rule of the scope `metric`.
    pub(crate) metric: Option<MetricSelector>,
    /// The objective of a rule of the scope `slo`.
    pub(crate) slo: Option<Slo>,
    /// What the subject's labels must match; empty means every subject.
    pub(crate) matches: LabelGlobs,
    /// Subjects that the rule leaves alone.
    pub(crate) exclude: Vec<LabelGlobs>,
    /// How far back it looks; of an objective, the time in which its budget is counted.
    pub(crate) window: Duration,
    /// No answer on fewer observations.
    pub(crate) min_samples: u64,
    /// `for`: how long it is pending before it fires.
    pub(crate) hold: Duration,
    pub(crate) keep_firing_for: Duration,
    /// Must hold too, over measures of the same scope.
    pub(crate) only_if: Option<Condition>,
    pub(crate) thresholds: Thresholds,
    pub(crate) overrides: Vec<Override>,
    pub(crate) description: Template,
    pub(crate) impact: Template,
    pub(crate) recommendations: Vec<Recommendation>,
}

impl Rule {
    /// Returns whether the rule judges this subject at all.
    pub(crate) fn applies_to(&self, subject: &Subject) -> bool {
        self.matches.match_all(subject) && !self.exclude.iter().any(|globs| globs.match_all(subject))
    }

    /// Returns the lowest limit: values below it pass no threshold and need not be read. `None` where small values pass one.
    pub(crate) fn lowest_limit(&self) -> Option<f64> {
        let overrides = self.overrides.iter().map(|override_| &override_.thresholds);
        let all = std::iter::once(&self.thresholds).chain(overrides).flat_map(|thresholds| &thresholds.0);
        all.map(|(_, threshold)| if threshold.operator.is_upward() { threshold.limit } else { f64::NEG_INFINITY })
            .reduce(f64::min)
            .filter(|limit| limit.is_finite())
    }

    /// Returns the thresholds for a subject: those of the first override that matches it, or the rule's own.
    pub(crate) fn thresholds_for(&self, subject: &Subject) -> &Thresholds {
        self.overrides
            .iter()
            .find(|override_| override_.matches.match_all(subject))
            .map_or(&self.thresholds, |override_| &override_.thresholds)
    }
}

/// Which series of which metric a rule of the scope `metric` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricSelector {
    pub(crate) name: Arc<str>,
    /// Only series whose labels match.
    pub(crate) matches: LabelGlobs,
    /// One subject for each set of values of these labels; all series together where empty.
    pub(crate) by: Vec<Arc<str>>,
}

impl MetricSelector {
    /// Returns a subject's name, `name{label="value"}` as Prometheus writes it, with a value for each label of `by`.
    pub(crate) fn subject_name<V: AsRef<str>>(&self, value: impl Fn(&str) -> V) -> String {
        let labels: Vec<String> = self.by.iter().map(|label| format!("{label}={:?}", value(label).as_ref())).collect();
        if labels.is_empty() { self.name.to_string() } else { format!("{}{{{}}}", self.name, labels.join(",")) }
    }
}

/// Patterns on labels, all of which must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelGlobs(pub(crate) Vec<(Arc<str>, Glob)>);

impl LabelGlobs {
    pub(crate) fn match_all(&self, subject: &Subject) -> bool {
        self.match_labels(|name| subject.label(name))
    }

    /// An absent label is the empty one, as in Prometheus.
    pub(crate) fn match_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|(name, glob)| glob.matches(label(name).unwrap_or_default()))
    }
}

/// Thresholds of their own for some subjects.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) matches: LabelGlobs,
    /// The rule's thresholds with the override's in their place.
    pub(crate) thresholds: Thresholds,
}

/// A piece of advice.
#[derive(Clone, Debug)]
pub(crate) struct Recommendation {
    /// When it applies; `None` for general advice.
    pub(crate) condition: Option<Condition>,
    pub(crate) say: Template,
}
