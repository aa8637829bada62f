//! The catalogue of facts: the named values that the texts and conditions of a rule may use.
//!
//! A fact is a number with a unit, or a word. The measures of a scope are facts too; their meaning stands in
//! [`measure::CATALOGUE`](super::measure::CATALOGUE), that of all others in [`NUMBERS`] and [`WORDS`]. Code that reads or
//! writes a fact uses the constants of this file, so that a name and its unit are spelled once.

mod counts;
mod measures;

use std::sync::Arc;

pub(crate) use counts::is_count;
pub(crate) use measures::*;

use super::{
    scope::Scope::{self, Endpoint, Process, Query, Slo, Task},
    subject::Subject,
    unit::Unit::{self, Bytes, BytesPerHour, Count, PerSecond, Ratio, Seconds},
};
use crate::names;

/// A fact that is a number: conditions can compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberFact {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
}

/// A fact that is a word: texts can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WordFact {
    pub(crate) name: &'static str,
}

pub(super) const fn number(name: &'static str, unit: Unit) -> NumberFact {
    NumberFact { name, unit }
}

const fn word(name: &'static str) -> WordFact {
    WordFact { name }
}

// Numbers beside the measures.
pub(crate) const REQUESTS: NumberFact = number("requests", Count);
pub(crate) const CALLS: NumberFact = number("calls", Count);
pub(crate) const RUNS: NumberFact = number("runs", Count);
pub(crate) const ENDPOINTS: NumberFact = number("endpoints", Count);
pub(crate) const OVER_THRESHOLD_RATIO: NumberFact = number("over_threshold_ratio", Ratio);
pub(crate) const TOP_QUERY_TIME_RATIO: NumberFact = number("top_query_time_ratio", Ratio);
pub(crate) const TOP_QUERY_CALLS_PER_REQUEST: NumberFact = number("top_query_calls_per_request", Count);
pub(crate) const TOP_QUERY_AVG_DURATION: NumberFact = number("top_query_avg_duration", Seconds);
pub(crate) const FAILING_QUERY_RATIO: NumberFact = number("failing_query_ratio", Ratio);
pub(crate) const FAILING_QUERY_CALLS: NumberFact = number("failing_query_calls", Count);
pub(crate) const REPEAT_RATIO: NumberFact = number("repeat_ratio", Ratio);
pub(crate) const MAX_AT_ONCE: NumberFact = number("max_at_once", Count);
pub(crate) const TOP_ENDPOINT_RATIO: NumberFact = number("top_endpoint_ratio", Ratio);
pub(crate) const TOP_ERROR_RATIO: NumberFact = number("top_error_ratio", Ratio);
pub(crate) const TOP_CLIENT_ERROR_RATIO: NumberFact = number("top_client_error_ratio", Ratio);
pub(crate) const TOP_FAILURE_RATIO: NumberFact = number("top_failure_ratio", Ratio);
pub(crate) const PANIC_RATIO: NumberFact = number("panic_ratio", Ratio);
pub(crate) const FAILED_AVG_DURATION: NumberFact = number("failed_avg_duration", Seconds);
pub(crate) const OK_AVG_DURATION: NumberFact = number("ok_avg_duration", Seconds);
pub(crate) const WASTED_TIME: NumberFact = number("wasted_time", Seconds);
pub(crate) const WASTED_DB_TIME: NumberFact = number("wasted_db_time", Seconds);
pub(crate) const WASTED_QUERIES: NumberFact = number("wasted_queries", Count);
pub(crate) const BLOCKING_POLLS: NumberFact = number("blocking_polls", Count);
pub(crate) const BLOCKED_TIME: NumberFact = number("blocked_time", Seconds);
pub(crate) const COMPUTING_RATIO: NumberFact = number("computing_ratio", Ratio);
pub(crate) const BLOCKED_RATIO: NumberFact = number("blocked_ratio", Ratio);
pub(crate) const CPU_WAIT_RATIO: NumberFact = number("cpu_wait_ratio", Ratio);
pub(crate) const BLOCKING_COMPUTING_RATIO: NumberFact = number("blocking_computing_ratio", Ratio);
pub(crate) const BLOCKING_BLOCKED_RATIO: NumberFact = number("blocking_blocked_ratio", Ratio);
pub(crate) const BLOCKING_CPU_WAIT_RATIO: NumberFact = number("blocking_cpu_wait_ratio", Ratio);
pub(crate) const BLOCKED_IN_RATIO: NumberFact = number("blocked_in_ratio", Ratio);
pub(crate) const IN_PLACE_RATIO: NumberFact = number("in_place_ratio", Ratio);
pub(crate) const TOP_BLOCKING_TASK_POLL: NumberFact = number("top_blocking_task_poll", Seconds);
pub(crate) const OTHERS_IN_FLIGHT: NumberFact = number("others_in_flight", Count);
pub(crate) const MAX_OTHERS_IN_FLIGHT: NumberFact = number("max_others_in_flight", Count);
pub(crate) const TOP_WAITING_POLLS: NumberFact = number("top_waiting_polls", Count);
pub(crate) const TOP_BLOCKER_POLL: NumberFact = number("top_blocker_poll", Seconds);
pub(crate) const MAX_SCHEDULING_LAG: NumberFact = number("max_scheduling_lag", Seconds);
pub(crate) const UNTRACKED_LAG_RATIO: NumberFact = number("untracked_lag_ratio", Ratio);
pub(crate) const TRACKED_BUSY_RATIO: NumberFact = number("tracked_busy_ratio", Ratio);
pub(crate) const RUN_QUEUE_RATIO: NumberFact = number("run_queue_ratio", Ratio);
pub(crate) const THROTTLED_RATIO: NumberFact = number("throttled_ratio", Ratio);
pub(crate) const CPU_PRESSURE: NumberFact = number("cpu_pressure", Ratio);
pub(crate) const STEAL_RATIO: NumberFact = number("steal_ratio", Ratio);
pub(crate) const CPUS: NumberFact = number("cpus", Count);
pub(crate) const CPU_LIMIT: NumberFact = number("cpu_limit", Count);
pub(crate) const LONGEST_HOLDER_AVG_HOLD: NumberFact = number("longest_holder_avg_hold", Seconds);
pub(crate) const LONGEST_HOLDER_RATIO: NumberFact = number("longest_holder_ratio", Ratio);
pub(crate) const WORKERS: NumberFact = number("workers", Count);
pub(crate) const THREADS: NumberFact = number("threads", Count);
pub(crate) const RUNNING_QUERIES: NumberFact = number("running_queries", Count);
pub(crate) const OPEN_FDS: NumberFact = number("open_fds", Count);
pub(crate) const MAX_FDS: NumberFact = number("max_fds", Count);
pub(crate) const ALIVE_TASKS: NumberFact = number("alive_tasks", Count);
pub(crate) const ALIVE_TASKS_GROWTH_PER_HOUR: NumberFact = number("alive_tasks_growth_per_hour", Count);
pub(crate) const SOCKET_FDS: NumberFact = number("socket_fds", Count);
pub(crate) const FILE_FDS: NumberFact = number("file_fds", Count);
pub(crate) const PIPE_FDS: NumberFact = number("pipe_fds", Count);
pub(crate) const OTHER_FDS: NumberFact = number("other_fds", Count);
pub(crate) const FDS_GROWTH_PER_HOUR: NumberFact = number("fds_growth_per_hour", Count);
pub(crate) const TIME_TO_FD_LIMIT: NumberFact = number("time_to_fd_limit", Seconds);
pub(crate) const MEMORY_LIMIT: NumberFact = number("memory_limit", Bytes);
pub(crate) const TIME_TO_LIMIT: NumberFact = number("time_to_limit", Seconds);
pub(crate) const TOP_SUSPECT_GROWTH: NumberFact = number("top_suspect_growth", BytesPerHour);
pub(crate) const TOP_SUSPECT_RATIO: NumberFact = number("top_suspect_ratio", Ratio);
pub(crate) const UNATTRIBUTED_RATIO: NumberFact = number("unattributed_ratio", Ratio);
pub(crate) const TOP_HOLDER_MEMORY: NumberFact = number("top_holder_memory", Bytes);
pub(crate) const TOP_HOLDER_RATIO: NumberFact = number("top_holder_ratio", Ratio);

