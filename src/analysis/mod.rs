//! The statistics behind the findings, to be used on numbers of your own: trends, leaks, and two versions compared.
//!
//! Pure functions that read no clock, do no I/O and import nothing else of the crate. Every formula is checked against
//! SciPy and pyMannKendall.

mod bucket_width;
pub(crate) mod compare;
pub(crate) mod leak;
mod mix;
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
