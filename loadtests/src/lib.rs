//! Load tests that explain themselves: the `loadtest` binary, and what a scenario written in Rust needs.
//!
//! A scenario that YAML cannot express is a few lines of Rust; see [`LoadTest`].
//!
//! # Rooms
//!
//! The way of a test: `cli` parses the arguments and `plan` makes a plan of `scenario`s, which `engine` sends (on Goose).
//! `record` counts the samples, `server` reads the service's own side, `watch` shows progress and watches the generator,
//! `verdict` judges, `compare` compares with an earlier run, `result` is the outcome as data, and `report` writes it.
//! `mode` runs all of this, one file for each subcommand, and `load_test` is the public face.
//!
//! Imports go one way, from right to left, and rooms in braces do not import each other:
//! `{span, limits, printable} < record < scenario < engine < {interrupt, server, verdict} < cli < watch < {plan, result} <
//! {compare, report} < mode < load_test`. A test keeps this order, and another one that files of a room do not import
//! each other in a circle.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod cli;
mod compare;
mod engine;
mod interrupt;
mod limits;
mod load_test;
mod lock;
mod mode;
mod plan;
mod printable;
mod record;
mod report;
mod result;
mod scenario;
mod server;
mod span;
#[cfg(test)]
mod tidy_tests;
mod verdict;
mod watch;

pub use engine::{Call, Iteration, IterationError, Reply, User};
pub use load_test::{LoadTest, Scenario};
pub use reqwest::Method;
