//! [`Bottleneck`]: what the service found by its own rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Severities of the service's rules, the worst first.
const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];

/// A bottleneck, as the service's API writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Bottleneck {
    /// Id of the rule.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) severity: String,
    pub(crate) subject: String,
    pub(crate) description: String,
    pub(crate) impact: String,
    pub(crate) recommendations: Vec<String>,
    pub(crate) affected_endpoints: Vec<String>,
    /// The facts behind it, as the service writes them.
    pub(crate) evidence: serde_json::Value,
}

/// A bottleneck that fired during a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct FiredBottleneck {
    /// Seconds into the run when it was first seen; absent if it was first seen after the end.
    pub(crate) first_seen: Option<f64>,
    #[serde(flatten)]
    pub(crate) bottleneck: Bottleneck,
}

/// A bottleneck that fired during a run and says nothing about it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct LeftOut {
    /// Id of the rule.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) why: LeftOutWhy,
}

/// Why a bottleneck says nothing about a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeftOutWhy {
    /// It fired before the run.
    #[default]
    BeganBefore,
    /// It is about endpoints to which the run sent nothing.
    NotCalled,
}

impl LeftOut {
    /// Returns the bottleneck without its details.
    pub(super) fn new(bottleneck: &Bottleneck, why: LeftOutWhy) -> Self {
        Self { kind: bottleneck.kind.clone(), subject: bottleneck.subject.clone(), why }
    }
}

impl Bottleneck {
    /// Returns whether both are about the same, whose severity and numbers may have changed since.
    pub(super) fn continues(&self, earlier: &Self) -> bool {
        self.kind == earlier.kind && self.subject == earlier.subject
    }

    /// Returns whether it can be about a run that called these endpoints, each as `GET /users/{id}`. One that names no
    /// endpoint is about the process, which served the run; without a known endpoint, nothing is ruled out.
    pub(super) fn concerns(&self, called: &BTreeSet<String>) -> bool {
        called.is_empty()
            || self.affected_endpoints.is_empty()
            || self.affected_endpoints.iter().any(|affected| called.contains(affected))
    }

    /// Returns whether both are the same finding, whose numbers may have changed since.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.subject == other.subject && self.severity == other.severity
    }

    /// Returns the position of its severity, the worst first.
    pub(super) fn severity_rank(&self) -> usize {
        SEVERITIES.iter().position(|known| *known == self.severity).unwrap_or(SEVERITIES.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_did_not_call_does_not_concern_it() {
        let about = |endpoints: &[&str]| Bottleneck {
            affected_endpoints: endpoints.iter().map(|name| (*name).to_owned()).collect(),
            ..Bottleneck::default()
        };
        let called = BTreeSet::from(["GET /a".to_owned()]);
        assert!(about(&["GET /b", "GET /a"]).concerns(&called) && about(&[]).concerns(&called));
        assert!(!about(&["GET /b", "POST /a"]).concerns(&called));
        assert!(about(&["GET /b"]).concerns(&BTreeSet::new()));
    }
}
