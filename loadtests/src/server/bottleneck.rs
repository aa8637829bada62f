//! [`Bottleneck`]: what the service found by its own rules.

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
    /// Seconds into the run when it was first seen; 0 if it fired before, absent if it was first seen after the end.
    pub(crate) first_seen: Option<f64>,
    #[serde(flatten)]
    pub(crate) bottleneck: Bottleneck,
}

impl Bottleneck {
    /// Returns whether both are the same finding, whose numbers may have changed since.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.subject == other.subject && self.severity == other.severity
    }

    /// Returns the position of its severity, the worst first.
    pub(super) fn severity_rank(&self) -> usize {
        SEVERITIES.iter().position(|known| *known == self.severity).unwrap_or(SEVERITIES.len())
    }
}
