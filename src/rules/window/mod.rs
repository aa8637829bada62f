//! Numbers become readings: what the windows of the store say about endpoints, queries, tasks and the process.
//!
//! Each series is gathered once per window and then read by every rule of its scope. Only this room of `rules` knows the
//! store; the rules themselves read it through [`Readings`](crate::rules::Readings).

mod durations;
mod endpoints;
mod evidence;
mod memory;
mod queries;
mod readings;
mod summary;
mod tasks;
mod totals;
mod trends;
#[cfg(feature = "archive")]
mod versions;

#[cfg(test)]
mod evidence_tests;
#[cfg(test)]
mod readings_tests;

pub(crate) use durations::Verdict;
pub(crate) use endpoints::{Endpoints, is_failure};
pub(crate) use memory::ProcessMemory;
pub(crate) use queries::QueryUses;
pub(crate) use readings::WindowReadings;
pub(crate) use totals::Totals;
pub(crate) use trends::{EndpointTrends, Judged, TrendReport, TrendSource};
#[cfg(feature = "archive")]
pub(crate) use versions::latencies;
