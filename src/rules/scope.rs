//! What a rule can be about.

use crate::names;

/// What the subjects of a rule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    /// Every method and route.
    Endpoint,
    /// Every query fingerprint.
    Query,
    /// Every name of a tracked task.
    Task,
    /// The process as a whole.
    Process,
    /// The series of any recorded metric.
    Metric,
    /// The requests of a service-level objective. Its rules stand in a list of their own and name no scope.
    Slo,
}

impl Scope {
    /// Those that a rule may name.
    pub(crate) const ALL: [Scope; 5] = [Self::Endpoint, Self::Query, Self::Task, Self::Process, Self::Metric];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Query => "query",
            Self::Task => "task",
            Self::Process => "process",
            Self::Metric => "metric",
            Self::Slo => "slo",
        }
    }

    /// Says what its subjects are, as a sentence.
    #[cfg(feature = "schema")]
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Endpoint => "Every method and route of the service, such as `GET /users/{id}`.",
            Self::Query => {
                "Every statement without its literals: its fingerprint, the label `db_query_text`. `db_query_summary` is what it does \
                 and to what, such as `SELECT orders`."
            }
            Self::Task => "Every name that asynchronous tasks are tracked under.",
            Self::Process => "The process as a whole.",
            Self::Metric => "The series of any recorded metric, the service's own included, together or by labels.",
            Self::Slo => "The requests that a service-level objective is about.",
        }
    }

    /// The labels that `match` may name; `None` where any label may be there.
    pub(crate) fn labels(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Endpoint | Self::Slo => Some(&[names::METHOD, names::ROUTE]),
            Self::Query => Some(&[
                names::DB_QUERY_TEXT,
                names::DB_QUERY_ID,
                names::DB_SUMMARY,
                names::DB_OPERATION,
                names::DB_SYSTEM,
            ]),
            Self::Task => Some(&[names::TASK_NAME]),
            Self::Process => Some(&[]),
            Self::Metric => None,
        }
    }
}
