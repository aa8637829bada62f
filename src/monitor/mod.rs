//! Placeholder of `monitor`.
