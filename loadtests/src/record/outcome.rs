//! [`Outcome`]: how a request ended, as the client saw it.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response that was expected.
    Success,
    /// A response with an unexpected status, or one that failed an assertion or a capture.
    Rejected,
    /// No complete response within `--timeout`.
    TimedOut,
    /// The connection was refused, reset or closed, the host unknown, TLS refused, or the body cut short.
    Broken,
    /// Still unanswered when the grace after the end of the test was over, and then given up by the tool.
    Cancelled,
    /// Its address or a header cannot be sent: a mistake of the scenario, and none of the service.
    Unsent,
}

impl Outcome {
    /// Every outcome, in the order of the reports.
    pub(crate) const ALL: [Self; 6] =
        [Self::Success, Self::Rejected, Self::TimedOut, Self::Broken, Self::Cancelled, Self::Unsent];

    /// Returns the word that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Rejected => "failed",
            Self::TimedOut => "timeout",
            Self::Broken => "connection",
            Self::Cancelled => "cancelled",
            Self::Unsent => "not sent",
        }
    }
}
