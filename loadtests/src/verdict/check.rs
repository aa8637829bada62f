//! [`Check`]: one condition that can fail a test, and its outcome.

/// What a check comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckSource {
    /// `--threshold`.
    Threshold,
    /// A rule of the service.
    Rule {
        /// Its id.
        id: String,
        /// Severity of the threshold that was exceeded.
        severity: &'static str,
    },
    /// Every test: a test of errors must not pass.
    Always,
    /// Comparison with an earlier run.
    Baseline,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckStatus {
    /// The condition held.
    Passed,
    /// It did not, and the test fails.
    Breached,
    /// It did not, but its severity is below `--fail-on`.
    Noted,
}

/// One condition and its outcome.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// Where it comes from.
    pub(crate) source: CheckSource,
    /// The endpoint that it is about, or all requests.
    pub(crate) subject: String,
    /// The condition, as reports show it.
    pub(crate) condition: String,
    /// What was observed, as reports show it.
    pub(crate) observed: String,
    /// How it ended.
    pub(crate) status: CheckStatus,
}
