//! What fails more often, and what got slower or faster between two versions of a service, route by route.
//!
//! A version leaves a [`VersionSnapshot`] when it stops; [`compare`] sets the next one's beside it. A difference is told
//! only where it is large enough to matter and too clear to be chance, with every route's question counted in, so that a
//! service of 200 routes does not find ten "regressions" in each release that changed nothing. Durations are those of
//! requests that were served well: a version that fails at once is not fast.

mod difference;
mod errors;
#[cfg(test)]
mod reference;
mod snapshot;

pub use difference::{Comparison, RouteChange, Shift, Verdict, compare};
pub use errors::ErrorChange;
pub use snapshot::{LatencyBucket, LatencyHistogram, RouteLatency, SnapshotError, VersionSnapshot};
