//! Placeholder of `http`.
