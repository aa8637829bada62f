//! [`Outcome`]: how a request, query or task ended, and whose fault that was.
//!
//! The only place that reads a verdict out of labels; what counts as a failure is decided here for every measure.

use crate::{names, store::SeriesMeta};

/// How an observation ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) class: OutcomeClass,
    /// A status, a kind of error or the outcome of a task.
    pub(crate) name: &'a str,
}

/// Whose fault an outcome was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeClass {
    Success,
    /// The service's own fault.
    Failure,
    /// The service refused the request, with a status of 4xx or a gRPC status that says as much.
    Refusal,
    /// The client disconnected, or the caller dropped the future.
    Cancellation,
}

/// The observations of one duration with the same outcome.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeCount<'a> {
    pub(crate) outcome: Outcome<'a>,
    pub(crate) count: u64,
    /// Places of their series in a window.
    pub(crate) places: Vec<u32>,
}

impl OutcomeClass {
    /// The order in which evidence names outcomes.
    pub(crate) const WORST_FIRST: [Self; 4] = [Self::Failure, Self::Cancellation, Self::Refusal, Self::Success];
}

impl OutcomeClass {
    /// Returns whose fault a gRPC status other than `OK` is.
    fn of_grpc(status: &str) -> Self {
        match status {
            names::GRPC_CANCELLED => Self::Cancellation,
            fault if names::GRPC_FAULTS.contains(&fault) => Self::Failure,
            _ => Self::Refusal,
        }
    }
}

impl<'a> Outcome<'a> {
    /// Returns the outcome of the requests of a series. A kind of error is more precise than the status beside it.
    pub(super) fn of_request(series: &'a SeriesMeta) -> Self {
        let [status, grpc_status, error] = series.labels([names::STATUS, names::RPC_STATUS, names::ERROR_TYPE]);
        let status = status.unwrap_or_default();
        let grpc_status = grpc_status.filter(|grpc_status| *grpc_status != names::GRPC_STATUSES[0]);
        match (error, grpc_status) {
            (Some(name @ names::CANCELLED), _) => Self { class: OutcomeClass::Cancellation, name },
            (Some(name @ (names::PANIC | names::SERVICE_ERROR | names::BODY_ERROR)), _) => {
                Self { class: OutcomeClass::Failure, name }
            }
            // HTTP says 200 to all of them.
            (_, Some(name)) => Self { class: OutcomeClass::of_grpc(name), name },
            _ if status.starts_with('5') => Self { class: OutcomeClass::Failure, name: status },
            _ if status.starts_with('4') => Self { class: OutcomeClass::Refusal, name: status },
            _ => Self { class: OutcomeClass::Success, name: status },
        }
    }

    /// Returns the outcome of the calls of a query's series.
    pub(super) fn of_query(series: &'a SeriesMeta) -> Self {
        match series.label(names::ERROR_TYPE) {
            None => Self { class: OutcomeClass::Success, name: names::OK },
            Some(name @ names::CANCELLED) => Self { class: OutcomeClass::Cancellation, name },
            Some(name) => Self { class: OutcomeClass::Failure, name },
        }
    }

    /// Returns the outcome of the runs of a task's series.
    pub(super) fn of_task(series: &'a SeriesMeta) -> Self {
        let name = series.label(names::OUTCOME).unwrap_or_default();
        let class = match name {
            names::OK => OutcomeClass::Success,
            names::CANCELLED => OutcomeClass::Cancellation,
            _ => OutcomeClass::Failure,
        };
        Self { class, name }
    }
}

/// Returns the outcome that the observations of a series of durations count for, one of those of its
/// [`Tally`](names::Tally).
pub(crate) fn tallied_outcome(series: &SeriesMeta) -> &'static str {
    let outcome = match series.name() {
        name if name == names::DB_DURATION.name => Outcome::of_query(series),
        name if name == names::TASK_DURATION.name => Outcome::of_task(series),
        _ => Outcome::of_request(series),
    };
    match outcome.class {
        OutcomeClass::Success => names::OK,
        OutcomeClass::Failure => names::ERROR,
        OutcomeClass::Refusal => names::CLIENT_ERROR,
        OutcomeClass::Cancellation => names::CANCELLED,
    }
}

/// Returns whether a series counts requests that failed by the service's own fault.
pub(crate) fn is_failure(series: &SeriesMeta) -> bool {
    Outcome::of_request(series).class == OutcomeClass::Failure
}
