//! What a rule may look at: the catalogue of measures, by scope.
//!
//! Every measure that a rule file can name is a line of [`CATALOGUE`], with its unit and its meaning; the JSON schema,
//! the suggestions and the checks of thresholds all come from it. Invariant: a name is unique within its scope.

use super::unit::Unit;
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
}

impl Scope {
    pub(crate) const ALL: [Scope; 5] = [Self::Endpoint, Self::Query, Self::Task, Self::Process, Self::Metric];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Query => "query",
            Self::Task => "task",
            Self::Process => "process",
            Self::Metric => "metric",
        }
    }

    /// The labels that `match` may name; `None` where any label may be there.
    pub(crate) fn labels(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Endpoint => Some(&[names::METHOD, names::ROUTE]),
            Self::Query => Some(&[names::DB_SUMMARY, names::DB_OPERATION, names::DB_SYSTEM]),
            Self::Task => Some(&[names::TASK_NAME]),
            Self::Process => Some(&[]),
            Self::Metric => None,
        }
    }
}

/// A quantity that readings can be asked for.
///
/// The same measure may stand in several scopes under a name of its own (`request_rate`, `call_rate`, `task_rate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Measure {
    /// Mean duration.
    AvgDuration,
    /// Quantile of the duration, in percent.
    DurationQuantile(u8),
    /// Longest duration.
    MaxDuration,
    /// Observations a second.
    Rate,
    /// Mean number in flight, by Little's law: time spent over time passed.
    InFlight,
    /// Share of the time that all requests took.
    TimeShare,
    /// Failures by the service's own fault over all observations.
    ErrorRatio,
    /// Responses 4xx over all requests.
    ClientErrorRatio,
    /// Observations cut short over all.
    CancelledRatio,
    /// Time inside poll over the duration.
    BusyRatio,
    /// Time in queries over the duration.
    DbTimeRatio,
    /// Time in tracked tasks over the duration.
    TaskTimeRatio,
    /// What is left of the duration: waiting for something that is not tracked.
    WaitingRatio,
    /// Queries over requests.
    DbQueriesPerRequest,
    /// Time in queries over requests.
    DbTimePerRequest,
    /// Longest single poll.
    LongestPoll,
    /// Quantile of the requests' longest polls, in percent.
    LongestPollQuantile(u8),
    /// Calls of a query over the requests that issued it, on the endpoint that issues it most often per request.
    CallsPerRequest,
    /// Time of a query over the requests that issued it, on that same endpoint.
    TimePerRequest,
    /// Time of a query over the time of that same endpoint.
    EndpointTimeRatio,
    /// Time of requests whose client had gone over the duration.
    WastedTimeRatio,
    /// Requests in flight or tasks running now.
    Active,
    /// How long the oldest of them has been running.
    OldestActive,
    /// Resident memory now.
    ResidentMemory,
    /// Resident memory over the control group's limit.
    MemoryLimitRatio,
    /// Robust growth of the resident memory.
    MemoryGrowth,
    /// CPU time over time passed; 1 is one core.
    CpuRatio,
    /// Open file descriptors over their limit.
    OpenFdsRatio,
    /// 99th percentile of the scheduling lag.
    SchedulingLag,
    /// Busy time of the runtime's workers over their number and the time passed.
    WorkerBusyRatio,
    /// Gauges: the latest value. Counters: the increase.
    Value,
    /// Mean of a histogram.
    Avg,
    /// Maximum of a histogram.
    Max,
    /// Quantile of a histogram, in percent.
    Quantile(u8),
}

/// How large a ratio can get, so that thresholds nothing can pass are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// No limit.
    None,
    /// Never above 100 %.
    Whole,
}

/// What `samples` means for a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Samples {
    /// Observations in the window: `min_samples` applies.
    Counted,
    /// A state, read once: one sample.
    State,
}

/// One measure of a scope as rule files know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) scope: Scope,
    pub(crate) name: &'static str,
    pub(crate) measure: Measure,
    /// The unit of its thresholds. Of the scope `metric` the metric's name decides: [`metric_unit`].
    pub(crate) unit: Unit,
    pub(crate) bound: Bound,
    pub(crate) samples: Samples,
    /// Shown by editors.
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "only the JSON schema shows it"))]
    pub(crate) about: &'static str,
}

const fn counted(scope: Scope, name: &'static str, measure: Measure, unit: Unit, about: &'static str) -> Entry {
    Entry { scope, name, measure, unit, bound: Bound::None, samples: Samples::Counted, about }
}

const fn share(scope: Scope, name: &'static str, measure: Measure, about: &'static str) -> Entry {
    Entry { scope, name, measure, unit: Unit::Ratio, bound: Bound::Whole, samples: Samples::Counted, about }
}

const fn state(scope: Scope, name: &'static str, measure: Measure, unit: Unit, about: &'static str) -> Entry {
    Entry { scope, name, measure, unit, bound: Bound::None, samples: Samples::State, about }
}

use Measure as M;
use Scope::{Endpoint, Metric, Process, Query, Task};
use Unit::{Bytes, BytesPerHour, Count, PerSecond, Ratio, Seconds};

