//! The server's side of a run.
//!
//! A service with Pinchpoint inside reports at `/metrics` and `/performance/*` what it saw. A snapshot before the run, one
//! after it, and the bottlenecks that fired in between are joined with what users saw. A service without these endpoints
//! is tested all the same; its side is absent.

mod bottleneck;
mod client;
mod exposition;
mod join;
mod observation;
mod utilization;
mod watch;

pub(crate) use bottleneck::{Bottleneck, FiredBottleneck, LeftOut, LeftOutWhy};
pub(crate) use client::{
    ClientOptions, Credentials, DEFAULT_TIMEOUT, ProcessFacts, ServerClient, ServerSnapshot, ServiceError,
};
pub(crate) use join::{ServerEndpoint, ServerSide, findings_of_run, join};
pub(crate) use observation::{Observation, ObserveError, observe};
pub(crate) use utilization::{ClientMeans, ProcessNumbers, Utilization};
pub(crate) use watch::ServerWatch;