// Of service-level objectives.
pub(crate) const OBJECTIVE: NumberFact = number("objective", Ratio);
pub(crate) const SLO_WINDOW: NumberFact = number("slo_window", Seconds);
pub(crate) const BAD_REQUESTS: NumberFact = number("bad_requests", Count);
pub(crate) const SHORT_WINDOW: NumberFact = number("short_window", Seconds);
pub(crate) const SHORT_BURN_RATE: NumberFact = number("short_burn_rate", Count);
pub(crate) const BUDGET_LEFT: NumberFact = number("budget_left", Ratio);
pub(crate) const BUDGET_ENDS_IN: NumberFact = number("budget_ends_in", Seconds);
pub(crate) const KNOWN_FOR: NumberFact = number("known_for", Seconds);

// What tells durations of one subject apart.
pub(crate) const MIN_DURATION: NumberFact = number("min_duration", Seconds);
pub(crate) const BETWEEN_RATIO: NumberFact = number("between_ratio", Ratio);
pub(crate) const SLOW_RATIO: NumberFact = number("slow_ratio", Ratio);
pub(crate) const OK_P50_DURATION: NumberFact = number("ok_p50_duration", Seconds);
pub(crate) const FAILED_MIN_DURATION: NumberFact = number("failed_min_duration", Seconds);
pub(crate) const FAILED_MAX_DURATION: NumberFact = number("failed_max_duration", Seconds);
pub(crate) const CANCELLED_AVG_DURATION: NumberFact = number("cancelled_avg_duration", Seconds);
pub(crate) const CANCELLED_MIN_DURATION: NumberFact = number("cancelled_min_duration", Seconds);
pub(crate) const CANCELLED_MAX_DURATION: NumberFact = number("cancelled_max_duration", Seconds);
pub(crate) const HEAD_DURATION: NumberFact = number("head_duration", Seconds);
pub(crate) const DB_OVERLAP: NumberFact = number("db_overlap", Count);

