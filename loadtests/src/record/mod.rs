//! What was measured.
//!
//! Users write samples into shards of a [`Recorder`]; once a second its shards are drained into a [`Tally`], from which
//! everything that is shown or written is computed. The invariant: every request that was sent is in exactly one
//! outcome of exactly one endpoint, so the tool's total can equal the server's.

mod distribution;
mod endpoint;
mod failure;
mod latency;
mod outcome;
mod recorder;
mod series;
mod tally;

pub(crate) use distribution::Distribution;
pub(crate) use endpoint::{EndpointId, EndpointName};
pub(crate) use failure::FailureKind;
pub(crate) use latency::Latency;
#[cfg(test)]
pub(crate) use latency::rank_of;
pub(crate) use outcome::Outcome;
pub(crate) use recorder::{Exhaustion, ExhaustionCounts, Phase, Recorder, Sample, ShardId};
pub(crate) use series::{Point, Series};
pub(crate) use tally::{EndpointTally, Interval, RankedLatencies, Tally};
