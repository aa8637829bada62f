//! The catalogue of measures, by scope: what a rule can compare with a threshold.
//!
//! Every measure that a rule file can name is a line of [`CATALOGUE`], with its unit and its meaning; the JSON schema,
//! docs/rules.md, the suggestions and the checks of thresholds all come from it. Invariant: a name is unique within its scope.

use std::time::Duration;

use super::{
    fact::{self, NumberFact, number},
    scope::Scope,
    unit::Unit,
};
use crate::context::Part;

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
    /// Time of a part over the duration.
    PartRatio(Part),
    /// Time that response bodies were waited for over the duration.
    ProducingRatio,
    /// Mean duration without the waits for clients.
    OwnAvgDuration,
    /// Quantile of the duration without the waits for clients, in percent.
    OwnDurationQuantile(u8),
    /// The rest of the duration: waiting for something that is not tracked.
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
    /// Time of requests whose client disconnected over the duration.
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
    /// Failures over all requests that matched no route and were not refused.
    UnmatchedErrorRatio,
    /// Open file descriptors over their limit.
    OpenFdsRatio,
    /// 99th percentile of the scheduling lag.
    SchedulingLag,
    /// Busy time of the runtime's workers over their number and the time passed.
    WorkerBusyRatio,
    /// Time since the last request or run, where it is longer than usual.
    AbsentFor,
    /// Share of the usual requests or runs of the last half hour that did not come.
    DropRatio,
    /// By how much it is slower in this version of the service than in the one before.
    VersionSlowdown,
    /// By how much more of its requests fail.
    VersionErrorRise,
    /// Gauges: the latest value. Counters: the increase.
    Value,
    /// Mean of a histogram.
    Avg,
    /// Maximum of a histogram.
    Max,
    /// Quantile of a histogram, in percent.
    Quantile(u8),
    /// How many times as fast as its objective allows an error budget is spent.
    BurnRate,
}

impl Measure {
    /// Returns whether it compares two versions of the service.
    pub(crate) fn is_of_versions(self) -> bool {
        matches!(self, Self::VersionSlowdown | Self::VersionErrorRise)
    }

    /// Returns how far back it always looks, whatever a rule says; `None` where the rule's window decides.
    pub(crate) fn own_span(self) -> Option<Duration> {
        match self {
            // The detector chooses its spans itself, up to a day.
            Self::MemoryGrowth => Some(Duration::from_secs(24 * 3600)),
            Self::AbsentFor | Self::DropRatio => Some(Duration::from_secs(30 * 60)),
            // All of a version, and what is newest of it.
            _ if self.is_of_versions() => Some(Duration::from_secs(3600)),
            _ => None,
        }
    }
}

/// How large a ratio can get, so that a threshold that no value can pass is refused.
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

const fn counted(scope: Scope, fact: NumberFact, measure: Measure, about: &'static str) -> Entry {
    let NumberFact { name, unit } = fact;
    Entry { scope, name, measure, unit, bound: Bound::None, samples: Samples::Counted, about }
}

const fn share(scope: Scope, fact: NumberFact, measure: Measure, about: &'static str) -> Entry {
    Entry { bound: Bound::Whole, ..counted(scope, fact, measure, about) }
}

const fn part(scope: Scope, fact: NumberFact, part: Part, about: &'static str) -> Entry {
    share(scope, fact, Measure::PartRatio(part), about)
}

const fn state_share(scope: Scope, fact: NumberFact, measure: Measure, about: &'static str) -> Entry {
    Entry { samples: Samples::State, ..share(scope, fact, measure, about) }
}

const fn state(scope: Scope, fact: NumberFact, measure: Measure, about: &'static str) -> Entry {
    Entry { samples: Samples::State, ..counted(scope, fact, measure, about) }
}

use Measure as M;
use Scope::{Endpoint, Metric, Process, Query, Slo, Task};
use Unit::{Count, PerSecond, Ratio, Seconds};