// Words.
/// Not of the evidence but of the diagnosis; there only where it is decided.
pub(crate) const CAUSE: WordFact = word("cause");
pub(crate) const TOP_QUERY: WordFact = word("top_query");
pub(crate) const FAILING_QUERY: WordFact = word("failing_query");
pub(crate) const OPERATION: WordFact = word("operation");
pub(crate) const TOP_ENDPOINT: WordFact = word("top_endpoint");
pub(crate) const WORST_ENDPOINT: WordFact = word("worst_endpoint");
pub(crate) const TOP_ERROR: WordFact = word("top_error");
pub(crate) const TOP_CLIENT_ERROR: WordFact = word("top_client_error");
pub(crate) const TOP_FAILURE: WordFact = word("top_failure");
pub(crate) const SLOWNESS: WordFact = word("slowness");
pub(crate) const TOP_UNMATCHED_ERROR: WordFact = word("top_unmatched_error");
pub(crate) const TOP_WAITING: WordFact = word("top_waiting");
pub(crate) const LONGEST_HOLDER: WordFact = word("longest_holder");
pub(crate) const BLOCKED_IN: WordFact = word("blocked_in");
pub(crate) const TOP_BLOCKING_TASK: WordFact = word("top_blocking_task");
pub(crate) const TOP_BLOCKER: WordFact = word("top_blocker");
pub(crate) const TOP_SUSPECT: WordFact = word("top_suspect");
pub(crate) const TOP_HOLDER: WordFact = word("top_holder");
pub(crate) const METHOD: WordFact = word("method");
pub(crate) const ROUTE: WordFact = word("route");
pub(crate) const SUMMARY: WordFact = word("summary");
pub(crate) const DATABASE: WordFact = word("database");
pub(crate) const TASK: WordFact = word("task");
pub(crate) const BAD: WordFact = word("bad");

/// The words that are labels of the subject itself.
const LABELS: &[(WordFact, &str)] = &[
    (METHOD, names::METHOD),
    (ROUTE, names::ROUTE),
    (OPERATION, names::DB_OPERATION),
    (SUMMARY, names::DB_SUMMARY),
    (DATABASE, names::DB_SYSTEM),
    (TASK, names::TASK_NAME),
];

/// Returns the label that a word is; `None` where it is none.
pub(crate) fn label_of_word(word: &str) -> Option<&'static str> {
    LABELS.iter().find(|(fact, _)| fact.name == word).map(|(_, label)| *label)
}

/// Returns a word that is a label of the subject; `None` where it has none, or an empty one.
pub(crate) fn of_subject<'a>(subject: &'a Subject, word: &str) -> Option<&'a Arc<str>> {
    let label = label_of_word(word)?;
    let (_, value) = subject.labels.iter().find(|(name, _)| *name == label)?;
    Some(value).filter(|value| !value.is_empty())
}

