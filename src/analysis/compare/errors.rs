//! [`ErrorChange`]: how often a route fails in two versions.

use super::{super::statistics::tail, snapshot::RouteLatency};

/// Smallest difference of the error ratios that counts, 0 to 1; the difference must exceed it by more than chance.
const SMALLEST_DIFFERENCE: f64 = 0.005;
/// Requests that each version needs.
const FEWEST: u64 = 30;

/// How the share of failed requests moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorChange {
    /// Share of the requests that failed in the older version, 0 to 1.
    pub before_ratio: f64,
    /// The same in the newer version.
    pub after_ratio: f64,
    /// 95 % interval of newer less older.
    pub difference_interval: (f64, f64),
    /// Probability of a difference this far beyond half a percentage point where the true one is not beyond it,
    /// adjusted for all tests of the comparison.
    pub p_value: f64,
}

impl ErrorChange {
    /// Compares the failures of two versions of a route; `None` with too few requests.
    ///
    /// By the normal distribution, with one success and one failure added to each version: otherwise a version that has
    /// not failed yet would count as one that cannot fail (Agresti and Caffo (2000), "Simple and effective confidence
    /// intervals for proportions and differences of proportions result from adding two successes and two failures",
    /// The American Statistician 54).
    pub(super) fn of(before: &RouteLatency, after: &RouteLatency) -> Option<Self> {
        let requests = (before.requests(), after.requests());
        if requests.0.min(requests.1) < FEWEST {
            return None;
        }
        let padded = |failed: u64, requests: u64| {
            let n = requests as f64 + 2.0;
            let share = (failed as f64 + 1.0) / n;
            (share, share * (1.0 - share) / n)
        };
        let (old, new) = (padded(before.failed, requests.0), padded(after.failed, requests.1));
        let (difference, error) = (new.0 - old.0, (old.1 + new.1).sqrt());
        let beyond = difference.abs() - SMALLEST_DIFFERENCE;
        Some(Self {
            before_ratio: before.failed as f64 / requests.0 as f64,
            after_ratio: after.failed as f64 / requests.1 as f64,
            difference_interval: (difference - tail::Z95 * error, difference + tail::Z95 * error),
            p_value: if beyond > 0.0 { 2.0 * tail::normal_upper(beyond / error) } else { 1.0 },
        })
    }

    /// Returns the newer ratio less the older one.
    pub fn difference(&self) -> f64 {
        self.after_ratio - self.before_ratio
    }
}
