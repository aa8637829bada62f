//! [`Thresholds`]: the limits of a rule, one for each severity, and how a value is compared with them.

use super::severity::Severity;

/// How a value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Operator {
    pub(crate) const ALL: [Operator; 4] = [Self::AtLeast, Self::AtMost, Self::Above, Self::Below];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }

    /// Splits an operator off the front of a text.
    pub(crate) fn strip(text: &str) -> Option<(Operator, &str)> {
        // The two-letter ones come first in ALL, or `>=` would be read as `>` and `=`.
        Self::ALL.into_iter().find_map(|operator| Some((operator, text.strip_prefix(operator.as_str())?)))
    }

    pub(crate) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }

    /// Returns the operator that holds where this one does not.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
        }
    }

    /// Returns whether larger values are worse.
    pub(crate) fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

/// A limit that a value must not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threshold {
    pub(crate) operator: Operator,
    pub(crate) limit: f64,
}

impl Threshold {
    pub(crate) fn is_passed_by(self, value: f64) -> bool {
        self.operator.holds(value, self.limit)
    }
}

/// The thresholds of a rule, at most one a severity, from the lowest to the highest; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thresholds(pub(crate) Vec<(Severity, Threshold)>);

impl Thresholds {
    /// Returns the threshold of a severity.
    #[cfg(feature = "export")]
    pub(crate) fn of(&self, severity: Severity) -> Option<Threshold> {
        self.0.iter().find(|(of, _)| *of == severity).map(|(_, threshold)| *threshold)
    }

    /// Returns those that a value passes, from the lowest to the highest.
    pub(crate) fn passed_by(&self, value: f64) -> Vec<(Severity, Threshold)> {
        self.0.iter().copied().filter(|(_, threshold)| threshold.is_passed_by(value)).collect()
    }
}