/// The values of [`SLOWNESS`], from always down.
pub(crate) const SLOWNESS_WORDS: &[&str] = &["always", "often", "rarely", "once"];

// What is usual by the days before.
pub(crate) const USUAL_GAP: NumberFact = number("usual_gap", Seconds);
pub(crate) const USUAL_RATE: NumberFact = number("usual_rate", PerSecond);
pub(crate) const MISSED: NumberFact = number("missed", Count);
pub(crate) const SILENT_ENDPOINTS: NumberFact = number("silent_endpoints", Count);
pub(crate) const REGULAR_ENDPOINTS: NumberFact = number("regular_endpoints", Count);

// This version of the service beside the one before.
pub(crate) const PREVIOUS_P50_DURATION: NumberFact = number("previous_p50_duration", Seconds);
pub(crate) const VERSION_P50_DURATION: NumberFact = number("version_p50_duration", Seconds);
pub(crate) const PREVIOUS_P95_DURATION: NumberFact = number("previous_p95_duration", Seconds);
pub(crate) const VERSION_P95_DURATION: NumberFact = number("version_p95_duration", Seconds);
pub(crate) const PREVIOUS_ERROR_RATIO: NumberFact = number("previous_error_ratio", Ratio);
pub(crate) const VERSION_ERROR_RATIO: NumberFact = number("version_error_ratio", Ratio);
pub(crate) const PREVIOUS_REQUESTS: NumberFact = number("previous_requests", Count);
pub(crate) const VERSION_REQUESTS: NumberFact = number("version_requests", Count);
pub(crate) const COMPARED_ENDPOINTS: NumberFact = number("compared_endpoints", Count);
pub(crate) const SLOWER_ENDPOINTS: NumberFact = number("slower_endpoints", Count);
pub(crate) const FAILING_ENDPOINTS: NumberFact = number("failing_endpoints", Count);
pub(crate) const PREVIOUS_VERSION: WordFact = word("previous_version");
pub(crate) const PREVIOUS_UNTIL: WordFact = word("previous_until");
pub(crate) const VERSION: WordFact = word("version");
pub(crate) const VERSION_SINCE: WordFact = word("version_since");

