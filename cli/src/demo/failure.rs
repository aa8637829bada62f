//! The errors of the shop's routes, and the answers that clients get for them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The path names a thing that does not exist.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request has a wrong value; the text names the field and what is allowed.
    #[error("{0}")]
    Invalid(&'static str),
    /// Wrong e-mail address or password.
    #[error("e-mail address or password is wrong")]
    Unauthorized,
    /// The e-mail address is taken.
    #[error("this e-mail address has an account already")]
    Taken,
    /// A query failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// A blocking thread panicked.
    #[error("a thread failed")]
    Thread(#[from] tokio::task::JoinError),
    /// The carrier did not answer, or refused.
    #[error("the carrier failed")]
    Carrier(#[from] reqwest::Error),
    /// The shop is closing.
    #[error("the shop is closing")]
    Closing(#[from] tokio::sync::AcquireError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Taken => StatusCode::CONFLICT,
            Self::Carrier(_) => StatusCode::BAD_GATEWAY,
            Self::Closing(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Hash(_) | Self::Thread(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // The cause stays in the log: it names tables and constraints, which are no client's business.
        let message = if status.is_server_error() {
            tracing::debug!(error = &self as &dyn std::error::Error, "request failed");
            "the shop failed, try again later".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}
