//! Placeholder of `context`.
