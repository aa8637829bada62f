//! Judgements become states that last: pending, firing, resolved.
//!
//! Owns which bottlenecks fire and since when, which of them a person acknowledged, and with the feature `deliver` what is
//! sent about them to whom. Refuses to read a clock, to spawn and to do I/O: it takes findings and `now`
//! and returns transitions.

mod acknowledgement;
#[cfg(feature = "deliver")]
pub(crate) mod deliver;
mod lifecycle;
mod service;

#[cfg(test)]
pub(crate) use acknowledgement::MOST as MOST_ACKNOWLEDGEMENTS;
pub(crate) use acknowledgement::{Acknowledgement, Acknowledgements};
pub(crate) use lifecycle::{Change, Lifecycle, Transition};
