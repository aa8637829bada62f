//! Why nothing was tested. Each of these errors ends the process with exit code 2.

use thiserror::Error;

use super::{
    preflight::PreflightError,
    session::{SessionError, UnreachableError},
};
use crate::{
    compare::CompareError, plan::PlanError, report::WriteError, result::ReadError, server::ObserveError,
    verdict::RulesError,
};

/// A format that has no place for observations.
#[derive(Debug, Error)]
#[error("monitor writes .json or .csv; the format of {0} only shows load tests")]
pub(crate) struct OutputFormatError(pub(super) String);

/// A set-up error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ToolError {
    /// The arguments do not make a plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target cannot be reached.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The run did not start.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No request got a response.
    #[error(transparent)]
    Unreachable(#[from] UnreachableError),
    /// A result cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An earlier result cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Two results cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The rules are wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The service to watch reports nothing.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// An output that `monitor` cannot write.
    #[error(transparent)]
    OutputFormat(#[from] OutputFormatError),
    /// The async runtime does not start.
    #[error("cannot start the async runtime")]
    Runtime(#[source] std::io::Error),
}
