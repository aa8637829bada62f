//! Every metric name, label, unit, help text and bucket edge.
//!
//! Nothing else in the crate spells one. The names are OpenTelemetry's semantic conventions in their Prometheus form
//! (dots become underscores, base units, `_total` on counters), so that existing dashboards work.

use std::time::Duration;

#[cfg(test)]
mod conventions_tests;
#[cfg(feature = "schema")]
mod questions;
#[cfg(feature = "schema")]
mod reference;
mod shown;

#[cfg(feature = "schema")]
pub use reference::metrics_reference_markdown;
pub(crate) use shown::{LONGEST, shown, tail};

/// What kind of instrument a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// How finely the windows keep a histogram, beyond its exposed buckets. The edges are those of Prometheus's native histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Resolution {
    /// Durations whose percentiles are read: within 5 % from 8 µs to 100 s, within 20 % from 1 µs; native schema 3.
    Fine,
    /// Durations of which only what is long is read: percentiles within 5 % from 1 ms to 10 s; native schema 3.
    Long,
    /// Other durations: two buckets for each doubling from 8 µs to 64 s; native schema 1.
    Medium,
    /// Bytes: a bucket for each doubling from 64 B to 512 MiB; native schema 0.
    Sizes,
    /// Small whole numbers; no native histogram.
    Counts,
    /// Anything that a host records: percentiles within 5 % from 0.000125 to 1,000,000,000; native schema 3.
    General,
}

/// One metric of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// Name as Prometheus sees it.
    pub(crate) name: &'static str,
    /// Instrument.
    pub(crate) kind: Kind,
    /// `# HELP` text.
    pub(crate) help: &'static str,
    /// Upper edges of the exposed buckets; empty unless a histogram.
    pub(crate) buckets: &'static [f64],
    /// Buckets of the windows.
    pub(crate) resolution: Resolution,
    /// Names of the labels of its series.
    pub(crate) labels: &'static [&'static str],
    /// Whether it counts nanoseconds and is exposed in seconds: the facade's counters are integers.
    pub(crate) nanos: bool,
    /// When it exists; empty where it always does.
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "read by the reference only"))]
    pub(crate) condition: &'static str,
}

const fn of_kind(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, help, buckets: &[], resolution: Resolution::General, labels: &[], nanos: false, condition: "" }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    of_kind(name, Kind::Counter, help)
}

/// A total of seconds. The counters of the facade are integers, so it is written as a gauge and exposed as the counter it
/// is.
const fn counter_seconds(name: &'static str, help: &'static str) -> Metric {
    of_kind(name, Kind::Counter, help)
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    of_kind(name, Kind::Gauge, help)
}

const fn histogram(name: &'static str, help: &'static str, buckets: &'static [f64], resolution: Resolution) -> Metric {
    Metric { buckets, resolution, ..of_kind(name, Kind::Histogram, help) }
}

impl Metric {
    const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// Exposes nanoseconds as seconds.
    const fn in_nanos(self) -> Self {
        Self { nanos: true, ..self }
    }

    /// Says when the metric exists, where it does not always.
    const fn exists(self, condition: &'static str) -> Self {
        Self { condition, ..self }
    }
}

/// Exposed edges of every duration, in seconds: OpenTelemetry's advice for `http.server.request.duration` plus every
/// default threshold of the brief (0.1, 0.5, 1, 2, 5 s).
pub(crate) const DURATION_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];

