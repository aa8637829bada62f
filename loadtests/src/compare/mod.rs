//! Decides whether a run is slower than an earlier one, or whether the difference is noise.
//!
//! The requests of one run are not independent, since a slow moment slows all of them. Points of time are compared
//! therefore, not requests: mostly seconds, and equally long in both runs. The test corrects for neighbouring points that
//! resemble each other ([`pinchpoint::analysis::statistics::serial_correlation`]) and for the number of comparisons, and
//! a change counts only if it is also large enough to matter.

mod points;
mod runs;

pub(crate) use runs::{CompareError, check_comparable, check_conclusive, compare};
