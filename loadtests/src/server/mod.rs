//! The server's side of the story.
//!
//! A service with Pinchpoint inside tells at `/metrics` and `/performance/*` what it saw. Two snapshots, before and
//! after, and a look at the bottlenecks in between are joined with what users saw. A service that tells nothing is no
//! error.

mod client;
mod exposition;
mod join;
mod observation;
mod utilization;
mod watch;

pub(crate) use client::{
    Bottleneck, ClientOptions, Credentials, DEFAULT_TIMEOUT, ServerClient, ServerSnapshot, ServiceError,
};
pub(crate) use join::{FiredBottleneck, ServerEndpoint, ServerSide, join};
pub(crate) use observation::{Observation, ObserveError, observe};
pub(crate) use utilization::{ClientMeans, Utilization};
pub(crate) use watch::ServerWatch;
