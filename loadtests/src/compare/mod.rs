//! Is this run slower than that one, or is it noise?
//!
//! Requests of one run are not independent: a slow moment slows all of them. What is compared is therefore not requests
//! but points of time, seconds mostly and equally long in both runs, with a correction for slow drifts, and a change counts only if it is also large enough to matter.

mod points;
mod ranks;
mod runs;

pub(crate) use runs::{CompareError, check_comparable, check_conclusive, compare};