/// Exposed edges of durations of a database and its pools, in seconds: OpenTelemetry's advice for
/// `db.client.operation.duration`, which the pools' metrics follow too, plus the default rules' thresholds for queries (0.1, 0.25,
/// 1 s).
pub(crate) const DB_DURATION_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// Exposed edges of the durations of streams, in seconds: from one second to a day.
pub(crate) const STREAM_BUCKETS: &[f64] = &[1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

/// Exposed edges of body sizes, in bytes.
pub(crate) const SIZE_BUCKETS: &[f64] =
    &[0.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

/// Exposed edges of counts per request (queries).
pub(crate) const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Exposed edges of a host's own histograms, whose unit is unknown: decades in three steps.
pub(crate) const GENERAL_BUCKETS: &[f64] = &[
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    100_000.0,
    1_000_000.0,
];

/// Duration of server requests, to the last byte of the response body.
pub(crate) const HTTP_DURATION: Metric = histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests, to the last byte of the response body.",
    DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[METHOD, ROUTE, STATUS, RPC_STATUS, ERROR_TYPE, SCHEME]);
/// Duration of gRPC calls. The name is that of OpenTelemetry's stable conventions, which replaced `rpc.server.duration` and its
/// milliseconds.
pub(crate) const RPC_DURATION: Metric = histogram(
    "rpc_server_call_duration_seconds",
    "Duration of gRPC calls, to their status; the same calls are HTTP requests too.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[RPC_SYSTEM, RPC_METHOD, RPC_STATUS, ERROR_TYPE])
.exists("once there was a gRPC call");
/// Requests being served.
pub(crate) const HTTP_ACTIVE: Metric =
    gauge("http_server_active_requests", "Number of HTTP server requests in flight.").labels(&[METHOD, SCHEME]);
/// Open streams.
pub(crate) const HTTP_OPEN_STREAMS: Metric = gauge(
    "pinchpoint_open_streams",
    "Event streams, and upgraded connections whose handler is wrapped in `upgraded`, that are open.",
)
.labels(&[METHOD, ROUTE])
.exists("once a route had one");
/// How long streams were open.
pub(crate) const STREAM_DURATION: Metric = histogram(
    "pinchpoint_stream_duration_seconds",
    "How long event streams, and upgraded connections whose handler is wrapped in `upgraded`, were open that are over.",
    STREAM_BUCKETS,
    Resolution::General,
)
.labels(&[METHOD, ROUTE])
.exists("once a route had one");
/// Messages of event streams and upgraded connections.
pub(crate) const STREAM_MESSAGES: Metric = counter(
    "pinchpoint_stream_messages_total",
    "Messages of sockets wrapped in `track_messages`, by direction, and frames that event streams have sent, without comments that \
     keep the connection alive; axum sends each event as one.",
)
.labels(&[METHOD, ROUTE, DIRECTION])
.exists("once a route had a tracked socket, or sent an event");
/// Request body sizes.
pub(crate) const HTTP_REQUEST_SIZE: Metric = histogram(
    "http_server_request_body_size_bytes",
    "Size of HTTP server request bodies, as far as they were received; what Content-Length announces is not counted.",
    SIZE_BUCKETS,
    Resolution::Sizes,
)
.labels(&[METHOD, ROUTE, SCHEME])
.exists("where the body is axum 0.8's");
/// Response body sizes.
pub(crate) const HTTP_RESPONSE_SIZE: Metric = histogram(
    "http_server_response_body_size_bytes",
    "Size of HTTP server response bodies, as far as they were sent; event streams and upgraded connections are not counted.",
    SIZE_BUCKETS,
    Resolution::Sizes,
).labels(&[METHOD, ROUTE, SCHEME]);
/// Time inside poll.
pub(crate) const HTTP_BUSY: Metric = histogram(
    "pinchpoint_request_busy_seconds",
    "Time a request spent inside poll: for so long it kept a runtime worker from other work.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[METHOD, ROUTE]);
/// Longest single poll.
pub(crate) const HTTP_LONGEST_POLL: Metric = histogram(
    "pinchpoint_request_longest_poll_seconds",
    "Longest single poll of a request: how long it blocked a runtime worker at a stretch.",
    DURATION_BUCKETS,
    Resolution::Long,
)
.labels(&[METHOD, ROUTE]);
/// Time to the head of streamed responses.
pub(crate) const HTTP_HEAD: Metric = histogram(
    "pinchpoint_response_head_seconds",
    "Time to the response head, of responses with a streamed body only.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[METHOD, ROUTE])
.exists("once a response was streamed");
/// Queries per request.
pub(crate) const HTTP_DB_QUERIES: Metric = histogram(
    "pinchpoint_request_db_queries",
    "Database queries issued by a request, of requests that issued any.",
    COUNT_BUCKETS,
    Resolution::Counts,
)
.labels(&[METHOD, ROUTE])
.exists("once a request issued a query");
/// Database time per request.
pub(crate) const HTTP_DB_SECONDS: Metric = histogram(
    "pinchpoint_request_db_seconds",
    "Time a request spent in database queries, of requests that issued any; queries at the same time count once.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[METHOD, ROUTE])
.exists("once a request issued a query");
/// Bytes allocated per request.
pub(crate) const HTTP_ALLOCATED: Metric = histogram(
    "pinchpoint_request_allocated_bytes",
    "Bytes that a request allocated while it was polled; only where the counting allocator is installed.",
    SIZE_BUCKETS,
    Resolution::Sizes,
)
.labels(&[METHOD, ROUTE])
.exists("feature `alloc`, with the counting allocator installed");
/// Memory of requests that is not freed yet.
pub(crate) const HTTP_LIVE_BYTES: Metric = gauge(
    "pinchpoint_request_live_bytes",
    "Bytes that requests allocated and that are not freed yet; only where the counting allocator is installed.",
)
.labels(&[METHOD, ROUTE])
.exists("feature `alloc`, with the counting allocator installed");
/// Duration of database operations.
pub(crate) const DB_DURATION: Metric = histogram(
    "db_client_operation_duration_seconds",
    "Duration of database client operations.",
    DB_DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[
    DB_SYSTEM,
    DB_NAMESPACE,
    SERVER_ADDRESS,
    SERVER_PORT,
    DB_OPERATION,
    DB_SUMMARY,
    DB_QUERY_ID,
    ERROR_TYPE,
    DB_STATUS,
])
.exists("once a query was tracked");
/// The text of each statement, which the other series name by its id.
pub(crate) const DB_QUERY_INFO: Metric = gauge(
    "db_query_info",
    "1, with the text of a statement: its fingerprint, which has no literals. What is measured of a statement has only its id.",
)
.labels(&[DB_QUERY_ID, DB_QUERY_TEXT])
.exists("once a query was tracked");
/// Duration of tasks.
pub(crate) const TASK_DURATION: Metric = histogram(
    "pinchpoint_task_duration_seconds",
    "Duration of tracked asynchronous tasks.",
    DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[TASK_NAME, OUTCOME])
.exists("once a task was tracked");
/// Tasks running.
pub(crate) const TASK_ACTIVE: Metric = gauge("pinchpoint_task_active", "Number of tracked asynchronous tasks running.")
    .labels(&[TASK_NAME])
    .exists("once a task was tracked");

/// Age of the oldest run.
pub(crate) const TASK_OLDEST_ACTIVE: Metric = gauge(
    "pinchpoint_task_oldest_active_seconds",
    "How long the oldest tracked task in progress has been running, as of the last evaluation; 0 where none is.",
)
.labels(&[TASK_NAME])
.exists("once a task was tracked");

/// Duration of calls to other services.
pub(crate) const CALL_DURATION: Metric = histogram(
    "http_client_request_duration_seconds",
    "Duration of calls to other services over HTTP, to the last byte of the answer where its body is followed.",
    DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[METHOD, SERVER_ADDRESS, SERVER_PORT, STATUS, ERROR_TYPE])
.exists("once a call was tracked");
/// Duration of waits.
pub(crate) const WAIT_DURATION: Metric = histogram(
    "pinchpoint_wait_duration_seconds",
    "Duration of tracked waits, such as for a lock, by kind and name.",
    DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[WAIT_KIND, WAIT_NAME, ERROR_TYPE])
.exists("once a wait was tracked");
/// Waits in progress.
pub(crate) const WAITING_NOW: Metric = gauge("pinchpoint_waiting", "Number of tracked waits in progress.")
    .labels(&[WAIT_KIND, WAIT_NAME])
    .exists("once a wait was tracked");
/// How long what was waited for was held.
pub(crate) const HOLD_DURATION: Metric = histogram(
    "pinchpoint_hold_duration_seconds",
    "For how long what was waited for was held, such as a lock.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[WAIT_KIND, WAIT_NAME])
.exists("once a hold was tracked");
/// Connections of a pool.
pub(crate) const POOL_COUNT: Metric =
    gauge("db_client_connection_count", "Number of connections of the pool, by state, as of the last sampling.")
        .labels(&[POOL_NAME, POOL_STATE])
        .exists("once a pool is watched");
/// Limit of a pool.
pub(crate) const POOL_MAX: Metric =
    gauge("db_client_connection_max", "Number of connections that the pool may have open.")
        .labels(&[POOL_NAME])
        .exists("once a pool is watched that says it");
/// Waits for a connection.
pub(crate) const POOL_WAIT: Metric = histogram(
    "db_client_connection_wait_time_seconds",
    "Time it took to get a connection from the pool.",
    DB_DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[POOL_NAME, ERROR_TYPE])
.exists("once a wait for a connection was tracked");
/// Waits for a connection in progress.
pub(crate) const POOL_PENDING: Metric = gauge(
    "db_client_connection_pending_requests",
    "Number of waits for a connection of the pool: tracked ones, or else what the watched pool says.",
)
.labels(&[POOL_NAME])
.exists("once a wait for a connection was tracked, or a pool is watched that says it");
/// How long connections were held.
pub(crate) const POOL_USE: Metric = histogram(
    "db_client_connection_use_time_seconds",
    "Time between getting a connection and giving it back to the pool.",
    DB_DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[POOL_NAME])
.exists("once a hold of a connection was tracked");

/// Requests by outcome, counted from their durations.
pub(crate) const REQUESTS: Metric = counter(
    "pinchpoint_requests_total",
    "HTTP server requests by outcome; each outcome is there from the first request of a route, at 0.",
)
.labels(&[METHOD, ROUTE, OUTCOME])
.exists("once a route had a request");
/// Queries by outcome, counted from their durations.
pub(crate) const QUERIES: Metric = counter(
    "pinchpoint_queries_total",
    "Database queries by outcome; each outcome is there from the first call of a query, at 0.",
)
.labels(&[DB_QUERY_ID, OUTCOME])
.exists("once a query was tracked");
/// Runs of tasks by outcome, counted from their durations.
pub(crate) const TASK_RUNS: Metric = counter(
    "pinchpoint_task_runs_total",
    "Runs of tracked tasks by outcome; each outcome is there from the first run of a task, at 0.",
)
.labels(&[TASK_NAME, OUTCOME])
.exists("once a task was tracked");

/// A counter for each outcome, made from the durations when they are exposed, so that it costs a request nothing. An alert
/// needs the 0 before the first failure: to Prometheus, a series that begins at 60 has not grown.
pub(crate) struct Tally {
    pub(crate) metric: &'static Metric,
    /// The durations that it counts.
    pub(crate) of: &'static Metric,
    /// Every value of [`OUTCOME`].
    pub(crate) outcomes: &'static [&'static str],
}

pub(crate) const TALLIES: &[Tally] = &[
    Tally { metric: &REQUESTS, of: &HTTP_DURATION, outcomes: &[OK, CLIENT_ERROR, ERROR, CANCELLED] },
    Tally { metric: &QUERIES, of: &DB_DURATION, outcomes: &[OK, ERROR, CANCELLED] },
    Tally { metric: &TASK_RUNS, of: &TASK_DURATION, outcomes: &[OK, ERROR, CANCELLED] },
];

/// Calls of a statement by endpoint.
pub(crate) const ENDPOINT_QUERY_CALLS: Metric = counter(
    "pinchpoint_endpoint_query_calls_total",
    "Calls of a statement in requests of an endpoint; past the limit of pairs the statements that take little time are one, `other`.",
)
.labels(&[METHOD, ROUTE, DB_QUERY_ID])
.exists("once a request issued a query");
/// Time of a statement by endpoint.
pub(crate) const ENDPOINT_QUERY_SECONDS: Metric =
    counter("pinchpoint_endpoint_query_seconds_total", "Time of these calls; calls at the same time count each.")
        .in_nanos()
        .labels(&[METHOD, ROUTE, DB_QUERY_ID])
        .exists("once a request issued a query");
/// Requests with a statement by endpoint.
pub(crate) const ENDPOINT_QUERY_REQUESTS: Metric = counter(
    "pinchpoint_endpoint_query_requests_total",
    "Requests of an endpoint that had at least one of these calls.",
)
.labels(&[METHOD, ROUTE, DB_QUERY_ID])
.exists("once a request issued a query");

/// A counter of pairs of an endpoint and a statement, made from one of the windows when it is exposed.
pub(crate) struct Folded {
    pub(crate) metric: &'static Metric,
    pub(crate) of: &'static Metric,
}

pub(crate) const FOLDED: &[Folded] = &[
    Folded { metric: &ENDPOINT_QUERY_CALLS, of: &ENDPOINT_USE_CALLS },
    Folded { metric: &ENDPOINT_QUERY_SECONDS, of: &ENDPOINT_USE_NANOS },
    Folded { metric: &ENDPOINT_QUERY_REQUESTS, of: &ENDPOINT_USE_REQUESTS },
];

/// Resident memory.
pub(crate) const PROCESS_RESIDENT: Metric = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
/// Memory that the process owns.
pub(crate) const PROCESS_OWNED: Metric = gauge(
    "pinchpoint_owned_memory_bytes",
    "Resident memory that is the process's own: allocated or shared, without the pages of files that it has mapped.",
)
.exists("Linux");
/// Memory that the kernel cannot take back.
pub(crate) const MEMORY_WORKING_SET: Metric = gauge(
    "pinchpoint_memory_working_set_bytes",
    "Memory of the control group with the limit, without pages of files, which the kernel takes back before it kills.",
)
.exists("Linux, where the control group has a limit");
/// Virtual memory.
pub(crate) const PROCESS_VIRTUAL: Metric = gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
/// Limit of virtual memory.
pub(crate) const PROCESS_VIRTUAL_MAX: Metric = gauge(
    "process_virtual_memory_max_bytes",
    "Maximum amount of virtual memory available in bytes; 2^64 - 1 where there is no limit.",
)
.exists("Linux");
/// Memory limit of the control group, where there is one.
pub(crate) const PROCESS_MEMORY_LIMIT: Metric =
    gauge("pinchpoint_memory_limit_bytes", "Memory limit of the process's control group; absent where there is none.")
        .exists("Linux, where the control group has a limit; `+Inf` after it was taken away");
/// CPU time.
pub(crate) const PROCESS_CPU: Metric =
    counter_seconds("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
/// Time that the threads waited for a CPU.
pub(crate) const PROCESS_CPU_WAITING: Metric = counter_seconds(
    "pinchpoint_cpu_waiting_seconds_total",
    "Time that the process's threads were ready to run and had no CPU, summed over the threads.",
)
.exists("Linux");
/// CPUs that the process may use.
pub(crate) const CPUS: Metric = gauge(
    "pinchpoint_cpus",
    "CPUs that the process may use at a time: those it may run on, or its quota if that is less.",
);
/// Quota of the control group.
pub(crate) const CPU_LIMIT: Metric =
    gauge("pinchpoint_cpu_limit", "CPU quota of the process's control group, in CPUs; absent where there is none.")
        .exists("Linux, where the control group has a quota; `+Inf` after it was taken away");
/// Periods of the quota.
pub(crate) const CPU_PERIODS: Metric =
    counter("pinchpoint_cpu_periods_total", "Periods of the CPU quota in which the control group ran.")
        .exists("Linux, where the control group has a quota");
/// Periods in which the group was throttled.
pub(crate) const CPU_THROTTLED_PERIODS: Metric = counter(
    "pinchpoint_cpu_throttled_periods_total",
    "Periods of the CPU quota in which the control group used it up and was throttled.",
)
.exists("Linux, where the control group has a quota");
/// Time that the group was throttled.
pub(crate) const CPU_THROTTLED: Metric = counter_seconds(
    "pinchpoint_cpu_throttled_seconds_total",
    "Time that the control group was throttled, summed over the CPUs.",
)
.exists("Linux, where the control group has a quota");
/// Pressure on the CPU.
pub(crate) const CPU_PRESSURE: Metric = counter_seconds(
    "pinchpoint_cpu_pressure_seconds_total",
    "Time in which at least one task waited for a CPU, of the whole machine or of the process's control group.",
)
.labels(&[KIND])
.exists("Linux with pressure stall information; `group` with cgroup version 2");
/// What the machine's CPUs did.
pub(crate) const SYSTEM_CPU_TIME: Metric = counter_seconds(
    "system_cpu_time_seconds_total",
    "Time that the machine's CPUs spent in each mode, summed over the CPUs.",
)
.labels(&[CPU_MODE])
.exists("Linux");
/// Open file descriptors.
pub(crate) const PROCESS_OPEN_FDS: Metric = gauge("process_open_fds", "Number of open file descriptors.");
/// Open file descriptors by kind.
pub(crate) const OPEN_FDS: Metric = gauge(
    "pinchpoint_open_fds",
    "Open file descriptors by what they lead to, looked at twice a minute; of more than a thousand, estimated from some.",
)
.labels(&[KIND])
.exists("Linux");
/// File descriptor limit.
pub(crate) const PROCESS_MAX_FDS: Metric =
    gauge("process_max_fds", "Maximum number of open file descriptors.").exists("Linux, macOS");
/// Threads.
pub(crate) const PROCESS_THREADS: Metric =
    gauge("process_threads", "Number of operating system threads.").exists("Linux");
/// Start time.
pub(crate) const PROCESS_START: Metric =
    gauge("process_start_time_seconds", "Start time of the process since the Unix epoch in seconds.");

/// Runtime workers.
pub(crate) const TOKIO_WORKERS: Metric =
    gauge("pinchpoint_tokio_workers", "Number of worker threads of the tokio runtime.");
/// Alive tasks.
pub(crate) const TOKIO_ALIVE_TASKS: Metric =
    gauge("pinchpoint_tokio_alive_tasks", "Number of tasks alive in the tokio runtime.");
/// Global queue.
pub(crate) const TOKIO_GLOBAL_QUEUE: Metric =
    gauge("tokio_global_queue_depth", "Number of tasks waiting in the tokio runtime's global queue.");
/// Busy share of the workers.
pub(crate) const TOKIO_WORKER_BUSY: Metric = counter_seconds(
    "pinchpoint_tokio_worker_busy_seconds_total",
    "Time the tokio runtime's workers were busy, summed over the workers.",
)
.exists("processors with 64-bit atomics");
/// Parks of the workers.
pub(crate) const TOKIO_WORKER_PARKS: Metric = counter(
    "pinchpoint_tokio_worker_parks_total",
    "Times a worker of the tokio runtime parked, summed over the workers.",
)
.exists("processors with 64-bit atomics");
/// Workers that wait for work.
pub(crate) const TOKIO_WORKERS_PARKED: Metric = gauge(
    "pinchpoint_tokio_workers_parked",
    "Number of worker threads of the tokio runtime that had nothing to do when last looked at.",
)
.exists("processors with 64-bit atomics");
/// Scheduling lag.
pub(crate) const TOKIO_SCHEDULING_LAG: Metric = histogram(
    "pinchpoint_tokio_scheduling_lag_seconds",
    "How much later than due a timer task of the monitor was polled; every other task waits as long.",
    DURATION_BUCKETS,
    Resolution::Fine,
);

/// Firing bottlenecks.
pub(crate) const BOTTLENECK: Metric = gauge(
    "pinchpoint_bottleneck",
    "1 while a bottleneck is firing; the number of firing ones that share a series where the limit of series was reached.",
)
.labels(&[RULE, SEVERITY, SUBJECT])
.exists("once a bottleneck was found");
/// Thresholds of the rules.
pub(crate) const RULE_THRESHOLD: Metric = gauge(
    "pinchpoint_rule_threshold",
    "Threshold of a rule in force, in the base unit of what it measures, without the overrides for single subjects; NaN for \
     some minutes after it was taken away.",
)
.labels(&[RULE, SEVERITY]);
/// Service-level objectives.
pub(crate) const SLO_OBJECTIVE: Metric =
    gauge("pinchpoint_slo_objective_ratio", "Share of the requests that must be good by a service-level objective.")
        .labels(&[RULE, SUBJECT])
        .exists("once an objective had a request; of the 10 subjects of an objective with the least budget left");
/// Their error budgets.
pub(crate) const SLO_BUDGET_LEFT: Metric = gauge(
    "pinchpoint_slo_budget_left_ratio",
    "Share of an error budget that is left, of the requests that are known; below 0 where more is spent.",
)
.labels(&[RULE, SUBJECT])
.exists("once an objective had a request; of the 10 subjects of an objective with the least budget left");
/// How much of their windows is known.
pub(crate) const SLO_KNOWN: Metric = gauge(
    "pinchpoint_slo_known_seconds",
    "How far back the requests of an objective are known, at most its window: less after a start without a history file.",
)
.labels(&[RULE, SUBJECT])
.exists("once an objective had a request; of the 10 subjects of an objective with the least budget left");
/// When they are spent.
pub(crate) const SLO_BUDGET_ENDS_IN: Metric = gauge(
    "pinchpoint_slo_budget_ends_in_seconds",
    "When an error budget is spent if requests come and fail as in the last hour: 0 where it is, and NaN for some minutes after it was no \
     longer to be spent within the objective's window.",
)
.labels(&[RULE, SUBJECT])
.exists("where an objective's budget is spent within its window; of the 10 subjects of an objective with the least budget left");
/// How fast they are spent.
pub(crate) const SLO_BURN_RATE: Metric = gauge(
    "pinchpoint_slo_burn_rate",
    "How many times as fast as its objective allows an error budget is spent, by window; NaN for some minutes after there were no \
     requests in the window.",
)
.labels(&[RULE, SUBJECT, WINDOW])
.exists("once an objective had a request; of the 10 subjects of an objective with the least budget left");
/// What the leak detector says.
pub(crate) const MEMORY_GROWTH: Metric = gauge(
    "pinchpoint_memory_growth_bytes_per_hour",
    "Growth of the process's memory, or of what one route keeps, that is consistent with a leak; 0 where there is none.",
)
.exists("once the detector has data enough");
/// What the trends say.
pub(crate) const TREND: Metric = gauge(
    "pinchpoint_trend",
    "Direction of what was measured in the last 24 hours, judged every five minutes: 1 gets worse, 0 stable, -1 gets better; NaN \
     for some minutes after there were too few data.",
)
.labels(&[SUBJECT, MEASURE])
.exists("once there are data enough; of the 50 endpoints that get worse or take the most time");
/// This version of the service beside the one before.
pub(crate) const VERSION_SLOWDOWN: Metric = gauge(
    "pinchpoint_version_slowdown_ratio",
    "By how much at least half of the endpoints are slower at least than in the version of the service before, as a share of their \
     durations there; 0 where fewer are slower by more than chance.",
)
.exists(COMPARED);
/// And its failures.
pub(crate) const VERSION_ERROR_RISE: Metric = gauge(
    "pinchpoint_version_error_rise_ratio",
    "By how much the share of the requests that fail rose at least at half of the endpoints or more since the version before; 0 where \
     it rose at fewer by more than chance.",
)
.exists(COMPARED);
/// What the two rest on.
pub(crate) const VERSION_REQUESTS: Metric =
    gauge("pinchpoint_version_compared_requests", "Requests that these two rest on: of the version that had fewer.")
        .exists(COMPARED);
/// An endpoint in this version beside the one before.
pub(crate) const ENDPOINT_VERSION_SLOWDOWN: Metric = gauge(
    "pinchpoint_endpoint_version_slowdown_ratio",
    "By how much an endpoint is slower at least than in the version of the service before, at the median or the 95th percentile, as a \
     share of its duration there; NaN for some minutes after it was.",
)
.labels(&[METHOD, ROUTE])
.exists(ENDPOINTS_COMPARED);
/// And its failures.
pub(crate) const ENDPOINT_VERSION_ERROR_RISE: Metric = gauge(
    "pinchpoint_endpoint_version_error_rise_ratio",
    "By how much the share of an endpoint's requests that fail rose at least since the version before; NaN for some minutes after it had.",
)
.labels(&[METHOD, ROUTE])
.exists(ENDPOINTS_COMPARED);
/// What the two rest on.
pub(crate) const ENDPOINT_VERSION_REQUESTS: Metric = gauge(
    "pinchpoint_endpoint_version_compared_requests",
    "Requests that these two rest on: of the version in which the endpoint had fewer.",
)
.labels(&[METHOD, ROUTE])
.exists(ENDPOINTS_COMPARED);
const COMPARED: &str = "with the feature `archive`, once the version before is compared with";
const ENDPOINTS_COMPARED: &str = "once the version before is compared with; of the 50 endpoints that are slower by the most and the 50 whose failures rose by the most, both beyond chance";
/// Cost of the evaluation.
pub(crate) const RULE_EVALUATION: Metric = histogram(
    "pinchpoint_rule_evaluation_seconds",
    "Duration of one tick: snapshot, windows and the evaluation of every rule.",
    DURATION_BUCKETS,
    Resolution::Medium,
);
/// Reloads of the rule files.
pub(crate) const RULES_RELOAD: Metric =
    counter("pinchpoint_rules_reload_total", "Reloads of the rule files, by outcome.")
        .labels(&[OUTCOME])
        .exists("where the rules come from files");
/// Whether the rule files are in force.
pub(crate) const RULES_RELOAD_SUCCESSFUL: Metric = gauge(
    "pinchpoint_rules_last_reload_successful",
    "1 while the rule files as they are now are in force, 0 where they are wrong.",
)
.exists("where the rules come from files");
/// When rules came into force.
pub(crate) const RULES_RELOAD_TIMESTAMP: Metric = gauge(
    "pinchpoint_rules_last_reload_timestamp_seconds",
    "When the rules in force were loaded, in seconds since 1970.",
)
.exists("where the rules come from files");
/// Work of the monitor that has not come back.
pub(crate) const WORK_PENDING: Metric = gauge(
    "pinchpoint_work_pending_seconds",
    "For how long a read of the rule files (`rules`), a read of the machine (`sampling`) or a write of the history file \
     (`history`) has been under way; more than a moment means that a file system does not answer.",
)
.labels(&[WORK]);
/// Series that were folded into `other`.
pub(crate) const SERIES_DROPPED: Metric = counter(
    "pinchpoint_series_dropped_total",
    "Times a label set was refused because of a limit such as max_series; its values count under \"other\".",
);
/// Alerts that were sent, or were not.
pub(crate) const NOTIFICATIONS: Metric = counter(
    "pinchpoint_notifications_total",
    "Notifications by receiver and outcome: `ok` arrived, `error` failed once and is tried again, `rejected` was refused for good, \
     `dropped` was never sent. Each outcome is there from the start, at 0.",
)
.labels(&[RECEIVER, OUTCOME])
.exists("feature `deliver`, with a receiver of alerts");
/// Failures of the history file.
pub(crate) const ARCHIVE_ERRORS: Metric = counter(
    "pinchpoint_archive_errors_total",
    "Times the history file could not be opened or written, by kind of failure.",
)
.labels(&[ERROR_TYPE])
.exists("feature `archive`, with a history file");
/// What damage took from the history file.
pub(crate) const ARCHIVE_LOST: Metric = counter(
    "pinchpoint_archive_lost_entries_total",
    "Entries of the history file that could not be read and were dropped.",
)
.exists("feature `archive`, with a history file");
/// History files that were too damaged to be read at all.
pub(crate) const ARCHIVE_SET_ASIDE: Metric =
    counter("pinchpoint_archive_set_aside_total", "Times a broken history file was renamed and a new one begun.")
        .exists("feature `archive`, with a history file");
/// Build information.
pub(crate) const BUILD_INFO: Metric =
    gauge("pinchpoint_build_info", "1, with the monitor's version.").labels(&[VERSION]);

/// The service itself.
pub(crate) const TARGET_INFO: Metric =
    gauge("target_info", "1, with the name, the version and the instance of the service.")
        .labels(&[SERVICE_NAME, SERVICE_VERSION, SERVICE_INSTANCE])
        .exists("where the service has a name: from `service`, settings or OpenTelemetry's variables");

/// Window-only series: which endpoint uses which query, task, wait or service. Read by the rules and the evidence, and exposed of
/// the largest pairs with statements alone ([`FOLDED`]): routes times names is a cardinality that no Prometheus should pay for.
pub(crate) const ENDPOINT_USE_CALLS: Metric = counter("pinchpoint_endpoint_use_calls", "");
/// Window-only: nanoseconds spent by an endpoint in a use; those of uses at the same time count for each.
pub(crate) const ENDPOINT_USE_NANOS: Metric = counter("pinchpoint_endpoint_use_nanoseconds", "");
/// Window-only: nanoseconds of these in which nothing else of the request ran.
pub(crate) const ENDPOINT_USE_ALONE_NANOS: Metric = counter("pinchpoint_endpoint_use_alone_nanoseconds", "");
/// Window-only: requests of an endpoint that had a use at least once.
pub(crate) const ENDPOINT_USE_REQUESTS: Metric = counter("pinchpoint_endpoint_use_requests", "");
/// Window-only: calls that failed.
pub(crate) const ENDPOINT_USE_FAILED: Metric = counter("pinchpoint_endpoint_use_failed", "");
/// Window-only: calls of a query in one request that were the very same as one of the four before.
pub(crate) const ENDPOINT_USE_REPEATS: Metric = counter("pinchpoint_endpoint_use_repeats", "");
/// Window-only: nanoseconds that an endpoint's requests held what they had waited for.
pub(crate) const ENDPOINT_USE_HELD_NANOS: Metric = counter("pinchpoint_endpoint_use_held_nanoseconds", "");
/// Window-only: how often they held it.
pub(crate) const ENDPOINT_USE_HOLDS: Metric = counter("pinchpoint_endpoint_use_holds", "");
/// Window-only: how many calls of a use ran at once in one request, of requests with more than one at once.
pub(crate) const ENDPOINT_USE_AT_ONCE: Metric =
    histogram("pinchpoint_endpoint_use_at_once", "", COUNT_BUCKETS, Resolution::Counts);
/// Window-only: number of the place in the host's code that a use was last seen at.
pub(crate) const ENDPOINT_USE_PLACE: Metric = gauge("pinchpoint_endpoint_use_place", "");
/// Time of an endpoint's requests by what they did in it: disjoint parts, together not more than their duration.
pub(crate) const ENDPOINT_PART_NANOS: Metric = counter(
    "pinchpoint_endpoint_part_seconds_total",
    "Time of an endpoint's requests by what they did in it: disjoint parts, together not more than their duration.",
)
.in_nanos()
.labels(&[METHOD, ROUTE, PART])
.exists("once a request did any of it");

/// Time that an endpoint's requests spent inside poll during any of the parts of pinchpoint_endpoint_part_seconds_total.
pub(crate) const ENDPOINT_OVERLAP_NANOS: Metric = counter(
    "pinchpoint_endpoint_overlap_seconds_total",
    "Time that an endpoint's requests spent inside poll during any of the parts of their time, such as their queries.",
)
.in_nanos()
.labels(&[METHOD, ROUTE])
.exists("once a request did anything that is tracked");
/// Queries of an endpoint's requests whose client disconnected before the answer.
pub(crate) const ENDPOINT_WASTED_QUERIES: Metric = counter(
    "pinchpoint_endpoint_wasted_queries_total",
    "Queries of an endpoint's requests whose client disconnected before the answer.",
)
.labels(&[METHOD, ROUTE])
.exists("once a client disconnected during a query");
/// Time in queries of an endpoint's requests whose client disconnected before the answer.
pub(crate) const ENDPOINT_WASTED_DB_NANOS: Metric = counter(
    "pinchpoint_endpoint_wasted_db_seconds_total",
    "Time in queries of an endpoint's requests whose client disconnected before the answer.",
)
.in_nanos()
.labels(&[METHOD, ROUTE])
.exists("once a client disconnected during a query");
/// Time of an endpoint's requests in which a query ran that went on after their end.
pub(crate) const ENDPOINT_LATE_DB_NANOS: Metric = counter(
    "pinchpoint_endpoint_late_db_seconds_total",
    "Time of an endpoint's requests in which a query ran that went on after their end.",
)
.in_nanos()
.labels(&[METHOD, ROUTE])
.exists("once a client disconnected during a query");
/// Durations without the waits for clients. Recorded from the first request on that waited for [`CLIENT_WAIT`].
pub(crate) const ENDPOINT_OWN_DURATION: Metric = histogram(
    "pinchpoint_endpoint_own_duration_seconds",
    "Duration of an endpoint's requests without the time that they waited for their clients.",
    DURATION_BUCKETS,
    Resolution::Fine,
)
.labels(&[METHOD, ROUTE])
.exists("once a request waited for its client for 10 ms");
/// Time in which the next piece of a streamed response of an endpoint was not there yet.
pub(crate) const ENDPOINT_PRODUCING_NANOS: Metric = counter(
    "pinchpoint_endpoint_producing_seconds_total",
    "Time in which the next piece of a streamed response of an endpoint was not there yet.",
)
.in_nanos()
.labels(&[METHOD, ROUTE])
.exists("once a response was streamed");
/// Polls that kept a worker for [`BLOCKING`] or longer.
pub(crate) const ENDPOINT_BLOCKING_POLLS: Metric = histogram(
    "pinchpoint_endpoint_blocking_poll_seconds",
    "Polls of an endpoint's requests that kept a worker of the runtime for 10 ms or longer.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[METHOD, ROUTE])
.exists("once a request blocked a worker");
/// Window-only: other requests in flight at the end of such a poll.
pub(crate) const ENDPOINT_BLOCKED_OTHERS: Metric =
    histogram("pinchpoint_endpoint_blocked_others", "", COUNT_BUCKETS, Resolution::Counts);
/// Window-only: such polls at whose end another endpoint, or another request of the same, was in flight.
pub(crate) const ENDPOINT_WAITED: Metric = counter("pinchpoint_endpoint_waited", "");
/// Requests of an endpoint that are in flight, as of the last evaluation.
pub(crate) const ENDPOINT_ACTIVE: Metric = gauge(
    "pinchpoint_endpoint_active_requests",
    "Requests of an endpoint that are in flight, as of the last evaluation.",
)
.labels(&[METHOD, ROUTE])
.exists("once a route had a request");
/// For how long the oldest of these has been running; 0 where none is.
pub(crate) const ENDPOINT_OLDEST_ACTIVE: Metric = gauge(
    "pinchpoint_endpoint_oldest_active_seconds",
    "For how long the oldest of these has been running; 0 where none is.",
)
.labels(&[METHOD, ROUTE])
.exists("once a route had a request");
/// Window-only: calls of a query that ran at once, of those that took 1 ms or longer.
pub(crate) const QUERY_AT_ONCE: Metric = histogram("pinchpoint_query_at_once", "", COUNT_BUCKETS, Resolution::Counts);
/// Window-only: bytes that an endpoint's requests allocated while they were polled.
pub(crate) const ENDPOINT_HEAP_ALLOCATED: Metric = counter("pinchpoint_endpoint_heap_allocated_bytes", "");
/// Window-only: bytes of these that were freed since, whichever thread or request freed them.
pub(crate) const ENDPOINT_HEAP_FREED: Metric = counter("pinchpoint_endpoint_heap_freed_bytes", "");
/// Window-only: nanoseconds of an endpoint's polls that were measured, by [`KIND`]: one of [`POLLS`], or [`IN_PLACE`].
pub(crate) const ENDPOINT_POLL_NANOS: Metric = counter("pinchpoint_endpoint_poll_nanoseconds", "");
/// Window-only: what the threads of an endpoint's blocking polls were seen in, by [`KIND`].
pub(crate) const ENDPOINT_POLL_SIGHTS: Metric = counter("pinchpoint_endpoint_poll_sights", "");
/// Window-only: nanoseconds of a task's polls that were measured, as [`ENDPOINT_POLL_NANOS`].
pub(crate) const TASK_POLL_NANOS: Metric = counter("pinchpoint_task_poll_nanoseconds", "");
/// Window-only: what the threads of a task's blocking polls were seen in, by [`KIND`].
pub(crate) const TASK_POLL_SIGHTS: Metric = counter("pinchpoint_task_poll_sights", "");
/// Window-only: nanoseconds that a timer task of the monitor was polled late, by [`KIND`]: [`TRACKED`] or [`UNTRACKED`].
pub(crate) const LAG_NANOS: Metric = counter("pinchpoint_scheduling_lag_nanoseconds", "");
/// Polls that kept a worker for [`BLOCKING`] or longer.
pub(crate) const TASK_BLOCKING_POLLS: Metric = histogram(
    "pinchpoint_task_blocking_poll_seconds",
    "Polls of a task's runs that kept a worker of the runtime for 10 ms or longer.",
    DURATION_BUCKETS,
    Resolution::Medium,
)
.labels(&[TASK_NAME])
.exists("once a run blocked a worker");
/// Time that the runs of a task spent inside poll.
pub(crate) const TASK_BUSY_NANOS: Metric =
    counter("pinchpoint_task_busy_seconds_total", "Time that the runs of a task spent inside poll.")
        .in_nanos()
        .labels(&[TASK_NAME])
        .exists("once a run of the task ended");
/// Time that runs of a task took inside requests, which lasted as long.
pub(crate) const TASK_REQUEST_NANOS: Metric = counter(
    "pinchpoint_task_request_seconds_total",
    "Time that runs of a task took inside requests, which lasted as long.",
)
.in_nanos()
.labels(&[TASK_NAME])
.exists("once a run of the task ended inside a request");

/// Time of a task's runs by what they did in it: disjoint parts, together not more than their duration.
pub(crate) const TASK_PART_NANOS: Metric = counter(
    "pinchpoint_task_part_seconds_total",
    "Time of a task's runs by what they did in it: disjoint parts, together not more than their duration.",
)
.in_nanos()
.labels(&[TASK_NAME, PART])
.exists("once a run did any of it");
/// Time that the runs of a task spent inside poll during any of the parts of pinchpoint_task_part_seconds_total.
pub(crate) const TASK_OVERLAP_NANOS: Metric = counter(
    "pinchpoint_task_overlap_seconds_total",
    "Time that the runs of a task spent inside poll during any of the parts of pinchpoint_task_part_seconds_total.",
)
.in_nanos()
.labels(&[TASK_NAME])
.exists("once a run did anything that is tracked");

/// Window-only: nanoseconds that the runs of a task held what they had waited for, of what counts for no request.
pub(crate) const TASK_HELD_NANOS: Metric = counter("pinchpoint_task_held_nanoseconds", "");
/// Window-only: how often they held it.
pub(crate) const TASK_HOLDS: Metric = counter("pinchpoint_task_holds", "");
/// Window-only: number of the place in the host's code that they were last seen to take it at.
pub(crate) const TASK_HOLD_PLACE: Metric = gauge("pinchpoint_task_hold_place", "");

/// A poll that takes this long blocks the runtime. tokio's advice is some 100 µs between two awaits; a poll a hundred times as
/// long is not due to a slow machine.
pub(crate) const BLOCKING: Duration = Duration::from_millis(10);

/// A request that waited this long for its client has a duration of its own, without that.
pub(crate) const CLIENT_WAIT: Duration = Duration::from_millis(10);

/// Every exposed metric, in the order of the exposition.
pub(crate) const CATALOGUE: &[Metric] = &[
    HTTP_DURATION,
    RPC_DURATION,
    REQUESTS,
    HTTP_ACTIVE,
    HTTP_OPEN_STREAMS,
    STREAM_DURATION,
    STREAM_MESSAGES,
    HTTP_REQUEST_SIZE,
    HTTP_RESPONSE_SIZE,
    HTTP_BUSY,
    HTTP_LONGEST_POLL,
    HTTP_HEAD,
    HTTP_DB_QUERIES,
    HTTP_DB_SECONDS,
    HTTP_ALLOCATED,
    HTTP_LIVE_BYTES,
    ENDPOINT_PART_NANOS,
    ENDPOINT_OVERLAP_NANOS,
    ENDPOINT_PRODUCING_NANOS,
    ENDPOINT_OWN_DURATION,
    ENDPOINT_WASTED_QUERIES,
    ENDPOINT_WASTED_DB_NANOS,
    ENDPOINT_LATE_DB_NANOS,
    ENDPOINT_BLOCKING_POLLS,
    ENDPOINT_ACTIVE,
    ENDPOINT_OLDEST_ACTIVE,
    ENDPOINT_QUERY_CALLS,
    ENDPOINT_QUERY_SECONDS,
    ENDPOINT_QUERY_REQUESTS,
    DB_DURATION,
    DB_QUERY_INFO,
    QUERIES,
    TASK_DURATION,
    TASK_RUNS,
    TASK_ACTIVE,
    TASK_OLDEST_ACTIVE,
    TASK_BUSY_NANOS,
    TASK_REQUEST_NANOS,
    TASK_PART_NANOS,
    TASK_OVERLAP_NANOS,
    TASK_BLOCKING_POLLS,
    CALL_DURATION,
    WAIT_DURATION,
    WAITING_NOW,
    HOLD_DURATION,
    POOL_COUNT,
    POOL_MAX,
    POOL_WAIT,
    POOL_PENDING,
    POOL_USE,
    PROCESS_RESIDENT,
    PROCESS_OWNED,
    PROCESS_VIRTUAL,
    PROCESS_VIRTUAL_MAX,
    MEMORY_WORKING_SET,
    PROCESS_MEMORY_LIMIT,
    PROCESS_CPU,
    PROCESS_CPU_WAITING,
    CPUS,
    CPU_LIMIT,
    CPU_PERIODS,
    CPU_THROTTLED_PERIODS,
    CPU_THROTTLED,
    CPU_PRESSURE,
    SYSTEM_CPU_TIME,
    PROCESS_OPEN_FDS,
    OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_THREADS,
    PROCESS_START,
    TOKIO_WORKERS,
    TOKIO_ALIVE_TASKS,
    TOKIO_GLOBAL_QUEUE,
    TOKIO_WORKER_BUSY,
    TOKIO_WORKER_PARKS,
    TOKIO_WORKERS_PARKED,
    TOKIO_SCHEDULING_LAG,
    BOTTLENECK,
    RULE_THRESHOLD,
    SLO_OBJECTIVE,
    SLO_BUDGET_LEFT,
    SLO_KNOWN,
    SLO_BUDGET_ENDS_IN,
    SLO_BURN_RATE,
    MEMORY_GROWTH,
    TREND,
    VERSION_SLOWDOWN,
    VERSION_ERROR_RISE,
    VERSION_REQUESTS,
    ENDPOINT_VERSION_SLOWDOWN,
    ENDPOINT_VERSION_ERROR_RISE,
    ENDPOINT_VERSION_REQUESTS,
    RULE_EVALUATION,
    RULES_RELOAD,
    RULES_RELOAD_SUCCESSFUL,
    RULES_RELOAD_TIMESTAMP,
    WORK_PENDING,
    SERIES_DROPPED,
    NOTIFICATIONS,
    ARCHIVE_ERRORS,
    ARCHIVE_LOST,
    ARCHIVE_SET_ASIDE,
    BUILD_INFO,
    TARGET_INFO,
];

/// Returns the metric of the catalogue that is called `name`.
pub(crate) fn metric(name: &str) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| metric.name == name)
}

/// The monitor on itself.
pub(crate) const MONITOR: &[Metric] = &[
    BOTTLENECK,
    RULE_THRESHOLD,
    SLO_OBJECTIVE,
    SLO_BUDGET_LEFT,
    SLO_KNOWN,
    SLO_BUDGET_ENDS_IN,
    SLO_BURN_RATE,
    MEMORY_GROWTH,
    TREND,
    VERSION_SLOWDOWN,
    VERSION_ERROR_RISE,
    VERSION_REQUESTS,
    ENDPOINT_VERSION_SLOWDOWN,
    ENDPOINT_VERSION_ERROR_RISE,
    ENDPOINT_VERSION_REQUESTS,
    RULE_EVALUATION,
    RULES_RELOAD,
    RULES_RELOAD_SUCCESSFUL,
    RULES_RELOAD_TIMESTAMP,
    WORK_PENDING,
    SERIES_DROPPED,
    NOTIFICATIONS,
    ARCHIVE_ERRORS,
    ARCHIVE_LOST,
    ARCHIVE_SET_ASIDE,
    BUILD_INFO,
];

/// Series of these that are kept however few [`max_series`](crate::MonitorBuilder::max_series) allows.
pub(crate) const MONITOR_SERIES: usize = 1_000;

/// Metrics whose series are removed when their name gave its place back and no window contains any of its series any more: those of
/// queries and tasks, whose names may be made up at run time, and of the queries of each endpoint.
pub(crate) const GIVEN_BACK: &[Metric] = &[
    DB_DURATION,
    DB_QUERY_INFO,
    TASK_DURATION,
    TASK_ACTIVE,
    TASK_OLDEST_ACTIVE,
    TASK_BUSY_NANOS,
    TASK_REQUEST_NANOS,
    TASK_PART_NANOS,
    TASK_OVERLAP_NANOS,
    TASK_HELD_NANOS,
    TASK_HOLDS,
    TASK_HOLD_PLACE,
    TASK_POLL_NANOS,
    TASK_POLL_SIGHTS,
    TASK_BLOCKING_POLLS,
    ENDPOINT_USE_CALLS,
    ENDPOINT_USE_NANOS,
    ENDPOINT_USE_ALONE_NANOS,
    ENDPOINT_USE_REQUESTS,
    ENDPOINT_USE_FAILED,
    ENDPOINT_USE_REPEATS,
    ENDPOINT_USE_HELD_NANOS,
    ENDPOINT_USE_HOLDS,
    ENDPOINT_USE_AT_ONCE,
    ENDPOINT_USE_PLACE,
    QUERY_AT_ONCE,
    WAIT_DURATION,
    WAITING_NOW,
    HOLD_DURATION,
    POOL_COUNT,
    POOL_MAX,
    POOL_WAIT,
    POOL_PENDING,
    POOL_USE,
    CALL_DURATION,
];

/// Metrics whose series are removed one by one when nothing holds them and no window contains their change: of what was in force
/// and is not any more.
pub(crate) const IN_FORCE: &[Metric] = &[
    RULE_THRESHOLD,
    TREND,
    SLO_OBJECTIVE,
    SLO_BUDGET_LEFT,
    SLO_KNOWN,
    SLO_BUDGET_ENDS_IN,
    SLO_BURN_RATE,
    VERSION_SLOWDOWN,
    VERSION_ERROR_RISE,
    VERSION_REQUESTS,
    ENDPOINT_VERSION_SLOWDOWN,
    ENDPOINT_VERSION_ERROR_RISE,
    ENDPOINT_VERSION_REQUESTS,
];

/// Labels that tell the series of one name apart.
pub(crate) const WITHIN_A_NAME: [&str; 7] = [ERROR_TYPE, OUTCOME, STATUS, DB_STATUS, PART, KIND, POOL_STATE];

/// Metrics with a limit of their own, since there are up to routes times queries of them. Those outside the catalogue live in the
/// windows only: evidence, which no measure of a rule reads.
pub(crate) const WINDOWED: &[Metric] = &[
    ENDPOINT_USE_CALLS,
    ENDPOINT_USE_NANOS,
    ENDPOINT_USE_ALONE_NANOS,
    ENDPOINT_USE_REQUESTS,
    ENDPOINT_USE_FAILED,
    ENDPOINT_USE_REPEATS,
    ENDPOINT_USE_HELD_NANOS,
    ENDPOINT_USE_HOLDS,
    ENDPOINT_USE_AT_ONCE,
    ENDPOINT_USE_PLACE,
    ENDPOINT_PART_NANOS,
    ENDPOINT_OWN_DURATION,
    ENDPOINT_PRODUCING_NANOS,
    ENDPOINT_OVERLAP_NANOS,
    ENDPOINT_WASTED_QUERIES,
    ENDPOINT_WASTED_DB_NANOS,
    ENDPOINT_LATE_DB_NANOS,
    ENDPOINT_BLOCKING_POLLS,
    ENDPOINT_BLOCKED_OTHERS,
    ENDPOINT_WAITED,
    ENDPOINT_ACTIVE,
    ENDPOINT_OLDEST_ACTIVE,
    QUERY_AT_ONCE,
    ENDPOINT_HEAP_ALLOCATED,
    ENDPOINT_HEAP_FREED,
    ENDPOINT_POLL_NANOS,
    ENDPOINT_POLL_SIGHTS,
    LAG_NANOS,
    TASK_BUSY_NANOS,
    TASK_REQUEST_NANOS,
    TASK_PART_NANOS,
    TASK_OVERLAP_NANOS,
    TASK_HELD_NANOS,
    TASK_HOLDS,
    TASK_HOLD_PLACE,
    TASK_POLL_NANOS,
    TASK_POLL_SIGHTS,
    TASK_BLOCKING_POLLS,
];

/// Request method; `_OTHER` where it is none of the standard ones.
pub(crate) const METHOD: &str = "http_request_method";
/// `http` or `https`.
pub(crate) const SCHEME: &str = "url_scheme";
/// Route template; empty where no route matched.
pub(crate) const ROUTE: &str = "http_route";
/// Response status; absent where no response was made.
pub(crate) const STATUS: &str = "http_response_status_code";
/// Direction of a message: [`TRANSMIT`] or [`RECEIVE`].
pub(crate) const DIRECTION: &str = "network_io_direction";
/// System of a remote procedure call.
pub(crate) const RPC_SYSTEM: &str = "rpc_system_name";
/// Service and method of a call; `_OTHER` where the service knows no such method.
pub(crate) const RPC_METHOD: &str = "rpc_method";
/// Status of a call; absent where there was none.
pub(crate) const RPC_STATUS: &str = "rpc_response_status_code";
/// Kind of failure; absent where there was none.
pub(crate) const ERROR_TYPE: &str = "error_type";
/// Database product.
pub(crate) const DB_SYSTEM: &str = "db_system_name";
/// The database's own code of an error.
pub(crate) const DB_STATUS: &str = "db_response_status_code";
/// Name of the database on its server.
pub(crate) const DB_NAMESPACE: &str = "db_namespace";
/// First keyword of the statement.
pub(crate) const DB_OPERATION: &str = "db_operation_name";
/// What the statement does, and to what.
pub(crate) const DB_SUMMARY: &str = "db_query_summary";
/// Id of the statement; see [`query_id`](crate::context::query_id).
pub(crate) const DB_QUERY_ID: &str = "db_query_id";
/// Fingerprint of the statement.
pub(crate) const DB_QUERY_TEXT: &str = "db_query_text";
/// Task name.
pub(crate) const TASK_NAME: &str = "task_name";
/// Kind of a wait.
pub(crate) const WAIT_KIND: &str = "wait_kind";
/// Name of what is waited for.
pub(crate) const WAIT_NAME: &str = "wait_name";
/// Pool of connections.
pub(crate) const POOL_NAME: &str = "db_client_connection_pool_name";
/// State of a pool's connections: [`IDLE`] or [`USED`].
pub(crate) const POOL_STATE: &str = "db_client_connection_state";
/// Host that is called.
pub(crate) const SERVER_ADDRESS: &str = "server_address";
/// Port that is called.
pub(crate) const SERVER_PORT: &str = "server_port";
/// How a request, a query, a task or a reload ended.
pub(crate) const OUTCOME: &str = "outcome";
/// Who is sent alerts.
pub(crate) const RECEIVER: &str = "receiver";
/// What the monitor does on a thread of its own: `rules`, `sampling`, `history`.
pub(crate) const WORK: &str = "work";
/// Method and route of an endpoint that waited for another.
pub(crate) const WAITING: &str = "waiting";
/// Which part of something is counted: of the CPU's pressure whose it is, of descriptors what they are; window-only counters have
/// parts of their own.
pub(crate) const KIND: &str = "kind";
/// What a part of the time of requests or runs was spent in.
pub(crate) const PART: &str = "part";
/// What a CPU does.
pub(crate) const CPU_MODE: &str = "cpu_mode";
/// Rule id.
pub(crate) const RULE: &str = "rule";
/// Severity.
pub(crate) const SEVERITY: &str = "severity";
/// Window of a burn rate: `5m`, `30m`, `1h`, `2h`, `6h`, `1d`, `3d`.
pub(crate) const WINDOW: &str = "window";
/// What Prometheus records of an objective, between the level and the operation of the recording rule: its requests, the bad ones,
/// and what is left of its error budget.
#[cfg(feature = "export")]
pub(crate) const RECORDED_SLO_REQUESTS: &str = "pinchpoint_slo_requests";
#[cfg(feature = "export")]
pub(crate) const RECORDED_SLO_BAD: &str = "pinchpoint_slo_bad_requests";
#[cfg(feature = "export")]
pub(crate) const RECORDED_SLO_LEFT: &str = "pinchpoint_slo_budget_left";
/// What has a trend: `response_time`, `error_rate`, `throughput` or `memory`.
pub(crate) const MEASURE: &str = "measure";
/// What a bottleneck is about.
pub(crate) const SUBJECT: &str = "subject";
/// Name of the service.
pub(crate) const SERVICE_NAME: &str = "service_name";
/// Version of the service.
pub(crate) const SERVICE_VERSION: &str = "service_version";
/// Which of the service's processes this is.
pub(crate) const SERVICE_INSTANCE: &str = "service_instance_id";
/// Version of the monitor.
pub(crate) const VERSION: &str = "version";

/// Every label of the catalogue, with its meaning.
#[cfg(feature = "schema")]
const LABELS: &[(&str, &str)] = &[
    (METHOD, "request method; `_OTHER` where it is none of the known ones"),
    (SCHEME, "`http` or `https`: how the client sent the request, as far as it is known"),
    (ROUTE, "route template, such as `/users/{id}`; empty where no route matched"),
    (STATUS, "status of the response; absent where there was none"),
    (DIRECTION, "direction of a message, as the service sees it: `transmit` or `receive`"),
    (RPC_SYSTEM, "system of the call: `grpc`"),
    (
        RPC_METHOD,
        "service and method of the call, such as `shop.Shop/Buy`; `_OTHER` where the service answered none of that name",
    ),
    (RPC_STATUS, "status of a gRPC call, such as `NOT_FOUND`; absent where there was none, and of other requests"),
    (ERROR_TYPE, "kind of failure; absent where there was none"),
    (DB_SYSTEM, "database product"),
    (DB_STATUS, "the database's own code of an error, such as the SQLSTATE `23505`; absent where it is not known"),
    (DB_NAMESPACE, "name of the database on its server; absent where it is not known"),
    (DB_OPERATION, "first keyword of the statement"),
    (
        DB_SUMMARY,
        "what the statement does and to what, such as `SELECT orders customers`: its operations and their targets in their order",
    ),
    (
        DB_QUERY_ID,
        "id of the statement: the XXH64 hash (seed 0) of its text in `db_query_info`, as 16 hexadecimal digits, and with the next seed if \
         another has that one; `other` for those past a limit",
    ),
    (DB_QUERY_TEXT, "text of the statement without literals: its fingerprint"),
    (WAIT_KIND, "kind of what is waited for: `lock`, `semaphore`, `channel`, or as the program names it"),
    (WAIT_NAME, "name of what is waited for"),
    (POOL_NAME, "name of the pool of connections"),
    (POOL_STATE, "state of a pool's connections: `idle` or `used`"),
    (SERVER_ADDRESS, "host that is called; never with a path"),
    (SERVER_PORT, "port that is called"),
    (TASK_NAME, "name that the task was tracked under"),
    (
        OUTCOME,
        "how a request, a query, a run or a reload ended: `ok`, `error`, `cancelled`, of a request also `client_error` (4xx), of \
         a run's duration also `panic`; of a notification `ok`, `error`, `rejected` or `dropped`",
    ),
    (RECEIVER, "who is sent alerts: `alertmanager/` with host and port, or the name in the settings"),
    (
        WORK,
        "what is under way: `rules` for the rule files, `sampling` for the machine and the host's samplers, `history` for the history file",
    ),
    (
        KIND,
        "whose pressure: `machine` or `group`, the control group of the process; what a descriptor leads to: `socket`, `file`, \
         `pipe` or `other`",
    ),
    (
        PART,
        "what the time was spent in: `late` (ready and not polled), `client` (waiting for the client), `http` (calls), `db`, `pool` (waiting \
         for a connection), `lock`, `semaphore`, `channel`, `wait` (other waits), `thread_pool` (waiting for a blocking thread), \
         `blocking` (on one) or `task`",
    ),
    (CPU_MODE, "what the CPUs did: `user`, `nice`, `system`, `idle`, `iowait`, `interrupt` or `steal`"),
    (RULE, "id of the rule"),
    (SEVERITY, "severity of the bottleneck"),
    (WINDOW, "window of a burn rate: `5m`, `30m`, `1h`, `2h`, `6h`, `1d` or `3d`"),
    (MEASURE, "what has a trend: `response_time`, `error_rate`, `throughput` or `memory`"),
    (
        SUBJECT,
        "what the bottleneck is about: an endpoint, a query, a task, a series or the process; of a trend and of an objective `service` for all of it",
    ),
    (SERVICE_NAME, "name of the service"),
    (SERVICE_VERSION, "version of the service; absent where it is not known"),
    (SERVICE_INSTANCE, "which process of the service this is: as set, or a random UUID for each process"),
    (VERSION, "version of the monitor"),
];

/// Value of [`SUBJECT`]: the whole service, of a trend.
pub(crate) const SERVICE: &str = "service";
/// Values of [`MEASURE`]; the answer of `/performance/trends` has keys of the same names.
pub(crate) const RESPONSE_TIME: &str = "response_time";
pub(crate) const ERROR_RATE: &str = "error_rate";
pub(crate) const THROUGHPUT: &str = "throughput";
pub(crate) const MEMORY: &str = "memory";

/// Values of [`KIND`]: the whole time of the measured polls, and of it the time on a CPU and that of waiting for one; of polls
/// shorter than [`BLOCKING`], of those that blocked a worker, and of those that `block_in_place` moved off theirs.
pub(crate) const POLLS: [[&str; 3]; 3] = [
    ["short", "short_computing", "short_cpu_wait"],
    ["blocking", "blocking_computing", "blocking_cpu_wait"],
    ["moved", "moved_computing", "moved_cpu_wait"],
];
/// Returns the places of a kind in [`POLLS`].
pub(crate) fn polls_of_kind(kind: &str) -> Option<(u8, u8)> {
    let all =
        (0..).zip(POLLS).flat_map(|(polls, parts)| (0..).zip(parts).map(move |(part, name)| (name, (polls, part))));
    all.into_iter().find_map(|(name, places)| (name == kind).then_some(places))
}

/// Value of [`KIND`]: polls inside `tokio::task::block_in_place`, which kept no worker from other work; measured or not.
pub(crate) const IN_PLACE: &str = "in_place";
/// Value of [`KIND`]: a thread that was seen running, or ready to run.
pub(crate) const RUNNING: &str = "running";

/// Value of [`KIND`]: lag at whose time a request or a tracked task blocked a worker.
pub(crate) const TRACKED: &str = "tracked";
/// Value of [`KIND`]: lag at whose time none did.
pub(crate) const UNTRACKED: &str = "untracked";
/// Value of [`KIND`]: the whole machine.
pub(crate) const MACHINE: &str = "machine";
/// Value of [`KIND`]: the control group of this process.
pub(crate) const GROUP: &str = "group";
/// Values of [`KIND`]: what a file descriptor leads to.
pub(crate) const DESCRIPTORS: [&str; 4] = ["socket", "file", "pipe", "other"];
/// Value of [`CPU_MODE`]: time that the hypervisor gave to others.
pub(crate) const STEAL: &str = "steal";
/// Value of [`POOL_STATE`]: connections that nobody has.
pub(crate) const IDLE: &str = "idle";
/// Value of [`POOL_STATE`]: connections that somebody has.
pub(crate) const USED: &str = "used";

/// Value of [`DIRECTION`]: what the service sends.
pub(crate) const TRANSMIT: &str = "transmit";
/// Value of [`DIRECTION`]: what it receives.
pub(crate) const RECEIVE: &str = "receive";

/// Value of a label past its limit.
pub(crate) const OTHER: &str = "other";
/// Methods with a series of their own: those of RFC 9110 and 5789, and QUERY, as OpenTelemetry's conventions list them.
pub(crate) const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY"];
/// Values of [`SCHEME`].
pub(crate) const HTTP: &str = "http";
pub(crate) const HTTPS: &str = "https";
/// Value of [`RPC_SYSTEM`].
pub(crate) const GRPC: &str = "grpc";
/// Values of [`RPC_STATUS`], by their numbers.
pub(crate) const GRPC_STATUSES: [&str; 17] = [
    "OK",
    GRPC_CANCELLED,
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// Value of [`RPC_STATUS`]: the caller gave up.
pub(crate) const GRPC_CANCELLED: &str = "CANCELLED";
/// Values of [`RPC_STATUS`] that are the service's own fault: OpenTelemetry's list without `UNIMPLEMENTED`, which is a client's that
/// asks for what does not exist, as 404 is.
pub(crate) const GRPC_FAULTS: [&str; 5] = ["UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
/// OpenTelemetry's value for an unknown method.
pub(crate) const METHOD_OTHER: &str = "_OTHER";
/// A request that the service refused, with a status of 4xx.
pub(crate) const CLIENT_ERROR: &str = "client_error";
/// A request whose client went away, or a future dropped before its end.
pub(crate) const CANCELLED: &str = "cancelled";
/// A handler, query or task that panicked.
pub(crate) const PANIC: &str = "panic";
/// A response whose body failed.
pub(crate) const BODY_ERROR: &str = "body_error";
/// A service that returned an error instead of a response.
pub(crate) const SERVICE_ERROR: &str = "service_error";
/// A query or task that returned `Err`.
pub(crate) const ERROR: &str = "error";
/// A notification that was refused for good.
#[cfg(any(feature = "deliver", feature = "export"))]
pub(crate) const REJECTED: &str = "rejected";
/// A notification that was never sent.
#[cfg(any(feature = "deliver", feature = "export"))]
pub(crate) const DROPPED: &str = "dropped";
/// A task that ended well.
pub(crate) const OK: &str = "ok";

/// Default length of the rules' windows.
pub(crate) const DEFAULT_WINDOW: Duration = Duration::from_secs(5 * 60);
