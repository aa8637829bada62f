//! Judgements become states that last: pending, firing, resolved.

mod lifecycle;

pub(crate) use lifecycle::{Change, Lifecycle, Transition};
