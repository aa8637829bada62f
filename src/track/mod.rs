//! A query, a task, a wait, a call or a message becomes observations.
//!
//! Owns the futures that wrap a host's queries and tasks, the fingerprints of SQL, and the layer that reads sqlx's own
//! events. Refuses to keep any literal of a statement. The invariant that a change could break: every query and task
//! that starts ends in exactly one observation, also when its future is dropped or panics.
//!
//! Files of this room import only files to their left: `{fingerprint, destination} < {query, task, wait, call, blocking} < sqlx`,
//! `call < call_body < http_client < reqwest`, `socket` none of them, and in `fingerprint` `{source, statement} < lex < render`, `statement < summary`. In a file `std` comes
//! first, then other crates, then `super` and `crate`, with an empty line between.

mod blocking;
mod call;
mod call_body;
mod destination;
mod fingerprint;
mod http_client;
pub(crate) mod query;
#[cfg(feature = "reqwest-middleware")]
mod reqwest;
mod socket;
#[cfg(feature = "sqlx")]
mod sqlx;
mod task;
mod wait;

pub use blocking::{SpawnBlocking, spawn_blocking};
pub use call::{TrackHttpCall, track_http_call};
pub use call_body::CallBody;
pub(crate) use fingerprint::operations;
#[cfg(feature = "replay")]
pub(crate) use fingerprint::shape;
pub use http_client::{HttpClientFuture, HttpClientLayer, HttpClientService};
pub use query::{CodeOf, NoCode, TrackDbQuery, record_db_query, track_db_query};
#[cfg(feature = "reqwest-middleware")]
pub use reqwest::ReqwestMiddleware;
pub use socket::{TrackMessages, track_messages};
#[cfg(feature = "sqlx")]
pub use sqlx::SqlxLayer;
pub use task::{TrackAsyncTask, track_async_task};
pub use wait::{Held, TrackHold, TrackWait, track_hold, track_wait};
