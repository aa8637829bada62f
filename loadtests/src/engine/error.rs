//! Why a run could not be started.

use thiserror::Error;

use super::client::ClientError;

/// A run that could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum EngineError {
    /// There is no HTTP client.
    #[error("cannot set up the HTTP client")]
    Client(#[from] ClientError),
    /// Goose refused its configuration.
    #[error("Goose refused to run: {0}")]
    Goose(String),
    /// The system gives no thread.
    #[error("cannot start the thread that keeps the rate")]
    Thread(#[source] std::io::Error),
}
