//! The findings that a sick shop must have, and what their evidence must say.

use serde_json::Value;

/// A finding that must be there, with the facts of its evidence that name the cause and not a symptom.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) rule: &'static str,
    /// Part of the subject.
    pub(crate) subject: &'static str,
    pub(crate) causes: &'static [Cause],
}

/// What a finding says about its cause, or a fact of its evidence. Paths are JSON pointers into the evidence.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The cause is this one, and no other is possible.
    Is(&'static str),
    /// A text there contains this.
    Names(&'static str, &'static str),
    /// A number there is larger.
    Above(&'static str, f64),
    /// One of the recommendations contains this.
    Advice(&'static str),
}

pub(crate) const fn expected(rule: &'static str, subject: &'static str, causes: &'static [Cause]) -> Expected {
    Expected { rule, subject, causes }
}

impl Expected {
    /// Returns what is missing in `bottlenecks`, or `None` if the finding is there with all its causes.
    pub(crate) fn missing_in(&self, bottlenecks: &[Value]) -> Option<String> {
        let Some(finding) = bottlenecks.iter().find(|finding| self.is(finding)) else {
            return Some(format!("{} on {} was not found", self.rule, self.subject));
        };
        let lacking = self.causes.iter().find(|cause| !cause.holds_in(finding))?;
        Some(format!("{} on {} was found without {lacking:?}: {finding:#}", self.rule, self.subject))
    }

    /// Returns whether `finding` is of this rule and subject.
    pub(crate) fn is(&self, finding: &Value) -> bool {
        finding["type"] == self.rule && subject(finding).contains(self.subject)
    }
}

impl Cause {
    fn holds_in(&self, finding: &Value) -> bool {
        let evidence = |path: &str| finding["evidence"].pointer(path).cloned().unwrap_or_default();
        match self {
            Self::Is(kind) => {
                let cause = &finding["cause"];
                cause["kind"] == *kind && cause["or"].as_array().is_some_and(Vec::is_empty)
            }
            Self::Names(path, text) => evidence(path).as_str().is_some_and(|found| found.contains(text)),
            Self::Above(path, limit) => evidence(path).as_f64().is_some_and(|found| found > *limit),
            Self::Advice(text) => {
                let advice = finding["recommendations"].as_array().unwrap();
                advice.iter().any(|one| one.as_str().unwrap().contains(text))
            }
        }
    }
}

/// Returns what a finding is about.
pub(crate) fn subject(finding: &Value) -> &str {
    finding["subject"].as_str().unwrap()
}
