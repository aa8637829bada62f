//! Placeholder of `api`.
