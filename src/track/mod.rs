//! Placeholder of `track`.