/// The numbers of each scope beside its measures, with their meaning.
pub(crate) const NUMBERS: &[(Scope, NumberFact, &str)] = &[
    (Endpoint, REQUESTS, "requests that ended in the window"),
    (Endpoint, USUAL_GAP, "longest time between two requests in the days before"),
    (Endpoint, USUAL_RATE, "requests a second at this time on the days before, in the half hour of `drop_ratio`"),
    (Endpoint, MISSED, "requests that came in as long a time on the days before"),
    (Endpoint, PREVIOUS_P50_DURATION, "median of the requests that succeeded in the version before"),
    (Endpoint, VERSION_P50_DURATION, "the same in this version, after its first ten minutes"),
    (Endpoint, PREVIOUS_P95_DURATION, "95th percentile of the requests that succeeded in the version before"),
    (Endpoint, VERSION_P95_DURATION, "the same in this version, after its first ten minutes"),
    (Endpoint, PREVIOUS_ERROR_RATIO, "share of the requests that failed in the version before"),
    (Endpoint, VERSION_ERROR_RATIO, "the same in this version, after its first ten minutes"),
    (Endpoint, PREVIOUS_REQUESTS, "requests in the version before"),
    (Endpoint, VERSION_REQUESTS, "requests in this version that it is compared by"),
    (Endpoint, TOP_QUERY_TIME_RATIO, "share of the endpoint's time that its most expensive query takes"),
    (Endpoint, TOP_QUERY_CALLS_PER_REQUEST, "calls of that query in one request that issues it"),
    (Endpoint, TOP_QUERY_AVG_DURATION, "mean duration of a call of that query"),
    (Endpoint, TOP_ERROR_RATIO, "share of the errors that are the most frequent one"),
    (Endpoint, TOP_CLIENT_ERROR_RATIO, "share of the 4xx responses that have the most frequent status"),
    (Endpoint, PANIC_RATIO, "share of the errors that are panics"),
    (Endpoint, FAILED_AVG_DURATION, "mean duration of the requests that failed"),
    (Endpoint, OK_AVG_DURATION, "mean duration of the requests that succeeded"),
    (
        Endpoint,
        FAILING_QUERY_RATIO,
        "share of the calls that fail in its requests, of the query that fails there most often",
    ),
    (Endpoint, FAILING_QUERY_CALLS, "number of these calls"),
    (Endpoint, FAILED_MIN_DURATION, "shortest duration of a request that failed"),
    (Endpoint, FAILED_MAX_DURATION, "longest duration of a request that failed"),
    (Endpoint, OK_P50_DURATION, "median duration of the requests that succeeded"),
    (Endpoint, CANCELLED_AVG_DURATION, "mean duration of the requests that were cut short"),
    (Endpoint, CANCELLED_MIN_DURATION, "shortest of them"),
    (Endpoint, CANCELLED_MAX_DURATION, "longest of them"),
    (Endpoint, MIN_DURATION, "shortest duration"),
    (Endpoint, SLOW_RATIO, "share of the requests that took a third of the longest or more"),
    (Endpoint, BETWEEN_RATIO, "share of the requests that were neither slow nor within three times the usual"),
    (Endpoint, HEAD_DURATION, "mean time to the head of a streamed response"),
    (Endpoint, DB_OVERLAP, "queries that ran at once, on average, while any did"),
    (Endpoint, OVER_THRESHOLD_RATIO, "share of the requests that took longer than the threshold"),
    (Endpoint, WASTED_TIME, "time spent on requests whose client disconnected"),
    (Endpoint, WASTED_DB_TIME, "time that those requests spent in queries"),
    (Endpoint, WASTED_QUERIES, "queries that those requests issued"),
    (Endpoint, BLOCKING_POLLS, "polls of 10 ms or longer: each kept a worker from other work"),
    (Endpoint, BLOCKED_TIME, "time of those polls in all"),
    (Endpoint, OTHERS_IN_FLIGHT, "other requests in flight when such a poll ended, on average"),
    (Endpoint, MAX_OTHERS_IN_FLIGHT, "other requests in flight when such a poll ended, at most"),
    (Endpoint, TOP_WAITING_POLLS, "blocking polls at whose end `top_waiting` had requests in flight"),
    (Endpoint, SCHEDULING_LAG, "99th percentile of how late the runtime polled a task that was due, where it blocks"),
    (Endpoint, MAX_SCHEDULING_LAG, "longest such delay"),
    (Endpoint, WORKERS, "worker threads of the runtime"),
    (Endpoint, COMPUTING_RATIO, "share of the time that its polls spent on a CPU"),
    (Endpoint, BLOCKED_RATIO, "share of the time that its polls kept a thread that neither ran nor waited for a CPU"),
    (Endpoint, CPU_WAIT_RATIO, "share of the time that its polls waited for a CPU"),
    (Endpoint, BLOCKING_COMPUTING_RATIO, "share of the time of its blocking polls on a CPU"),
    (Endpoint, BLOCKING_BLOCKED_RATIO, "share of that time in which the thread neither ran nor waited for a CPU"),
    (Endpoint, BLOCKING_CPU_WAIT_RATIO, "share of that time in which the thread waited for a CPU"),
    (Endpoint, BLOCKED_IN_RATIO, "share of the looks at its blocking polls that saw `blocked_in`"),
    (Endpoint, IN_PLACE_RATIO, "share of the time in `block_in_place`, which keeps no worker from other work"),
    (Endpoint, LONGEST_HOLDER_AVG_HOLD, "mean time for which `longest_holder` holds it"),
    (Endpoint, LONGEST_HOLDER_RATIO, "share of all the time that it is held in which `longest_holder` holds it"),
    (Endpoint, RUN_QUEUE_RATIO, "share of the time that the process's threads wanted a CPU in which they had none"),
    (
        Endpoint,
        THROTTLED_RATIO,
        "share of the periods of the CPU quota in which the control group used it up and had to wait",
    ),
    (
        Endpoint,
        CPU_PRESSURE,
        "share of the time in which something in the control group waited for a CPU; else on the machine",
    ),
    (Endpoint, STEAL_RATIO, "share of the machine's CPU time that its hypervisor gave to others"),
    (Query, OVER_THRESHOLD_RATIO, "share of the calls that took longer than the threshold"),
    (Query, MIN_DURATION, "shortest duration"),
    (Query, SLOW_RATIO, "share of the calls that took a third of the longest or more"),
    (Query, BETWEEN_RATIO, "share of the calls that were neither slow nor within three times the usual"),
    (Query, FAILED_AVG_DURATION, "mean duration of the calls that failed"),
    (Query, FAILED_MIN_DURATION, "shortest of them"),
    (Query, FAILED_MAX_DURATION, "longest of them"),
    (Query, OK_AVG_DURATION, "mean duration of the calls that succeeded"),
    (Query, CALLS, "calls that ended in the window"),
    (
        Query,
        REPEAT_RATIO,
        "share of the calls of `worst_endpoint` that were the very same as one of the four before in their request; only statements whose \
         text has no parameters are compared",
    ),
    (Query, MAX_AT_ONCE, "calls that ran at once, at most, of those that took 1 ms or longer"),
    (Query, ENDPOINTS, "endpoints that issue the query"),
    (Query, TOP_ENDPOINT_RATIO, "share of the query's time that `top_endpoint` spends in it"),
    (Task, OVER_THRESHOLD_RATIO, "share of the runs that took longer than the threshold"),
    (Task, MIN_DURATION, "shortest duration"),
    (Task, SLOW_RATIO, "share of the runs that took a third of the longest or more"),
    (Task, BETWEEN_RATIO, "share of the runs that were neither slow nor within three times the usual"),
    (Task, FAILED_MIN_DURATION, "shortest duration of a run that failed"),
    (Task, FAILED_MAX_DURATION, "longest duration of a run that failed"),
    (Task, OK_P50_DURATION, "median duration of the runs that succeeded"),
    (Task, CANCELLED_AVG_DURATION, "mean duration of the runs that were dropped"),
    (Task, CANCELLED_MIN_DURATION, "shortest of them"),
    (Task, CANCELLED_MAX_DURATION, "longest of them"),
    (Task, RUNS, "runs that ended in the window"),
    (Task, USUAL_GAP, "longest time between the ends of two runs in the days before"),
    (Task, USUAL_RATE, "runs a second at this time on the days before, in the half hour of `drop_ratio`"),
    (Task, MISSED, "runs that ended in as long a time on the days before"),
    (Task, TOP_FAILURE_RATIO, "share of the failures that are the most frequent one"),
    (Task, PANIC_RATIO, "share of the failures that are panics"),
    (Task, FAILED_AVG_DURATION, "mean duration of the runs that failed"),
    (Task, OK_AVG_DURATION, "mean duration of the runs that succeeded"),
    (Task, BLOCKING_POLLS, "polls of 10 ms or longer: each kept a worker from other work"),
    (Task, BLOCKED_TIME, "time of those polls in all"),
    (Task, COMPUTING_RATIO, "share of the time that its polls spent on a CPU"),
    (Task, BLOCKED_RATIO, "share of the time that its polls kept a thread that neither ran nor waited for a CPU"),
    (Task, CPU_WAIT_RATIO, "share of the time that its polls waited for a CPU"),
    (Task, BLOCKING_COMPUTING_RATIO, "share of the time of its blocking polls on a CPU"),
    (Task, BLOCKING_BLOCKED_RATIO, "share of that time in which the thread neither ran nor waited for a CPU"),
    (Task, BLOCKING_CPU_WAIT_RATIO, "share of that time in which the thread waited for a CPU"),
    (Task, BLOCKED_IN_RATIO, "share of the looks at its blocking polls that saw `blocked_in`"),
    (Task, IN_PLACE_RATIO, "share of the time in `block_in_place`, which keeps no worker from other work"),
    (Task, RUN_QUEUE_RATIO, "share of the time that the process's threads wanted a CPU in which they had none"),
    (
        Task,
        THROTTLED_RATIO,
        "share of the periods of the CPU quota in which the control group used it up and had to wait",
    ),
    (
        Task,
        CPU_PRESSURE,
        "share of the time in which something in the control group waited for a CPU; else on the machine",
    ),
    (Task, STEAL_RATIO, "share of the machine's CPU time that its hypervisor gave to others"),
    (Process, USUAL_GAP, "longest time between two requests of any endpoint in the days before"),
    (Process, USUAL_RATE, "requests a second at this time on the days before, in the half hour of `drop_ratio`"),
    (Process, MISSED, "requests that came in as long a time on the days before"),
    (Process, SILENT_ENDPOINTS, "endpoints without requests for longer than usual"),
    (Process, REGULAR_ENDPOINTS, "endpoints of which it is known how long is usual"),
    (Process, COMPARED_ENDPOINTS, "endpoints that are compared with the version before"),
    (Process, SLOWER_ENDPOINTS, "those of them that are slower than in the version before by more than chance"),
    (Process, FAILING_ENDPOINTS, "those of them that fail more often than in the version before by more than chance"),
    (Process, PREVIOUS_REQUESTS, "requests of these endpoints in the version before"),
    (Process, VERSION_REQUESTS, "requests in this version that they are compared by"),
    (Process, MEMORY_LIMIT, "memory limit of the control group"),
    (Process, TIME_TO_LIMIT, "time until the memory reaches its limit, if it grows on as it does"),
    (Process, RUNNING_QUERIES, "queries that ran at once, on average"),
    (Process, OPEN_FDS, "open file descriptors"),
    (Process, MAX_FDS, "limit of open file descriptors"),
    (Process, SOCKET_FDS, "open descriptors that lead to a socket"),
    (Process, FILE_FDS, "open descriptors that lead to a file"),
    (Process, PIPE_FDS, "open descriptors that lead to a pipe"),
    (Process, OTHER_FDS, "open descriptors that lead to something else"),
    (
        Process,
        FDS_GROWTH_PER_HOUR,
        "steady growth of the open descriptors over the last hour, by the hour; 0 where they do not grow",
    ),
    (Process, TIME_TO_FD_LIMIT, "time until they reach their limit, if they grow on as they do"),
    (Process, ALIVE_TASKS, "tasks alive in the runtime"),
    (
        Process,
        ALIVE_TASKS_GROWTH_PER_HOUR,
        "their steady growth over the last hour, by the hour; 0 where they do not grow",
    ),
    (Process, THREADS, "threads of the operating system"),
    (Process, TOP_BLOCKER_POLL, "95th percentile of the longest polls of `top_blocker`"),
    (Process, TOP_BLOCKING_TASK_POLL, "95th percentile of the blocking polls of `top_blocking_task`"),
    (Process, TOP_SUSPECT_GROWTH, "memory that the requests of `top_suspect` keep, by the hour"),
    (Process, TOP_SUSPECT_RATIO, "share of the memory gained that the requests of `top_suspect` keep"),
    (Process, UNATTRIBUTED_RATIO, "share of the memory gained that no suspect keeps"),
    (Process, TOP_HOLDER_MEMORY, "memory that the requests of `top_holder` allocated and that is not freed yet"),
    (Process, TOP_HOLDER_RATIO, "share of the resident memory that this is"),
    (Process, MAX_SCHEDULING_LAG, "longest delay of a task that was due"),
    (Process, UNTRACKED_LAG_RATIO, "share of the lag at whose time no request and no tracked task blocked a worker"),
    (
        Process,
        TRACKED_BUSY_RATIO,
        "share of the time of busy workers that is known to pass in polls of requests or tracked tasks",
    ),
    (Process, RUN_QUEUE_RATIO, "share of the time that its threads wanted a CPU in which they had none"),
    (
        Process,
        THROTTLED_RATIO,
        "share of the periods of the CPU quota in which the control group used it up and had to wait",
    ),
    (
        Process,
        CPU_PRESSURE,
        "share of the time in which something in the control group waited for a CPU; else on the machine",
    ),
    (Process, STEAL_RATIO, "share of the machine's CPU time that its hypervisor gave to others"),
    (Process, CPUS, "CPUs that the process may use at a time"),
    (Process, CPU_LIMIT, "CPU quota of the control group, in CPUs"),
    (Process, WORKERS, "worker threads of the runtime"),
    (Slo, OBJECTIVE, "share of the requests that must be good"),
    (Slo, SLO_WINDOW, "time in which the error budget is counted"),
    (Slo, REQUESTS, "requests in the severity's long window, which is `{window}`"),
    (Slo, BAD_REQUESTS, "those of them that were bad"),
    (Slo, SHORT_WINDOW, "the severity's short window"),
    (Slo, SHORT_BURN_RATE, "the burn rate in it"),
    (
        Slo,
        BUDGET_LEFT,
        "share of the error budget that is left, of the requests that are known; below 0 where more is spent",
    ),
    (Slo, BUDGET_ENDS_IN, "time until it is spent, if requests come and fail as in the last hour; none where it lasts"),
    (Slo, KNOWN_FOR, "how far back requests are known, at most the time in which the budget is counted"),
    (Slo, TOP_ENDPOINT_RATIO, "share of the bad requests of the last hour that are those of `top_endpoint`"),
];

