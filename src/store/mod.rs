//! Observations become numbers over time.
//!
//! Owns the cells, which are fixed sets of atomics, and everything that reads them: the differences between ticks, the
//! windows that slide over them, the trend tiers, and the text of `/metrics`. The request path only adds to cells; time
//! is handled off that path. A [`Window`] is the difference of two readings of cells that are never reset, so neither
//! clearing nor slicing history loses a request that is in flight, and `/metrics` and the rules, which read the same
//! cells, cannot disagree. The module refuses to read a clock, to spawn and to do I/O: every function takes `now`.
//!
//! # Who writes and who reads a cell
//!
//! A histogram's cell has four stripes. A thread writes that of its own; a reader goes through all of them in each
//! step:
//!
//! ```text
//!                        ┌─────────── a stripe ────────────┐
//!  request thread        │                                 │  the tick, and `clear`
//!  1 buckets += count ──►│ buckets   u32 each, never reset │──► 4 read all groups found in 1 or 3
//!  2 touched |= group ──►│ touched   a bit for each group  │──► 1 swap with 0; stop if all were 0    3 read again
//!  3 sum += value     ──►│ sum       never reset           │──► 2 read
//!  4 min, max         ──►│ min, max  since the last tick   │──► 2 swap with ±∞
//!  5 touched |= group ──►│           (as in 2)             │
//!                        └─────────────────────────────────┘
//!  a window up to now      the tick's steps, with loads instead of swaps
//!  /metrics                loads of all buckets, then of the sums
//! ```
//!
//! A bucket of 32 bits that is half full is emptied by 2^31 in step 4 of a tick, into `carried`, which has a lock;
//! `/metrics` holds that lock while it adds buckets and `carried` up, so it counts nothing twice.
//!
//! The tick, `clear` and the windows up to now take turns: they need `&mut` [`History`], which the monitor keeps behind
//! a lock. Request threads and `/metrics` never wait for that lock. A request thread takes no lock in a cell, except
//! for an observation with a count of 2^31 or more, which goes into `carried`.
//!
//! - **Steps 1 to 5 and the tick's are `SeqCst`.** Each side writes one atomic and then reads one that the other side
//!   writes: the thread adds to the sum and reads the mark, the tick takes the mark and reads the sum. With weaker
//!   orderings both could read the old value, and the observation would wait for the next one in its group.
//! - **Counters, gauges' `written` and the buckets that `/metrics` reads are `Relaxed`**: each is read for its own
//!   value and publishes no other memory.
//!
//! A tick may see
//! - an observation's count one tick before its sum and extremes, never the other way round: an extreme always comes
//!   with its count, or with a tick before it;
//! - nothing of an observation that has not reached step 1. Whatever was recorded completely before the tick began is
//!   in it or in an earlier one, once: counts are differences of buckets that only grow.
//!
//! `/metrics` may see a sum that lacks observations of its count, or has more of them: those that are recorded while it
//! reads. Its bucket lines and its count agree, as they come from one reading, and no count ever falls. A gauge may be
//! off by the changes during the read. `clear` is a tick whose difference is dropped: afterwards the windows are empty,
//! and the values of `/metrics` are unchanged.
//!
//! # Order of imports
//!
//! Files of this room import only files to their left:
//!
//! ```text
//! schema < layout < cells < series < {pairs, delta};  pairs < exposition;  {exposition, history} < recorder
//! layout < histogram;  {delta, histogram} < window < history
//! layout < grid < slot < slot_sums;  {delta, slot_sums, endpoint_names} < requests;  {history, requests} < tiers
//! ```
//!
//! In a file `std` comes first, then other crates, then `super` and `crate`, with an empty line between.

mod cells;
mod delta;
mod endpoint_names;
mod exposition;
mod grid;
mod histogram;
mod history;
mod layout;
mod pairs;
mod recorder;
mod requests;
mod schema;
mod series;
mod slot;
mod slot_sums;
mod tiers;
pub(crate) mod window;

pub(crate) use endpoint_names::NO_ENDPOINT;
pub(crate) use exposition::{Exposition, Format};
pub(crate) use histogram::{HistogramSum, HistogramView, Quantile};
pub(crate) use history::History;
pub use recorder::MonitorRecorder;
pub(crate) use series::SeriesMeta;
pub(crate) use slot::GridSum;
pub(crate) use tiers::{Moment, Run, TierLimits, Tiers, TimedSlot};
pub(crate) use window::{SeriesView, Window};
#[cfg(feature = "archive")]
pub(crate) use {
    endpoint_names::EndpointNames,
    slot::{FORMAT, Slot},
    tiers::{ArchiveContents, Changes, Reference, SlotKey},
};
