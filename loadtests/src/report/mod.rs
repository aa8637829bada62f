//! The result of a run: what is shown at its end and written into files.
//!
//! [`RunResult`] is the one form from which everything else is rendered, and which an earlier run is read back from.
//! Times are seconds, as in the project's brief; shares are named percent where they are.

mod capacity;
mod comparison;
mod csv;
mod endpoint;
mod html;
mod junit;
mod markdown;
mod profile;
mod read;
mod result;
mod sections;
mod svg;
mod table;
mod verdict;
mod write;

pub(crate) use capacity::{Capacity, CapacityStep, SATURATED, SearchEnd, StepEnd};
pub(crate) use comparison::{Change, Comparison, Direction};
pub(crate) use endpoint::{EndpointResult, PointResult, seconds};
pub(crate) use profile::Profile;
pub(crate) use read::{ReadError, read_result};
pub(crate) use result::{ArrivalsResult, GeneratorResult, LoadResult, RunResult, VerdictResult};
pub(crate) use sections::{render_comparison, render_profile};
pub(crate) use table::render_table;
pub(crate) use verdict::render_verdict;
pub(crate) use write::{WriteError, check_writable, write_outputs, write_watch};

#[cfg(test)]
mod sample_tests;
