//! Why a route did not do what it was asked, as the client sees it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What the path names does not exist.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request makes no sense; says what is allowed.
    #[error("{0}")]
    Invalid(&'static str),
    /// Wrong e-mail address or password.
    #[error("e-mail address or password is wrong")]
    Unauthorized,
    /// The e-mail address is taken.
    #[error("this e-mail address has an account already")]
    Taken,
    /// The database did not do it.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// A blocking thread panicked.
    #[error("a thread failed")]
    Thread(#[from] tokio::task::JoinError),
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
            Self::Closing(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Hash(_) | Self::Thread(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // A client learns that the shop failed, not how: the cause names tables and constraints.
        let message = if status.is_server_error() {
            tracing::debug!(error = &self as &dyn std::error::Error, "request failed");
            "the shop failed, try again later".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}
