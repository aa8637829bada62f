//! The textbook part of the analysis: tests and estimators that know numbers only.
//!
//! Owns the formulas, each with its source, and has no opinion on what is slow, leaking or worth reporting:
//! [`Trend`](super::Trend), [`LeakDetector`](super::LeakDetector) and [`compare`](super::compare()) have. Every formula
//! is checked against a second implementation (SciPy, pyMannKendall and statsmodels, see `tests/fixtures/stats`).
//!
//! Inputs must be finite: the caller drops NaN and infinities, since no formula here looks for them. With such values
//! nothing panics, but the result means nothing. P-values are probabilities from 0 to 1 and two-sided, unless otherwise
//! stated. An `inflation` is the factor by which serial correlation widens a variance, at least 1; 1 stands for
//! independent values, and [`inflation()`] computes it.
//!
//! ```
//! use pinchpoint::analysis::statistics::{MannKendall, TheilSen};
//!
//! let hours = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
//! let megabytes = [100.0, 104.0, 103.0, 109.0, 112.0, 111.0, 117.0, 121.0];
//! let test = MannKendall::of(&megabytes);
//! assert!(test.p_value(1.0) < 0.01, "it rises");
//! let line = TheilSen::fit(&hours, &megabytes, &test, 1.0).expect("the hours differ");
//! assert!(line.low > 2.0 && line.high < 4.5, "by 2 to 4.5 MB an hour");
//! ```

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
