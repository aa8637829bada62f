//! Placeholder of `alert`.
