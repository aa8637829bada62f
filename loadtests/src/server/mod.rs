//! The server's side of the story.
//!
//! A service with Pinchpoint inside tells at `/metrics` and `/performance/*` what it saw. Two snapshots, before and
//! after, and a look at the bottlenecks in between are joined with what users saw. A service that tells nothing is no
//! error.

mod client;
mod exposition;
mod join;
mod look;
mod strain;
mod watch;

pub(crate) use client::{Asking, Bottleneck, Credentials, PATIENCE, ServerClient, ServerSnapshot, Silence};
#[cfg(test)]
pub(crate) use join::{FiredBottleneck, ServerEndpoint};
pub(crate) use join::{ServerSide, join};
pub(crate) use look::{Look, LookError, look_at};
pub(crate) use strain::{Strain, UsersMean};
pub(crate) use watch::ServerWatch;
