//! Is this run slower than that one, or is it noise?
//!
//! Requests of one run are not independent: a slow moment slows all of them. What is compared is therefore not requests
//! but seconds, with a correction for slow drifts, and a change counts only if it is also large enough to matter.

mod ranks;
mod runs;

pub(crate) use runs::{Incomparable, check_comparable, compare};
