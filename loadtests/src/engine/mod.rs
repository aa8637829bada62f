//! Sends the load.
//!
//! The closed model runs on Goose: it starts the users and lets them do one iteration after another, and no type of Goose
//! leaves this module. The open model sends at fixed times whatever the responses do. Both run the same iterations, and
//! every request goes through [`user::User::call`], which reads the body to its end and records exactly one sample.
//!
//! The files follow a request from the plan to the sample: `load_plan` says what to send, `run` picks the model, `closed`,
//! `open` or `sequential` starts iterations, `actor` turns an iteration into requests, `user` sends one through
//! `exchange` (whose `body` counts what arrives), has it judged by `judgement` and hands the sample to [`crate::record`]. `user` and `reply` know each other:
//! a call in Rust code is built on its user, and the user answers with a reply.

mod actor;
mod body;
mod client;
mod closed;
mod connections;
mod error;
mod exchange;
#[cfg(test)]
mod fixture;
mod gauges;
mod idle_close;
mod judgement;
mod lateness;
mod load_plan;
mod mix;
mod open;
mod pace;
mod phases;
mod reply;
mod run;
mod run_state;
mod seed;
mod sequential;
mod stop;
mod tls_error;
mod transport_error;
mod user;

pub(crate) use actor::{Actor, Code, IterationFuture};
pub(crate) use client::{ClientSettings, Redirects};
pub(crate) use error::EngineError;
pub(crate) use gauges::Arrivals;
#[cfg(test)]
pub(crate) use gauges::MissingUsers;
pub(crate) use lateness::late_after;
pub(crate) use load_plan::{LoadPlan, Model};
pub use reply::{Call, Reply};
pub(crate) use run::run;
pub(crate) use run_state::{Hindrances, RunState};
pub(crate) use seed::Seed;
pub(crate) use sequential::run_sequentially;
pub(crate) use stop::{RunEnd, Stop, StopReason};
pub(crate) use transport_error::{NOT_HTTP_1, explain, hint_for};
pub use user::{Iteration, IterationError, User};
