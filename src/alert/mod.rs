//! Judgements become states that last: pending, firing, resolved.
//!
//! Owns which bottlenecks fire and since when. Refuses to read a clock, to spawn and to do I/O: it takes findings and `now`
//! and returns transitions.

mod lifecycle;

pub(crate) use lifecycle::{Change, Lifecycle, Transition};
