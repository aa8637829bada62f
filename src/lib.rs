//! Finds the bottlenecks of an axum service from inside it.

mod alert;
mod api;
mod context;
mod http;
mod monitor;
mod names;
mod rules;
mod sample;
mod store;
mod track;

pub use context::{InCurrentRequest, in_current_request};
pub use http::{MonitorBody, MonitorFuture, MonitorLayer, MonitorService, RouteTemplate};
pub use monitor::{BuildError, Control, Monitor, MonitorBuilder};
pub use rules::{Breach, LoadError, LoadProblem, ObservedEndpoint, RuleSet, Severity};
pub use sample::Sampler;
pub use store::MonitorRecorder;
#[cfg(feature = "sqlx")]
pub use track::SqlxLayer;
pub use track::{TrackAsyncTask, TrackDbQuery, track_async_task, track_db_query};

/// The statistics behind the findings, to be used on numbers of your own: trends, leaks, and two versions compared.
///
/// Pure functions that read no clock and do no I/O. Every formula is checked against SciPy and pyMannKendall.
pub mod analysis {
    pub use crate::rules::compare::{
        Comparison, LatencyBucket, LatencyHistogram, RouteChange, RouteLatency, Shift, SnapshotError, Verdict,
        VersionSnapshot, compare,
    };
    pub use crate::rules::leak::{Leak, LeakDetector, LeakVerdict, MemorySample};
    pub use crate::rules::mix::{Cell, MixedMean, standardise};
    pub use crate::rules::trend::{
        Direction, FEWEST_BUCKETS, Measure, Movement, Point, SMALLEST_RATIO, Shape, Trend, bucket_width,
    };
}
