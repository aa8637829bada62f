//! [`Conclusion`]: the result of a run as a whole, which becomes the exit code.

use super::check::{Check, CheckStatus};
use crate::engine::StopReason;

/// The result of the run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// All conditions held.
    Passed,
    /// Some condition did not hold.
    Breached,
    /// Nothing was tested.
    SetUpError,
    /// The generator was the bottleneck.
    Saturated,
    /// The test was stopped by a signal.
    Interrupted,
}

impl Conclusion {
    /// Draws the conclusion of a run.
    ///
    /// Interruption and saturation come first: half a test, or a test of the generator, proves nothing either way.
    pub(crate) fn of(reason: StopReason, saturated: bool, checks: &[Check]) -> Self {
        match reason {
            StopReason::Unreachable => Self::SetUpError,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::Finished if saturated => Self::Saturated,
            StopReason::Finished if checks.iter().any(|check| check.status == CheckStatus::Breached) => Self::Breached,
            StopReason::Finished => Self::Passed,
        }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Breached => 1,
            Self::SetUpError => 2,
            Self::Saturated => 3,
            // 128 + SIGINT, the shells' convention.
            Self::Interrupted => 130,
        }
    }

    /// Returns the word that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Breached => "breached",
            Self::SetUpError => "set-up error",
            Self::Saturated => "generator saturated",
            Self::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::CheckSource;

    fn check(status: CheckStatus) -> Check {
        Check {
            source: CheckSource::Threshold,
            subject: String::new(),
            condition: String::new(),
            observed: String::new(),
            status,
        }
    }

    #[test]
    fn every_end_has_its_own_code() {
        let breached = [check(CheckStatus::Passed), check(CheckStatus::Breached)];
        let cases = [
            (StopReason::Finished, false, &breached[..1], 0),
            (StopReason::Finished, false, &breached[..], 1),
            (StopReason::Unreachable, false, &breached[..1], 2),
            (StopReason::Finished, true, &breached[..], 3),
            (StopReason::Interrupted, true, &breached[..], 130),
        ];
        for (reason, saturated, checks, code) in cases {
            assert_eq!(Conclusion::of(reason, saturated, checks).exit_code(), code);
        }
        assert_eq!(Conclusion::of(StopReason::Finished, false, &[check(CheckStatus::Noted)]), Conclusion::Passed);
    }
}
