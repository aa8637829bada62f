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
//! A histogram's cell has a stripe for each of twelve lanes. Eight lanes belong to one thread each, which writes its stripe
//! with plain loads and stores; all further threads share the other four, with read-modify-writes. A reader goes through
//! all stripes in each step:
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
//! A bucket of 32 bits that is half full is emptied by 2^31 in step 1, into `carried`, which has a lock; `/metrics`, and a tick
//! that finds anything carried, hold that lock while they add buckets and `carried` up, so they count nothing twice.
//!
//! The tick, `clear` and the windows up to now take turns: they need `&mut` [`History`], which the monitor keeps behind
//! a lock. Request threads and `/metrics` never wait for that lock. A request thread takes no lock in a cell, except
//! to carry, once in 2^31 observations.
//!
//! - **Each step of a thread is a release, and each of the tick's an acquire.** Whoever sees a step sees those before it. The
//!   tick takes an extreme in 2, so it finds the mark in 1 or 3 and the count in 4.
//! - **The tick reads the groups of the tick before as well.** A thread that finds its group marked in 5 may find what the tick
//!   has taken already in 1, while its own steps 1 to 4 are still on their way to the tick's core. Only a locked instruction
//!   or a fence in each observation would rule that out, at the price of all that an exclusive lane saves. So the next tick
//!   reads that group once more, marked or not, and the observation is in one of the two.
//! - **An exclusive stripe has one writer, but for the tick.** The tick swaps marks and extremes. A thread that read them before
//!   and writes them after brings back a mark, which costs a read, or enters its extreme for the next interval.
//! - **Counters, gauges' `written` and the buckets that `/metrics` reads are `Relaxed`**: each is read for its own
//!   value and publishes no other memory.
//!
//! A tick may see
//! - an observation's count one tick before its sum and extremes, never the other way round: an extreme always comes
//!   with its count, or with a tick before it;
//! - nothing of an observation whose steps are not over. Whatever was recorded before the tick began, as far as anything
//!   orders the two, is in it or in an earlier one, once: counts are differences of buckets that only grow. Whatever is
//!   being recorded meanwhile is in this tick or in the next one, without waiting for another observation.
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
//! schema < {layout, stripe};  layout < exemplars;  {stripe, exemplars} < cells;  stripe < gauge;  meta < outcome
//! {cells, counter, gauge, outcome} < series < {pairs, delta, whole_names}
//! pairs < exposition;  {exposition, history, whole_names} < recorder
//! {blocks, counts} < delta;  {layout, counts} < histogram;  {delta, histogram} < window < history
//! {blocks, sliding} import nothing of the room;  layout < grid < slot < slot_sums
//! {delta, slot_sums, endpoint_names} < requests;  {history, requests} < tiers < rhythms
//! ```
//!
//! In a file `std` comes first, then other crates, then `super` and `crate`, with an empty line between.

mod blocks;
mod cells;
mod counter;
mod counts;
mod delta;
mod endpoint_names;
mod exemplars;
mod exposition;
mod gauge;
mod grid;
mod histogram;
mod history;
mod layout;
mod meta;
mod outcome;
mod pairs;
mod recorder;
mod requests;
mod rhythms;
mod schema;
mod series;
mod sliding;
mod slot;
mod slot_sums;
mod stripe;
mod tiers;
mod whole_names;
pub(crate) mod window;

pub(crate) use endpoint_names::{EndpointNames, NO_ENDPOINT};
pub(crate) use exposition::{Exposition, Format};
#[cfg(feature = "export")]
pub(crate) use exposition::{label_name, metric_name};
pub(crate) use grid::first_slower;
#[cfg(feature = "replay")]
pub(crate) use grid::{BUCKETS, quantile as grid_quantile};
pub(crate) use histogram::{HistogramSum, HistogramView, Quantile};
pub(crate) use history::History;
pub(crate) use outcome::{Outcome, OutcomeClass};
pub use recorder::MonitorRecorder;
pub(crate) use requests::TickRequests;
#[cfg(any(test, feature = "archive"))]
pub(crate) use rhythms::{KnownRhythms, ServiceRhythm};
pub(crate) use rhythms::{Regular, RhythmOf, Rhythms};
pub(crate) use sliding::{Counts, SlidingCounts};
pub(crate) use slot::{GridSum, SlotEntry};
pub(crate) use tiers::{Moment, Run, TierLimits, Tiers, TimedSlot};
pub(crate) use window::{SeriesView, Window};
#[cfg(feature = "archive")]
pub(crate) use {
    slot::{FORMAT, Slot},
    tiers::{ArchiveContents, Changes, Reference, SlotKey},
};
