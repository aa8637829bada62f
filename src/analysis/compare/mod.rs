//! [`compare`]: which routes fail more often, or got slower or faster, between two versions of a service.
//!
//! A version writes a [`VersionSnapshot`] when it stops, and [`compare`] compares it with that of the next one. It
//! reports a difference only where it is large enough to matter and too clear to be chance, corrected for the number of
//! routes, so that a service of 200 routes does not find ten "regressions" in each release that changed nothing.
//! Durations are those of successful requests: a version that fails at once is not fast.

mod difference;
mod errors;
mod least;
#[cfg(test)]
mod reference;
mod shift;
mod snapshot;

pub use difference::{Comparison, RouteChange, Verdict, compare};
pub use errors::ErrorChange;
pub use shift::Shift;
pub use snapshot::{LatencyBucket, LatencyHistogram, RouteLatency, SnapshotError, VersionSnapshot};
