//! A request becomes observations.
//!
//! Owns the tower layer, the future and the body that measure one request, and the metric handles it is recorded with.
//! Refuses to know any window or rule. The invariant that a change could break: an [`Observation`] is held in one
//! `Option` and taken exactly once, at the body's end or when it is dropped, so that every request is counted once and
//! the gauge of requests in flight returns to zero whatever happens.
//!
//! Files of this room import only files to their left: `{route, request_body, waiting, measured, durations} < series < {own, grpc}
//! < observation < body < future < layer`. In a file `std` comes first, then other crates, then `super` and `crate`, with an empty line between.

mod body;
mod durations;
mod future;
mod grpc;
mod layer;
mod measured;
mod observation;
mod own;
mod request_body;
mod route;
mod series;
mod waiting;

pub use body::MonitorBody;
pub use future::MonitorFuture;
pub use layer::{MonitorLayer, MonitorService};
use observation::Observation;
pub(crate) use own::OwnAnswer;
pub(crate) use route::RouteFrom;
pub use route::RouteTemplate;
pub(crate) use series::Endpoints;
