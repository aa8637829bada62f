//! Load tests that explain themselves: the `loadtest` binary, and what a scenario written in Rust needs.
//!
//! Reading order is the way of a test: `cli` and `job` make a plan of `scenario`s, `engine` sends it (on Goose),
//! `record` counts it, `watch` looks on, `verdict` judges, `report` tells. A scenario that YAML cannot express is
//! a few lines of Rust; see [`LoadTest`].

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod cli;
mod compare;
mod engine;
mod interrupt;
mod limits;
mod load_test;
mod mode;
mod plan;
mod record;
mod report;
mod result;
mod scenario;
mod server;
mod span;
mod verdict;
mod watch;

pub use engine::{Call, Failed, Iteration, Reply, User};
pub use load_test::{LoadTest, Scenario};
pub use reqwest::Method;
