//! What is wrong with a file of rule tests, and where.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::rules::{LoadError, located::Position};

/// Why a file of rule tests cannot be run.
///
/// Its `Display` prints one problem a line, as `path:line:column: what is wrong`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestFileError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file has mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<TestProblem>),
    /// The rules that it tests have mistakes.
    #[error(transparent)]
    Rules(#[from] LoadError),
}

/// One mistake in a file of rule tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestProblem {
    path: PathBuf,
    at: Position,
    message: String,
}

impl TestProblem {
    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.at.line
    }

    /// Returns what is wrong and what was expected, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for TestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.at;
        write!(f, "{}:{line}:{column}: {}", self.path.display(), self.message)
    }
}

/// The mistakes found so far in a file.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    path: &'a Path,
    found: Vec<TestProblem>,
}

impl<'a> Problems<'a> {
    pub(super) fn of(path: &'a Path) -> Self {
        Self { path, found: Vec::new() }
    }

    pub(super) fn report(&mut self, at: Position, message: impl Into<String>) {
        self.found.push(TestProblem { path: self.path.to_owned(), at, message: message.into() });
    }

    /// Returns `read` if nothing was found.
    pub(super) fn none_or<T>(mut self, read: Option<T>) -> Result<T, TestFileError> {
        self.found.sort_by_key(|problem| problem.at);
        match read {
            Some(read) if self.found.is_empty() => Ok(read),
            _ => Err(TestFileError::Problems(self.found)),
        }
    }
}
