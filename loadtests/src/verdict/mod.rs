//! Whether a run passed, and why.
//!
//! Everything that can fail a test becomes a [`Check`]; the [`Conclusion`] becomes the exit code. A run that the generator
//! distorted, or that was interrupted, is never called passed or breached: it proves nothing about the service.

mod check;
mod conclusion;
mod implicit;
mod judge;
mod rules;
mod threshold;

pub(crate) use check::{Check, CheckSource, CheckStatus};
pub(crate) use conclusion::Conclusion;
pub(crate) use implicit::implicit;
pub(crate) use judge::{Measurement, judge_thresholds};
pub(crate) use rules::{Rules, RulesError};
pub(crate) use threshold::Threshold;
