//! Placeholder of `sample`.
