//! Why a subject is over a threshold: a differential diagnosis over what was measured.
//!
//! [`diagnose`] compares the signature of each possible cause with the evidence, and each cause with its neighbours by the
//! measurement that tells them apart. Invariant: a measurement that was not taken speaks for no cause and against none.
//! Where two causes remain, the diagnosis names both, and its advice says what to measure.
//!
//! ```text
//! catalogue    every cause: signature, neighbours, advice
//! diagnosis    the result, and how candidates become one
//! case         what a diagnosis reads
//! polls time queue uses query stampede endings failing clients task process    the decisions, one file for each question
//! ```

mod case;
mod catalogue;
mod clients;
mod diagnosis;
mod endings;
mod failing;
mod parts;
mod polls;
mod process;
mod query;
mod queue;
mod stampede;
#[cfg(test)]
mod tables;
mod task;
mod time;
mod uses;

pub(crate) use case::Case;
pub(crate) use diagnosis::{Diagnosis, Origin};

use crate::rules::{measure::Measure, scope::Scope};

/// Returns the cause of a finding; `None` where the catalogue has none for its measure.
pub(crate) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    match case.scope {
        Scope::Endpoint => endpoint(case),
        Scope::Query => query::diagnose(case),
        Scope::Task => task::diagnose(case),
        Scope::Process if case.measure == Measure::UnmatchedErrorRatio => endings::fallback(case),
        Scope::Process => process::diagnose(case),
        Scope::Metric | Scope::Slo => None,
    }
}

fn endpoint(case: &Case<'_>) -> Option<Diagnosis> {
    match case.measure {
        // Of a few slow requests the means say nothing; that they are a few is what is known.
        Measure::DurationQuantile(99) | Measure::OwnDurationQuantile(99) => {
            time::tail(case).or_else(|| time::diagnose(case))
        }
        Measure::AvgDuration
        | Measure::DurationQuantile(_)
        | Measure::MaxDuration
        | Measure::OwnAvgDuration
        | Measure::OwnDurationQuantile(_) => time::diagnose(case),
        Measure::LongestPoll | Measure::LongestPollQuantile(_) | Measure::BusyRatio => polls::diagnose(case),
        Measure::ErrorRatio => endings::errors(case),
        Measure::ClientErrorRatio => endings::refusals(case),
        Measure::CancelledRatio => clients::abandoned(case),
        Measure::WastedTimeRatio => clients::wasted(case),
        Measure::Active | Measure::OldestActive => endings::unended(case),
        _ => None,
    }
}

/// Returns the catalogue of causes as Markdown: what docs/causes.md is made of.
///
/// ```
/// assert!(pinchpoint::causes_reference_markdown().starts_with("# Causes\n"));
/// ```
#[cfg(feature = "schema")]
#[must_use]
pub fn causes_reference_markdown() -> String {
    catalogue::reference::markdown()
}
