//! [`Outcome`]: how a request, query or task ended, and whose fault that was.
//!
//! The only place that reads a verdict out of labels; what counts as a failure is decided here for every measure.

use super::meta::SeriesMeta;
use crate::names;

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

impl OutcomeClass {
    /// The order in which evidence names outcomes.
    pub(crate) const WORST_FIRST: [Self; 4] = [Self::Failure, Self::Cancellation, Self::Refusal, Self::Success];

    /// Returns the outcome that a [`Tally`](names::Tally) counts it for.
    pub(super) fn tallied(self) -> &'static str {
        match self {
            Self::Success => names::OK,
            Self::Failure => names::ERROR,
            Self::Refusal => names::CLIENT_ERROR,
            Self::Cancellation => names::CANCELLED,
        }
    }

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
    /// Returns the outcome of what a series of durations counts.
    pub(crate) fn of(series: &'a SeriesMeta) -> Self {
        match series.name() {
            name if name == names::DB_DURATION.name => Self::of_query(series),
            name if name == names::TASK_DURATION.name => Self::of_task(series),
            _ => Self::of_request(series),
        }
    }

    /// Returns the outcome of the requests of a series. A kind of error is more precise than the status beside it.
    fn of_request(series: &'a SeriesMeta) -> Self {
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
    fn of_query(series: &'a SeriesMeta) -> Self {
        match series.label(names::ERROR_TYPE) {
            None => Self { class: OutcomeClass::Success, name: names::OK },
            Some(name @ names::CANCELLED) => Self { class: OutcomeClass::Cancellation, name },
            Some(name) => Self { class: OutcomeClass::Failure, name },
        }
    }

    /// Returns the outcome of the runs of a task's series.
    fn of_task(series: &'a SeriesMeta) -> Self {
        let name = series.label(names::OUTCOME).unwrap_or_default();
        let class = match name {
            names::OK => OutcomeClass::Success,
            names::CANCELLED => OutcomeClass::Cancellation,
            _ => OutcomeClass::Failure,
        };
        Self { class, name }
    }
}
