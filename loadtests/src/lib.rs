//! Load tests that explain themselves: the `loadtest` binary, and what a scenario written in Rust needs.
//!
//! Reading order is the way of a test: `cli` and `job` make a plan of `scenario`s, `engine` sends it (on Goose),
//! `record` counts it, `watch` looks on, `verdict` judges, `report` tells. A scenario that YAML cannot express is
//! a few lines of Rust; see [`LoadTest`].

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod cli;
mod compare;
mod engine;
mod error;
mod interrupt;
mod job;
mod limits;
mod mode;
mod record;
mod report;
mod result;
mod scenario;
mod server;
mod span;
mod test;
mod verdict;
mod watch;

pub use engine::{Call, Failed, Iteration, Reply, User};
pub use reqwest::Method;
pub use test::{LoadTest, Scenario};
