//! End-to-end tests: the built binary against servers that misbehave, and against a service with the monitor inside.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod capacity;
mod closed;
mod demo;
#[cfg(unix)]
mod examples;
mod failing;
mod findings;
mod help;
mod idle;
mod judging;
mod monitored;
mod open;
mod outages;
mod outputs;
mod profiling;
mod scenarios;
mod server;
mod setup;
mod tool;
