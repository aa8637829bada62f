//! How bad a bottleneck is.

use std::fmt;

/// How bad a bottleneck is, ordered from [`Low`](Severity::Low) to [`Critical`](Severity::Critical).
///
/// A rule may give a threshold for any subset of the four; a value that passes several of them has the highest.
///
/// ```
/// use pinchpoint::Severity;
///
/// assert!(Severity::Low < Severity::Critical);
/// assert_eq!(Severity::High.to_string(), "high");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth planning a fix.
    Medium,
    /// Users notice it.
    High,
    /// Users leave, or the service is about to fail.
    Critical,
}

impl Severity {
    /// Every severity, from the lowest to the highest.
    pub const ALL: [Severity; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns the name used in rule files, JSON and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