/// Every measure of every scope.
pub(crate) const CATALOGUE: &[Entry] = &[
    counted(Endpoint, "avg_duration", M::AvgDuration, Seconds, "mean duration of a request, to its last byte"),
    counted(Endpoint, "p50_duration", M::DurationQuantile(50), Seconds, "median duration"),
    counted(Endpoint, "p75_duration", M::DurationQuantile(75), Seconds, "75th percentile of the duration"),
    counted(Endpoint, "p90_duration", M::DurationQuantile(90), Seconds, "90th percentile of the duration"),
    counted(Endpoint, "p95_duration", M::DurationQuantile(95), Seconds, "95th percentile of the duration"),
    counted(Endpoint, "p99_duration", M::DurationQuantile(99), Seconds, "99th percentile of the duration"),
    counted(Endpoint, "max_duration", M::MaxDuration, Seconds, "longest duration"),
    share(Endpoint, "error_ratio", M::ErrorRatio, "5xx, panics and broken bodies over all requests"),
    share(Endpoint, "client_error_ratio", M::ClientErrorRatio, "4xx over all requests"),
    share(Endpoint, "cancelled_ratio", M::CancelledRatio, "requests whose client went away over all requests"),
    counted(Endpoint, "request_rate", M::Rate, PerSecond, "requests a second"),
    counted(Endpoint, "in_flight", M::InFlight, Count, "mean number of requests in flight, of those that have ended"),
    state(Endpoint, "active", M::Active, Count, "requests in flight now, those that never end included"),
    share(Endpoint, "time_share", M::TimeShare, "share of the time that all requests of the service took"),
    share(Endpoint, "busy_ratio", M::BusyRatio, "share of the duration spent inside poll, keeping a worker busy"),
    share(Endpoint, "db_time_ratio", M::DbTimeRatio, "share of the duration while at least one query ran"),
    share(Endpoint, "task_time_ratio", M::TaskTimeRatio, "share of the duration while a tracked task ran and no query"),
    share(
        Endpoint,
        "waiting_ratio",
        M::WaitingRatio,
        "share of the duration spent neither busy, in queries nor in tasks",
    ),
    share(
        Endpoint,
        "wasted_time_ratio",
        M::WastedTimeRatio,
        "share of the duration that was of requests whose client went away before the answer",
    ),
    counted(Endpoint, "db_queries_per_request", M::DbQueriesPerRequest, Count, "queries a request issues"),
    counted(Endpoint, "db_time_per_request", M::DbTimePerRequest, Seconds, "time a request spends in queries"),
    counted(Endpoint, "longest_poll", M::LongestPoll, Seconds, "longest single poll of any request"),
    counted(Endpoint, "p50_longest_poll", M::LongestPollQuantile(50), Seconds, "median of the requests' longest polls"),
    counted(Endpoint, "p95_longest_poll", M::LongestPollQuantile(95), Seconds, "95th percentile of the longest polls"),
    counted(Endpoint, "p99_longest_poll", M::LongestPollQuantile(99), Seconds, "99th percentile of the longest polls"),
    counted(Query, "avg_duration", M::AvgDuration, Seconds, "mean duration of a call"),
    counted(Query, "p50_duration", M::DurationQuantile(50), Seconds, "median duration"),
    counted(Query, "p75_duration", M::DurationQuantile(75), Seconds, "75th percentile of the duration"),
    counted(Query, "p90_duration", M::DurationQuantile(90), Seconds, "90th percentile of the duration"),
    counted(Query, "p95_duration", M::DurationQuantile(95), Seconds, "95th percentile of the duration"),
    counted(Query, "p99_duration", M::DurationQuantile(99), Seconds, "99th percentile of the duration"),
    counted(Query, "max_duration", M::MaxDuration, Seconds, "longest duration"),
    counted(Query, "call_rate", M::Rate, PerSecond, "calls a second"),
    counted(Query, "in_flight", M::InFlight, Count, "mean number of calls running: connections kept busy"),
    share(Query, "time_share", M::TimeShare, "share of the time of all requests that they spent in the query"),
    share(Query, "error_ratio", M::ErrorRatio, "failed calls over all calls"),
    share(Query, "cancelled_ratio", M::CancelledRatio, "abandoned calls over all calls"),
    counted(
        Query,
        "calls_per_request",
        M::CallsPerRequest,
        Count,
        "calls in one request, on the endpoint that issues it most often per request",
    ),
    counted(Query, "time_per_request", M::TimePerRequest, Seconds, "time in one request, on that same endpoint"),
    counted(
        Query,
        "endpoint_time_ratio",
        M::EndpointTimeRatio,
        Ratio,
        "time of the query over the duration of that same endpoint",
    ),
    counted(Task, "avg_duration", M::AvgDuration, Seconds, "mean duration of a run"),
    counted(Task, "p50_duration", M::DurationQuantile(50), Seconds, "median duration"),
    counted(Task, "p75_duration", M::DurationQuantile(75), Seconds, "75th percentile of the duration"),
    counted(Task, "p90_duration", M::DurationQuantile(90), Seconds, "90th percentile of the duration"),
    counted(Task, "p95_duration", M::DurationQuantile(95), Seconds, "95th percentile of the duration"),
    counted(Task, "p99_duration", M::DurationQuantile(99), Seconds, "99th percentile of the duration"),
    counted(Task, "max_duration", M::MaxDuration, Seconds, "longest duration"),
    share(Task, "failure_ratio", M::ErrorRatio, "runs that failed or panicked over all runs"),
    share(Task, "cancelled_ratio", M::CancelledRatio, "runs dropped before their end over all runs"),
    counted(Task, "task_rate", M::Rate, PerSecond, "runs a second"),
    share(Task, "time_share", M::TimeShare, "share of the time of all requests in which they ran the task"),
    share(Task, "busy_ratio", M::BusyRatio, "share of the duration spent inside poll, keeping a worker busy"),
    share(Task, "waiting_ratio", M::WaitingRatio, "share of the duration spent waiting"),
    state(Task, "active", M::Active, Count, "runs in progress now"),
    state(Task, "oldest_active", M::OldestActive, Seconds, "how long the oldest run in progress has been running"),
    state(Process, "resident_memory", M::ResidentMemory, Bytes, "resident memory now"),
    state(Process, "memory_limit_ratio", M::MemoryLimitRatio, Ratio, "resident memory over the control group's limit"),
    counted(Process, "memory_growth", M::MemoryGrowth, BytesPerHour, "robust growth of the resident memory"),
    state(Process, "cpu_ratio", M::CpuRatio, Ratio, "CPU time over time passed; 100% is one core"),
    state(Process, "open_fds_ratio", M::OpenFdsRatio, Ratio, "open file descriptors over their limit"),
    counted(
        Process,
        "scheduling_lag",
        M::SchedulingLag,
        Seconds,
        "99th percentile of how late the runtime polls a task",
    ),
    state(Process, "worker_busy_ratio", M::WorkerBusyRatio, Ratio, "how busy the runtime's workers are"),
    state(Metric, "value", M::Value, Count, "latest value of a gauge, increase of a counter"),
    counted(Metric, "rate", M::Rate, PerSecond, "increase of a counter, observations of a histogram, a second"),
    counted(Metric, "avg", M::Avg, Count, "mean of a histogram"),
    counted(Metric, "max", M::Max, Count, "maximum of a histogram"),
    counted(Metric, "p50", M::Quantile(50), Count, "median of a histogram"),
    counted(Metric, "p75", M::Quantile(75), Count, "75th percentile of a histogram"),
    counted(Metric, "p90", M::Quantile(90), Count, "90th percentile of a histogram"),
    counted(Metric, "p95", M::Quantile(95), Count, "95th percentile of a histogram"),
    counted(Metric, "p99", M::Quantile(99), Count, "99th percentile of a histogram"),
];

