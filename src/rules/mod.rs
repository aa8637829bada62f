//! Placeholder of `rules`.
