//! The statistics behind the findings, usable on your own numbers: trends, leaks, and two versions compared.
//!
//! Pure functions: they read no clock, do no I/O and import nothing else of the crate, so that tests, benchmarks and
//! the load tester call them with numbers that they made up. Every formula is checked against SciPy, pyMannKendall or
//! statsmodels. [`statistics`] has the tests and estimators; [`Trend`], [`LeakDetector`] and [`compare()`] add what
//! size of a change matters.

mod bucket_width;
pub(crate) mod compare;
mod counted_ring;
pub(crate) mod leak;
mod measured_time;
mod mix;
mod rhythm;
pub mod statistics;
mod trend;

pub use bucket_width::bucket_width;
pub use compare::{
    Comparison, ErrorChange, LatencyBucket, LatencyHistogram, RouteChange, RouteLatency, Shift, SnapshotError, Verdict,
    VersionSnapshot, compare,
};
pub use leak::{Leak, LeakDetector, LeakVerdict, MemorySample};
pub use mix::{Cell, MixedMean, standardise};
pub use trend::{Direction, FEWEST_BUCKETS, Measure, Movement, Point, SMALLEST_RATIO, Shape, Trend};

pub(crate) use leak::MemoryCurve;
pub(crate) use measured_time::MeasuredTime;
pub(crate) use rhythm::{Drop as TrafficDrop, Rhythm, Silence};
