//! Judgements become states that last: pending, firing, resolved.
//!
//! Owns which bottlenecks fire and since when, and with the feature `deliver` what is sent about them to whom. Refuses to read a clock, to spawn and to do I/O: it takes findings and `now`
//! and returns transitions.

#[cfg(feature = "deliver")]
pub(crate) mod deliver;
mod lifecycle;

pub(crate) use lifecycle::{Change, Lifecycle, Transition};
