//! A query or a task becomes observations.
//!
//! Owns the futures that wrap a host's queries and tasks, the fingerprints of SQL, and the capture of sqlx's own
//! events. Refuses to keep any literal of a statement. The invariant that a change could break: whatever starts ends
//! in exactly one observation, also when its future is dropped or panics.

mod fingerprint;
pub(crate) mod query;

#[cfg(feature = "sqlx")]
mod sqlx;
mod task;

pub use query::{TrackDbQuery, track_db_query};
#[cfg(feature = "sqlx")]
pub use sqlx::SqlxLayer;
pub use task::{TrackAsyncTask, track_async_task};