/// The words of each scope, with their meaning.
pub(crate) const WORDS: &[(Scope, WordFact, &str)] = &[
    (Endpoint, CAUSE, "kind of the cause, where it is decided"),
    (Query, CAUSE, "kind of the cause, where it is decided"),
    (Task, CAUSE, "kind of the cause, where it is decided"),
    (Process, CAUSE, "kind of the cause, where it is decided"),
    (Endpoint, PREVIOUS_VERSION, "version of the service that this one is compared with"),
    (Endpoint, PREVIOUS_UNTIL, "when that version last wrote what it measured, as RFC 3339"),
    (Endpoint, VERSION, "this version of the service"),
    (Endpoint, VERSION_SINCE, "from when its requests are compared, as RFC 3339: ten minutes after it began"),
    (Endpoint, METHOD, "method of its requests, such as GET"),
    (Endpoint, ROUTE, "its route, such as /users/{id}; none for requests that matched no route"),
    (Endpoint, TOP_QUERY, "query in which the endpoint spends the most time"),
    (Endpoint, TOP_ERROR, "status or kind of error of most of its errors"),
    (Endpoint, TOP_CLIENT_ERROR, "status of most of its 4xx responses"),
    (Endpoint, FAILING_QUERY, "query that fails most often in requests of the endpoint"),
    (Endpoint, TOP_WAITING, "endpoint that most often had requests in flight while this one blocked a worker"),
    (
        Endpoint,
        LONGEST_HOLDER,
        "endpoint or task that holds the lock, permit or connection which the endpoint waits for most, for the most time in all; \
         `track_hold` measures it",
    ),
    (Endpoint, SLOWNESS, "how often a request takes longer than the threshold: once, rarely, often or always"),
    (
        Endpoint,
        BLOCKED_IN,
        "what the thread of a blocking poll was seen in most often, such as `sleep` or `a lock (futex)`",
    ),
    (Query, SLOWNESS, "how often a call takes longer than the threshold: once, rarely, often or always"),
    (Query, OPERATION, "first keyword of the statement, such as SELECT"),
    (Query, SUMMARY, "what it does and to what, such as SELECT orders"),
    (Query, DATABASE, "product of the database, such as postgresql"),
    (Query, TOP_ENDPOINT, "endpoint that spends the most time in the query"),
    (Query, WORST_ENDPOINT, "endpoint that issues the query most often in one request"),
    (Task, SLOWNESS, "how often a run takes longer than the threshold: once, rarely, often or always"),
    (Task, TASK, "name that it is tracked under"),
    (Task, TOP_FAILURE, "outcome of most of its failures"),
    (
        Task,
        BLOCKED_IN,
        "what the thread of a blocking poll was seen in most often, such as `sleep` or `a lock (futex)`",
    ),
    (Process, PREVIOUS_VERSION, "version of the service that this one is compared with"),
    (Process, PREVIOUS_UNTIL, "when that version last wrote what it measured, as RFC 3339"),
    (Process, VERSION, "this version of the service"),
    (Process, VERSION_SINCE, "from when its requests are compared, as RFC 3339: ten minutes after it began"),
    (Process, TOP_BLOCKING_TASK, "tracked task with the most time in polls of 10 ms or longer"),
    (Process, TOP_BLOCKER, "endpoint with the longest polls, by their 95th percentile"),
    (Process, TOP_UNMATCHED_ERROR, "status or kind of error of most failures of requests that matched no route"),
    (Process, TOP_SUSPECT, "endpoint whose requests keep the most of the memory gained"),
    (Process, TOP_HOLDER, "endpoint whose requests hold the most memory"),
    (Slo, BAD, "what is bad: `failed`, or `slower than 500ms`"),
    (Slo, METHOD, "method of an objective for each endpoint"),
    (Slo, ROUTE, "its route"),
    (Slo, TOP_ENDPOINT, "endpoint with the most bad requests in the last hour"),
];
