//! Observations become numbers over time.
//!
//! The hot path only ever adds to atomics. Everything about time happens here, off that path: a [`Window`] is the
//! difference of two snapshots, so resetting or slicing history can never lose a request that is in flight. The same
//! cells are what `/metrics` shows and what the rules read, so that the two cannot disagree. Nothing here reads a clock,
//! spawns or does I/O: every function takes `now`.

mod cells;
mod delta;
mod endpoint_names;
mod exposition;
mod grid;
mod histogram;
mod history;
mod layout;
mod recorder;
mod requests;
mod series;
mod slot;
mod tiers;
pub(crate) mod window;

pub use recorder::MonitorRecorder;

pub(crate) use endpoint_names::NO_ENDPOINT;
pub(crate) use histogram::{HistogramSum, HistogramView, Quantile};
pub(crate) use history::History;
pub(crate) use series::SeriesMeta;
pub(crate) use slot::GridSum;
pub(crate) use tiers::{Moment, Run, TierLimits, Tiers, TimedSlot};
pub(crate) use window::{SeriesView, Window};
#[cfg(feature = "archive")]
pub(crate) use {
    endpoint_names::EndpointNames,
    slot::{FORMAT, Slot},
    tiers::{Changes, SlotKey, Stored},
};
