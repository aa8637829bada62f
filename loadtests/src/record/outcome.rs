//! How a request ended.

/// End of one request, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response that was wanted.
    Success,
    /// A response whose status was not wanted, or whose content failed an assertion or a capture.
    Rejected,
    /// No complete response within `--timeout`.
    TimedOut,
    /// The connection was refused, reset or closed, the host unknown, TLS refused, or the body cut short.
    Broken,
    /// Given up by the tool itself: still unanswered when the grace after the end of the test was over.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order of the reports.
    pub(crate) const ALL: [Self; 5] = [Self::Success, Self::Rejected, Self::TimedOut, Self::Broken, Self::Cancelled];

    /// The word that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Rejected => "failed",
            Self::TimedOut => "timeout",
            Self::Broken => "connection",
            Self::Cancelled => "cancelled",
        }
    }
}
