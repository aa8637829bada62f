//! Which measures are not exported, and why: what Prometheus cannot compute from what `/metrics` shows.
//!
//! `export` refuses them with this reason, and docs/rules.md gives it. Invariant: every other measure has an expression.

use super::measure::Measure;

const NO_MAXIMUM: &str = "a histogram of Prometheus has no maximum; a high percentile comes near";

impl Measure {
    /// Returns why Prometheus cannot compute it; `None` where it can.
    #[cfg_attr(not(any(feature = "export", feature = "schema")), expect(dead_code, reason = "only exports ask"))]
    pub(crate) fn not_exported(self) -> Option<&'static str> {
        match self {
            Self::MaxDuration | Self::LongestPoll | Self::Max => Some(NO_MAXIMUM),
            _ => None,
        }
    }
}
