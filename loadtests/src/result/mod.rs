//! The result of a run as data: what `--output x.json` holds and what an earlier run is read back from.
//!
//! [`RunResult`] is the one form that `compare` reads and `report` writes. It owns the published field names: times are
//! seconds and shares are percent where a field's name says so. A field may be added, none renamed.

mod capacity;
mod comparison;
mod endpoint;
mod profile;
mod read;
mod run;

pub(crate) use capacity::{Capacity, CapacityStep, SATURATED, SearchEnd, StepEnd};
pub(crate) use comparison::{Change, Comparison, Direction, ERROR_RATE};
pub(crate) use endpoint::{EndpointResult, FailureResult, PointResult, round_micros, some_micros};
pub(crate) use profile::Profile;
pub(crate) use read::{ReadError, read_result};
pub(crate) use run::{
    ArrivalsResult, CheckResult, GeneratorResult, LoadResult, OutageResult, RunResult, VerdictResult,
};
