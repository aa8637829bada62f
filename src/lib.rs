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
pub use store::MonitorRecorder;
pub use track::{TrackAsyncTask, TrackDbQuery, track_async_task, track_db_query};