/// Every measure of every scope.
pub(crate) const CATALOGUE: &[Entry] = &[
    counted(Endpoint, fact::AVG_DURATION, M::AvgDuration, "mean duration of a request, to its last byte"),
    counted(Endpoint, fact::P50_DURATION, M::DurationQuantile(50), "median duration"),
    counted(Endpoint, fact::P75_DURATION, M::DurationQuantile(75), "75th percentile of the duration"),
    counted(Endpoint, fact::P90_DURATION, M::DurationQuantile(90), "90th percentile of the duration"),
    counted(Endpoint, fact::P95_DURATION, M::DurationQuantile(95), "95th percentile of the duration"),
    counted(Endpoint, fact::P99_DURATION, M::DurationQuantile(99), "99th percentile of the duration"),
    counted(Endpoint, fact::MAX_DURATION, M::MaxDuration, "longest duration"),
    share(Endpoint, fact::ERROR_RATIO, M::ErrorRatio, "5xx, panics and broken bodies over all requests"),
    share(Endpoint, fact::CLIENT_ERROR_RATIO, M::ClientErrorRatio, "4xx over all requests"),
    share(Endpoint, fact::CANCELLED_RATIO, M::CancelledRatio, "requests whose client went away over all requests"),
    counted(Endpoint, fact::REQUEST_RATE, M::Rate, "requests a second"),
    counted(Endpoint, fact::IN_FLIGHT, M::InFlight, "mean number of requests in flight, of those that have ended"),
    state(Endpoint, fact::ACTIVE, M::Active, "requests in flight now, those that never end included"),
    state(Endpoint, fact::OLDEST_ACTIVE, M::OldestActive, "how long the oldest request in flight has been running"),
    share(Endpoint, fact::TIME_SHARE, M::TimeShare, "share of the time that all requests of the service took"),
    share(Endpoint, fact::BUSY_RATIO, M::BusyRatio, "share of the duration spent inside poll, keeping a worker busy"),
    share(Endpoint, fact::DB_TIME_RATIO, M::DbTimeRatio, "share of the duration while at least one query ran"),
    share(
        Endpoint,
        fact::TASK_TIME_RATIO,
        M::PartRatio(Part::Task),
        "share of the duration while a tracked task ran and nothing else that is tracked",
    ),
    share(
        Endpoint,
        fact::WAITING_RATIO,
        M::WaitingRatio,
        "share of the duration spent waiting for something that is not tracked",
    ),
    part(
        Endpoint,
        fact::LATE_TIME_RATIO,
        Part::Late,
        "share of the duration in which the request could go on and no worker polled it",
    ),
    part(
        Endpoint,
        fact::CLIENT_TIME_RATIO,
        Part::Client,
        "share of the duration spent waiting for the client: for the rest of its body, or until it took what was sent",
    ),
    part(Endpoint, fact::HTTP_TIME_RATIO, Part::Http, "share of the duration spent in tracked calls to other services"),
    part(Endpoint, fact::POOL_TIME_RATIO, Part::Pool, "share of the duration spent waiting for a connection of a pool"),
    part(Endpoint, fact::LOCK_TIME_RATIO, Part::Lock, "share of the duration spent waiting for tracked locks"),
    part(
        Endpoint,
        fact::SEMAPHORE_TIME_RATIO,
        Part::Semaphore,
        "share of the duration spent waiting for tracked permits",
    ),
    part(Endpoint, fact::CHANNEL_TIME_RATIO, Part::Channel, "share of the duration spent waiting for tracked channels"),
    part(Endpoint, fact::WAIT_TIME_RATIO, Part::Wait, "share of the duration spent in tracked waits of other kinds"),
    part(
        Endpoint,
        fact::THREAD_POOL_TIME_RATIO,
        Part::ThreadPool,
        "share of the duration spent waiting for a blocking thread",
    ),
    part(
        Endpoint,
        fact::BLOCKING_TIME_RATIO,
        Part::Blocking,
        "share of the duration spent in work on blocking threads",
    ),
    share(
        Endpoint,
        fact::PRODUCING_RATIO,
        M::ProducingRatio,
        "share of the duration in which the next piece of a streamed response was not there yet",
    ),
    counted(
        Endpoint,
        fact::OWN_AVG_DURATION,
        M::OwnAvgDuration,
        "mean duration without the time spent waiting for the client",
    ),
    counted(
        Endpoint,
        fact::OWN_P95_DURATION,
        M::OwnDurationQuantile(95),
        "95th percentile of the duration without the time spent waiting for the client",
    ),
    counted(
        Endpoint,
        fact::OWN_P99_DURATION,
        M::OwnDurationQuantile(99),
        "99th percentile of the duration without the time spent waiting for the client",
    ),
    share(
        Endpoint,
        number("wasted_time_ratio", Ratio),
        M::WastedTimeRatio,
        "share of the duration that was of requests whose client went away before the answer",
    ),
    counted(Endpoint, fact::DB_QUERIES_PER_REQUEST, M::DbQueriesPerRequest, "queries a request issues"),
    counted(Endpoint, number("db_time_per_request", Seconds), M::DbTimePerRequest, "time a request spends in queries"),
    counted(Endpoint, fact::LONGEST_POLL, M::LongestPoll, "longest single poll of any request"),
    counted(Endpoint, fact::P50_LONGEST_POLL, M::LongestPollQuantile(50), "median of the requests' longest polls"),
    counted(Endpoint, fact::P95_LONGEST_POLL, M::LongestPollQuantile(95), "95th percentile of the longest polls"),
    counted(
        Endpoint,
        number("p99_longest_poll", Seconds),
        M::LongestPollQuantile(99),
        "99th percentile of the longest polls",
    ),
    state(
        Endpoint,
        fact::ABSENT_FOR,
        M::AbsentFor,
        "time since the last request, where the days before say that it is too long; 0 where it is as usual",
    ),
    state_share(
        Endpoint,
        fact::DROP_RATIO,
        M::DropRatio,
        "share of the usual requests at this time that did not come in the last half hour; 0 where chance may explain it",
    ),
    counted(
        Endpoint,
        fact::VERSION_SLOWDOWN,
        M::VersionSlowdown,
        "how much slower than in the version before, at least",
    ),
    share(Endpoint, fact::VERSION_ERROR_RISE, M::VersionErrorRise, "how much more fails than in the version before"),
    counted(Query, fact::AVG_DURATION, M::AvgDuration, "mean duration of a call"),
    counted(Query, fact::P50_DURATION, M::DurationQuantile(50), "median duration"),
    counted(Query, fact::P75_DURATION, M::DurationQuantile(75), "75th percentile of the duration"),
    counted(Query, fact::P90_DURATION, M::DurationQuantile(90), "90th percentile of the duration"),
    counted(Query, fact::P95_DURATION, M::DurationQuantile(95), "95th percentile of the duration"),
    counted(Query, fact::P99_DURATION, M::DurationQuantile(99), "99th percentile of the duration"),
    counted(Query, fact::MAX_DURATION, M::MaxDuration, "longest duration"),
    counted(Query, fact::CALL_RATE, M::Rate, "calls a second"),
    counted(Query, fact::IN_FLIGHT, M::InFlight, "mean number of calls running: connections kept busy"),
    share(Query, fact::TIME_SHARE, M::TimeShare, "share of the time of all requests that they spent in the query"),
    share(Query, fact::ERROR_RATIO, M::ErrorRatio, "failed calls over all calls"),
    share(Query, fact::CANCELLED_RATIO, M::CancelledRatio, "abandoned calls over all calls"),
    counted(
        Query,
        fact::CALLS_PER_REQUEST,
        M::CallsPerRequest,
        "calls in one request, on the endpoint that issues it most often per request",
    ),
    counted(
        Query,
        number("time_per_request", Seconds),
        M::TimePerRequest,
        "time of one request that passes in it, on that same endpoint; calls at once count once",
    ),
    counted(
        Query,
        number("endpoint_time_ratio", Ratio),
        M::EndpointTimeRatio,
        "time of the query over the duration of that same endpoint",
    ),
    counted(Task, fact::AVG_DURATION, M::AvgDuration, "mean duration of a run"),
    counted(Task, fact::P50_DURATION, M::DurationQuantile(50), "median duration"),
    counted(Task, fact::P75_DURATION, M::DurationQuantile(75), "75th percentile of the duration"),
    counted(Task, fact::P90_DURATION, M::DurationQuantile(90), "90th percentile of the duration"),
    counted(Task, fact::P95_DURATION, M::DurationQuantile(95), "95th percentile of the duration"),
    counted(Task, fact::P99_DURATION, M::DurationQuantile(99), "99th percentile of the duration"),
    counted(Task, fact::MAX_DURATION, M::MaxDuration, "longest duration"),
    share(Task, fact::TASK_FAILURE_RATIO, M::ErrorRatio, "runs that failed or panicked over all runs"),
    share(Task, fact::CANCELLED_RATIO, M::CancelledRatio, "runs dropped before their end over all runs"),
    counted(Task, number("task_rate", PerSecond), M::Rate, "runs a second"),
    share(Task, fact::TIME_SHARE, M::TimeShare, "share of the time of all requests in which they ran the task"),
    share(Task, fact::BUSY_RATIO, M::BusyRatio, "share of the duration spent inside poll, keeping a worker busy"),
    share(
        Task,
        fact::WAITING_RATIO,
        M::WaitingRatio,
        "share of the duration spent waiting for something that is not tracked",
    ),
    part(
        Task,
        fact::LATE_TIME_RATIO,
        Part::Late,
        "share of the duration in which the run could go on and no worker polled it",
    ),
    part(Task, fact::HTTP_TIME_RATIO, Part::Http, "share of the duration spent in tracked calls to other services"),
    part(Task, fact::DB_TIME_RATIO, Part::Db, "share of the duration spent in queries"),
    part(Task, fact::POOL_TIME_RATIO, Part::Pool, "share of the duration spent waiting for a connection of a pool"),
    part(Task, fact::LOCK_TIME_RATIO, Part::Lock, "share of the duration spent waiting for tracked locks"),
    part(Task, fact::SEMAPHORE_TIME_RATIO, Part::Semaphore, "share of the duration spent waiting for tracked permits"),
    part(Task, fact::CHANNEL_TIME_RATIO, Part::Channel, "share of the duration spent waiting for tracked channels"),
    part(Task, fact::WAIT_TIME_RATIO, Part::Wait, "share of the duration spent in tracked waits of other kinds"),
    part(
        Task,
        fact::THREAD_POOL_TIME_RATIO,
        Part::ThreadPool,
        "share of the duration spent waiting for a blocking thread",
    ),
    part(Task, fact::BLOCKING_TIME_RATIO, Part::Blocking, "share of the duration spent in work on blocking threads"),
    state(Task, fact::ACTIVE, M::Active, "runs in progress now"),
    state(Task, fact::OLDEST_ACTIVE, M::OldestActive, "how long the oldest run in progress has been running"),
    state(
        Task,
        fact::ABSENT_FOR,
        M::AbsentFor,
        "time since the last run ended, where the days before say that it is too long; 0 where it is as usual",
    ),
    state_share(
        Task,
        fact::DROP_RATIO,
        M::DropRatio,
        "share of the usual runs at this time that did not end in the last half hour; 0 where chance may explain it",
    ),
    state(
        Process,
        fact::ABSENT_FOR,
        M::AbsentFor,
        "time since the last request of any endpoint, or of most of them, where the days before say that it is too long",
    ),
    state_share(
        Process,
        fact::DROP_RATIO,
        M::DropRatio,
        "share of the usual requests at this time that did not come in the last half hour, where most endpoints have fewer",
    ),
    counted(Process, fact::VERSION_SLOWDOWN, M::VersionSlowdown, "the same, of at least half of the endpoints"),
    share(Process, fact::VERSION_ERROR_RISE, M::VersionErrorRise, "the same, of at least half of the endpoints"),
    state(
        Process,
        fact::RESIDENT_MEMORY,
        M::ResidentMemory,
        "memory that the process owns now: resident, without pages of mapped files where the platform tells them apart",
    ),
    state_share(
        Process,
        fact::MEMORY_LIMIT_RATIO,
        M::MemoryLimitRatio,
        "memory over the control group's limit: what the group holds, without pages of files",
    ),
    counted(Process, fact::MEMORY_GROWTH, M::MemoryGrowth, "robust growth of that memory"),
    state(Process, fact::CPU_RATIO, M::CpuRatio, "CPU time over time passed; 100% is one core"),
    state_share(Process, fact::OPEN_FDS_RATIO, M::OpenFdsRatio, "open file descriptors over their limit"),
    share(
        Process,
        fact::UNMATCHED_ERROR_RATIO,
        M::UnmatchedErrorRatio,
        "5xx, panics and broken bodies over all requests that matched no route and were not refused with 4xx",
    ),
    counted(Process, fact::SCHEDULING_LAG, M::SchedulingLag, "99th percentile of how late the runtime polls a task"),
    state_share(Process, fact::WORKER_BUSY_RATIO, M::WorkerBusyRatio, "how busy the runtime's workers are"),
    state(Metric, number("value", Count), M::Value, "latest value of a gauge, increase of a counter"),
    counted(Metric, number("rate", PerSecond), M::Rate, "increase of a counter, observations of a histogram, a second"),
    counted(Metric, number("avg", Count), M::Avg, "mean of a histogram"),
    counted(Metric, number("max", Count), M::Max, "maximum of a histogram"),
    counted(Metric, number("p50", Count), M::Quantile(50), "median of a histogram"),
    counted(Metric, number("p75", Count), M::Quantile(75), "75th percentile of a histogram"),
    counted(Metric, number("p90", Count), M::Quantile(90), "90th percentile of a histogram"),
    counted(Metric, number("p95", Count), M::Quantile(95), "95th percentile of a histogram"),
    counted(Metric, number("p99", Count), M::Quantile(99), "99th percentile of a histogram"),
    counted(
        Slo,
        fact::BURN_RATE,
        M::BurnRate,
        "how many times as fast as the objective allows the error budget is spent, in the severity's long window",
    ),
];

impl Entry {
    /// Returns it as the fact that texts and conditions use.
    pub(crate) fn fact(&self) -> NumberFact {
        number(self.name, self.unit)
    }
}

/// Finds a measure of a scope by its name in rule files.
pub(crate) fn find(scope: Scope, name: &str) -> Option<&'static Entry> {
    of_scope(scope).find(|entry| entry.name == name)
}

/// Returns every measure with its scope and its name.
#[cfg(all(test, feature = "export"))]
pub(crate) fn all() -> impl Iterator<Item = (Scope, &'static str, Measure)> {
    CATALOGUE.iter().map(|entry| (entry.scope, entry.name, entry.measure))
}

/// Returns the measure of a scope that rule files call `name`.
#[cfg(feature = "export")]
pub(crate) fn find_in(scope: Scope, name: &str) -> Option<Measure> {
    find(scope, name).map(|entry| entry.measure)
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
#[path = "measure_tests.rs"]
mod tests;