/// Finds a measure of a scope by its name in rule files.
pub(crate) fn find(scope: Scope, name: &str) -> Option<&'static Entry> {
    of_scope(scope).find(|entry| entry.name == name)
}

/// The measures of a scope.
pub(crate) fn of_scope(scope: Scope) -> impl Iterator<Item = &'static Entry> {
    CATALOGUE.iter().filter(move |entry| entry.scope == scope)
}

/// The unit of a measure of a recorded metric, which by convention is the end of the metric's name.
pub(crate) fn metric_unit(metric: &str, measure: Measure) -> Unit {
    let (base, counter) = metric.strip_suffix("_total").map_or((metric, false), |base| (base, true));
    let unit = if base.ends_with("_seconds") {
        Unit::Seconds
    } else if base.ends_with("_bytes") {
        Unit::Bytes
    } else if base.ends_with("_ratio") {
        Unit::Ratio
    } else {
        Unit::Count
    };
    match (measure, unit) {
        (Measure::Rate, Unit::Seconds) if counter => Unit::Ratio,
        (Measure::Rate, Unit::Bytes) if counter => Unit::BytesPerSecond,
        (Measure::Rate, _) => Unit::PerSecond,
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_within_their_scope() {
        let names: HashSet<_> = CATALOGUE.iter().map(|entry| (entry.scope, entry.name)).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn a_measure_stands_once_in_a_scope() {
        let measures: HashSet<_> = CATALOGUE.iter().map(|entry| (entry.scope, entry.measure)).collect();
        assert_eq!(measures.len(), CATALOGUE.len());
    }

    #[test]
    fn the_name_of_a_metric_tells_its_unit() {
        assert_eq!(metric_unit("queue_wait_seconds", Measure::Quantile(99)), Unit::Seconds);
        assert_eq!(metric_unit("queue_wait_seconds", Measure::Rate), Unit::PerSecond);
        assert_eq!(metric_unit("gc_pause_seconds_total", Measure::Rate), Unit::Ratio);
        assert_eq!(metric_unit("sent_bytes_total", Measure::Rate), Unit::BytesPerSecond);
        assert_eq!(metric_unit("cache_hit_ratio", Measure::Value), Unit::Ratio);
        assert_eq!(metric_unit("queue_depth", Measure::Value), Unit::Count);
    }
}
