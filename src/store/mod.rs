//! Placeholder of `store`.
