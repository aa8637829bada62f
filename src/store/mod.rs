//! Observations become numbers over time.
//!
//! The hot path only ever adds to atomics. Everything about time happens here, off that path: a [`Window`] is the
//! difference of two snapshots, so resetting or slicing history can never lose a request that is in flight. The same
//! cells are what `/metrics` shows and what the rules read, so that the two cannot disagree. Nothing here reads a clock,
//! spawns or does I/O: every function takes `now`.

mod cells;
mod delta;
mod exposition;
mod histogram;
mod history;
mod layout;
mod memory;
mod recorder;
mod series;
pub(crate) mod window;

pub use recorder::MonitorRecorder;

pub(crate) use histogram::{HistogramSum, HistogramView, Quantile};
pub(crate) use history::History;
pub(crate) use memory::{MemorySample, MemoryTrack};
pub(crate) use window::{SeriesView, Window};
