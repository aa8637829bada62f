//! The answers: `/metrics` and `/performance/*`.
//!
//! One file for each group of endpoints. Nothing is computed here: a handler picks a window, asks `rules` what is in it
//! and renders. Published names and units live here and nowhere else: the core counts in seconds, bytes and ratios, and
//! [`units`] converts once, where the JSON type is built. The invariant that a change could break: reading changes
//! nothing, and an error tells a client nothing of the inside.

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
mod memory;
#[cfg(feature = "openapi")]
mod openapi;
mod parameters;
mod period;
mod report;
mod router;
mod rules;
mod serve;
mod status;
mod summary;
mod trends;
mod units;

/// What every handler answers from.
type Shared = axum::extract::State<std::sync::Arc<crate::monitor::Core>>;
