//! The textbook part of the analysis: tests and estimators that know numbers only.
//!
//! Owns the formulas, each with its source, and refuses any opinion on what is slow, leaking or worth telling: that is
//! for `trend`, `leak` and `compare`. Everything here is checked against a second implementation (SciPy and
//! pyMannKendall, see `tests/fixtures/stats`). Inputs are finite numbers; a caller drops what is not.

pub mod mann_kendall;
mod median;
mod multiple_tests;
pub mod rank_sum;
mod ranks;
#[cfg(test)]
mod reference;
pub mod serial_correlation;
pub mod step;
pub mod tail;
pub mod theil_sen;

pub use mann_kendall::MannKendall;
pub use median::{hodges_lehmann, median};
pub use multiple_tests::{benjamini_hochberg, holm};
pub use rank_sum::RankSum;
pub use ranks::{midranks, tie_sizes};
pub use serial_correlation::{inflation, inflation_of_two};
pub use step::Step;
pub use theil_sen::TheilSen;
