//! A capacity search, as it is written.

use serde::{Deserialize, Serialize};

/// How much the service bears.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Capacity {
    /// `users` or `requests per second`.
    pub(crate) unit: String,
    /// Highest load that was confirmed on a longer hold; absent if even the lowest failed.
    pub(crate) capacity: Option<f64>,
    /// Whether the search ended because no higher load could be tried: the limit of the generator, or `--max-load`.
    pub(crate) at_least: bool,
    /// What a load above it breaks first.
    pub(crate) limited_by: Option<String>,
    /// What the server said was saturated then.
    pub(crate) evidence: Vec<String>,
    /// Every load that was tried, in order.
    pub(crate) steps: Vec<CapacityStep>,
}

/// One load that was tried.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CapacityStep {
    pub(crate) load: f64,
    /// Seconds.
    pub(crate) held: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    /// In percent.
    pub(crate) error_rate: f64,
    /// `doubling`, `bisecting` or `confirming`.
    pub(crate) phase: String,
    pub(crate) passed: bool,
    /// What was breached.
    pub(crate) breached: Vec<String>,
}

impl Capacity {
    /// The result in a sentence.
    pub(crate) fn describe(&self) -> String {
        match self.capacity {
            Some(capacity) if self.at_least => {
                format!("at least {capacity} {}; no higher load could be tried", self.unit)
            }
            Some(capacity) => format!("{capacity} {}", self.unit),
            None => "none: even the lowest load fails".to_owned(),
        }
    }
}
