//! What one request did, and the instruments it is recorded through.
//!
//! Both the HTTP layer and the trackers need to know the request that is being polled right now, and neither may import
//! the other, so that knowledge lives here. The module refuses everything about time windows and rules. The invariant
//! that a change could break: a [`RequestContext`] is booked on by exactly the futures that were entered with it, so a
//! query is never booked on a neighbour that shares the thread.

mod carrier;
mod current;
mod glob;
mod heap;
mod in_flight;
mod instruments;
mod pool;
mod request;
mod running;
mod slow;
mod spread;
mod statements;
pub(crate) mod stripe;
mod table;
mod trace_id;

pub use current::{InCurrentRequest, in_current_request};

pub(crate) use carrier::Carrier;
#[cfg(feature = "sqlx")]
pub(crate) use carrier::{CARRIER, Carried, SubscriberOf, handed_over, listen};
pub(crate) use current::{current, enter, is_within};
pub(crate) use glob::Glob;
pub(crate) use heap::{Allocated, Heap};
pub(crate) use instruments::{DynRecorder, Instruments, Limits, install, installed, labelled, uninstall};
pub(crate) use request::{Abandoned, EventKind, LateQuery, RequestContext};
pub(crate) use running::Place;
pub(crate) use slow::{SlowRequest, SlowRequests, Slowest};
pub(crate) use spread::{Local, Spread};
pub(crate) use table::{Outcome, QuerySeries, SqlShape, TaskSeries};
pub(crate) use trace_id::TraceId;
