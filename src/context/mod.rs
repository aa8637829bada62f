//! What one request did, and the instruments it is recorded through.
//!
//! Both the HTTP layer and the trackers need the request that the thread polls, and neither may import the other, so it
//! is kept here. The module refuses everything about time windows and rules. The invariant that a change could break:
//! only the futures that were entered with a [`RequestContext`], and the threads inside its [`Carrier`]'s span, record
//! on it, so a query never counts for a neighbour that shares the thread.
//!
//! # A circle on purpose
//!
//! Files of this room import only files to their left, with the exception of one circle:
//!
//! ```text
//! {nanos, part, place, overlap, glob, methods, scheme, trace_id, query_id, database, outcome, clock, stripe, labelled, sqlx_events, after_end, thread_time}
//!     < {polls, turns} < watch
//!     < {division, event, wakes} < used < uses < {spread, running, statements, heap, holds, live} < in_flight < named < query_durations < {table, calls} < waits
//!     < {instruments, pool, request, slow} < carrier < current < sampled
//! ```
//!
//! [`Instruments`] hold the [pool](pool::ContextPool) of contexts, a [`RequestContext`] holds the instruments it is
//! recorded through, and [`SlowRequests`], which the instruments hold, read a context's timeline with the names of the
//! instruments' tables. It is one structure in four files: a query that ends on any thread knows its request alone, and
//! must find the tables of the request's own monitor through it, without a global and without an argument through the
//! host's code; and a request must find a context to reuse without allocating. A trait in between would only move the
//! circle out of sight, at the price of a dynamic call on the request path. The circle has one cost: pooled contexts
//! and their instruments keep one another alive, so [`Instruments::close`] empties the pool when the monitor ends.
//!
//! In a file `std` comes first, then other crates, then `super` and `crate`, with an empty line between.

mod after_end;
mod calls;
mod carrier;
pub(crate) mod clock;
mod current;
mod database;
mod division;
mod event;
mod glob;
mod heap;
mod holds;
mod in_flight;
mod instruments;
pub(crate) mod labelled;
mod live;
pub(crate) mod methods;
mod named;
mod nanos;
mod outcome;
mod overlap;
mod part;
mod place;
pub(crate) mod polls;
mod pool;
mod query_durations;
mod query_id;
mod request;
mod running;
mod sampled;
mod scheme;
mod slow;
mod spread;
#[cfg(feature = "sqlx")]
pub(crate) mod sqlx_events;
mod statements;
pub(crate) mod stripe;
mod table;
mod thread_time;
mod trace_id;
pub(crate) mod turns;
mod used;
mod uses;
mod waits;
mod wakes;
pub(crate) mod watch;

pub(crate) use after_end::{AfterEnd, LateQuery, OpenStream, StreamMessages, StreamSeries};
pub(crate) use calls::{CallEnding, CallSeries, Callee};
pub(crate) use carrier::Carrier;
#[cfg(feature = "sqlx")]
pub(crate) use carrier::{CARRIER, Payload, SubscriberOf, take_payload};
pub(crate) use current::{CurrentGuard, current, enter, is_within};
pub use current::{InCurrentRequest, in_current_request, upgraded};
pub(crate) use database::ByDatabase;
pub use database::{Database, InvalidDatabaseUrl};
pub(crate) use division::RequestTime;
pub(crate) use event::{Did, Event};
pub(crate) use glob::Glob;
#[cfg(feature = "export")]
pub(crate) use glob::escaped;
pub(crate) use heap::{Heap, HeapGuard, RequestAllocations};
pub(crate) use instruments::{Instruments, Limits, install, installed, uninstall};
pub(crate) use labelled::DynRecorder;
pub(crate) use live::EndpointNumber;
pub(crate) use nanos::nanos;
pub(crate) use outcome::{Outcome, OutcomeDurations};
pub(crate) use part::Part;
pub(crate) use place::Place;
pub(crate) use pool::Pool;
pub(crate) use request::RequestContext;
pub(crate) use running::RunPlace;
pub use sampled::set_trace;
pub(crate) use sampled::{now_millis, recording, sampled_trace};
pub(crate) use scheme::Scheme;
pub use scheme::UrlScheme;
pub(crate) use slow::{EndpointSlowRequests, SlowRequest, SlowRequests};
pub(crate) use spread::{Local, Spread};
pub(crate) use table::{QuerySeries, SqlShape, TaskSeries};
pub(crate) use trace_id::{SampledTrace, TraceId};
pub(crate) use used::Use;
pub(crate) use uses::{UseSeries, Uses};
pub(crate) use waits::WaitSeries;
