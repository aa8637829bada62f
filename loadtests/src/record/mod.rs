//! What was measured.
//!
//! Users write [`Sample`]s into shards of a [`Recorder`]; once a second its shards are drained into a [`Tally`], from which
//! everything that is shown or written is computed. The invariant: every request that was sent is in exactly one
//! outcome of exactly one endpoint, so that the tool's total can equal the server's.

mod distribution;
mod endpoint;
mod endpoint_tally;
mod failure;
mod grid;
mod latency;
mod outage;
mod outcome;
mod ranked;
mod recorder;
mod sample;
mod series;
mod tally;

pub(crate) use distribution::Distribution;
pub(crate) use endpoint::{EndpointId, EndpointName};
pub(crate) use endpoint_tally::EndpointTally;
pub(crate) use failure::FailureKind;
#[cfg(test)]
pub(crate) use grid::rank_of;
pub(crate) use latency::{Latency, Precision};
pub(crate) use outage::{Outage, OutageWatch, Usual};
pub(crate) use outcome::Outcome;
pub(crate) use ranked::RankedLatencies;
pub(crate) use recorder::{ExhaustionCounts, Phase, Recorder, ShardId};
pub(crate) use sample::{Exhaustion, Sample};
pub(crate) use series::{Point, Series};
pub(crate) use tally::{Interval, Tally};
