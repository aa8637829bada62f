//! The answers: `/metrics` and `/performance/*`.
//!
//! One file for each group of endpoints. Nothing is computed here: a handler picks a window, reads it through `rules` and
//! renders. Published names and units live here only: the core counts in seconds, bytes and ratios, and [`units`] converts
//! once, where the JSON type is built. Invariants that a change could break: reading changes nothing, and an error reveals
//! nothing of the service's inside.

mod access;
mod acknowledge;
mod bottlenecks;
#[cfg(feature = "archive")]
mod comparison;
mod control;
mod endpoints;
mod error;
mod events;
mod evidence;
mod exposition;
mod health;
mod host;
mod icon;
#[cfg(feature = "page")]
mod login;
mod memory;
mod negotiation;
#[cfg(feature = "openapi")]
mod openapi;
#[cfg(feature = "page")]
mod page;
mod parameters;
mod period;
#[cfg(feature = "deliver")]
mod receivers;
mod report;
mod router;
mod rules;
mod selection;
mod serve;
mod slos;
mod sqlx;
mod status;
mod summary;
mod timestamp;
mod trend;
mod trends;
mod units;

/// The state that every handler reads.
type CoreState = axum::extract::State<std::sync::Arc<crate::monitor::Core>>;
