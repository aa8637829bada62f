//! [`read_result`]: reads back the result of an earlier run.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::run::RunResult;

/// A file that cannot be read as a result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ReadError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a result.
    #[error("{path} is no result of loadtest (written with --output x.json)")]
    NotAResult {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// Reads a result.
///
/// # Errors
///
/// [`ReadError`] if there is no such file, or it holds something else.
pub(crate) fn read_result(path: &Path) -> Result<RunResult, ReadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ReadError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| ReadError::NotAResult { path: path.to_owned(), source })
}
