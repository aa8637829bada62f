//! Why nothing was tested. Every one of these ends with exit code 2.

use thiserror::Error;

use super::monitor::MonitorError;
use super::session::SessionError;
use crate::compare::CompareError;
use crate::plan::PlanError;
use crate::report::WriteError;
use crate::result::ReadError;
use crate::verdict::RulesError;

/// A set-up error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ToolError {
    /// The arguments make no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run did not start.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A result cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// No request ever got a response.
    #[error("no request to {base} got a response: {problem}{hint}")]
    Unreachable {
        /// Target.
        base: String,
        /// What failed most often.
        problem: String,
        /// What may help.
        hint: &'static str,
    },
    /// An earlier result cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Two results that do not compare.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The rules are wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// There is nothing to watch.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The async runtime does not start.
    #[error("cannot start the async runtime")]
    Runtime(#[source] std::io::Error),
}
