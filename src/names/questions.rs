//! One question in PromQL for each metric, for its reference: what it is there to answer.

use super::*;

/// A query and what it shows.
pub(super) struct Question {
    /// The metrics that it reads: `$0` and so on in the query. The first is the one that it is an example of.
    pub(super) metrics: &'static [&'static Metric],
    query: &'static str,
    pub(super) shows: &'static str,
}

impl Question {
    /// Returns the query with the names of its metrics.
    pub(super) fn query(&self) -> String {
        let metrics = self.metrics.iter().enumerate().rev();
        metrics.fold(self.query.to_owned(), |query, (at, metric)| query.replace(&format!("${at}"), metric.name))
    }
}

const fn ask(metrics: &'static [&'static Metric], query: &'static str, shows: &'static str) -> Question {
    Question { metrics, query, shows }
}

pub(super) const QUESTIONS: &[Question] = &[
    ask(
        &[&HTTP_DURATION],
        "histogram_quantile(0.95, sum by (le, http_request_method, http_route) (rate($0_bucket[5m])))",
        "the 95th percentile by endpoint",
    ),
    ask(
        &[&RPC_DURATION],
        "sum by (rpc_method, rpc_response_status_code) (rate($0_count[5m]))",
        "calls a second by method and status",
    ),
    ask(
        &[&REQUESTS],
        "sum by (http_route) (rate($0{outcome=\"error\"}[5m])) / sum by (http_route) (rate($0[5m]))",
        "the error ratio by route",
    ),
    ask(&[&HTTP_ACTIVE], "sum($0)", "requests in flight"),
    ask(&[&HTTP_OPEN_STREAMS], "sum by (http_route) ($0)", "open streams by route"),
    ask(
        &[&STREAM_DURATION],
        "sum by (http_route) (rate($0_sum[1h])) / sum by (http_route) (rate($0_count[1h]))",
        "how long streams last",
    ),
    ask(&[&STREAM_MESSAGES], "sum by (http_route, network_io_direction) (rate($0[5m]))", "messages a second"),
    ask(&[&HTTP_REQUEST_SIZE], "sum by (http_route) (rate($0_sum[5m]))", "bytes received a second by route"),
    ask(&[&HTTP_RESPONSE_SIZE], "topk(5, sum by (http_route) (rate($0_sum[5m])))", "the routes that send the most"),
    ask(
        &[&HTTP_BUSY],
        "topk(5, sum by (http_route) (rate($0_sum[5m])))",
        "the routes that keep workers busy: workers in use by each",
    ),
    ask(
        &[&HTTP_LONGEST_POLL],
        "histogram_quantile(0.99, sum by (le, http_route) (rate($0_bucket[5m])))",
        "how long a route blocks a worker at a stretch",
    ),
    ask(
        &[&HTTP_HEAD],
        "sum by (http_route) (rate($0_sum[5m])) / sum by (http_route) (rate($0_count[5m]))",
        "mean time to the first byte of streamed responses",
    ),
    ask(
        &[&HTTP_DB_QUERIES],
        "sum by (http_route) (rate($0_sum[5m])) / sum by (http_route) (rate($0_count[5m]))",
        "queries of a request that issues any",
    ),
    ask(
        &[&HTTP_DB_SECONDS, &HTTP_DURATION],
        "sum by (http_route) (rate($0_sum[5m])) / sum by (http_route) (rate($1_sum[5m]))",
        "share of a route's time in queries that it waited for to their end",
    ),
    ask(
        &[&HTTP_ALLOCATED],
        "topk(5, sum by (http_route) (rate($0_sum[5m])))",
        "the routes that allocate the most, in bytes a second",
    ),
    ask(&[&HTTP_LIVE_BYTES], "topk(5, deriv($0[1h]))", "the routes whose memory grows, in bytes a second"),
    ask(
        &[&ENDPOINT_PART_NANOS, &HTTP_DURATION],
        "sum by (http_route, part) (rate($0[5m])) / on (http_route) group_left sum by (http_route) (rate($1_sum[5m]))",
        "what share of a route's time goes where",
    ),
    ask(
        &[&ENDPOINT_OVERLAP_NANOS, &HTTP_BUSY],
        "sum by (http_route) (rate($1_sum[5m])) - (sum by (http_route) (rate($0[5m])) or 0 * sum by (http_route) (rate($1_sum[5m])))",
        "a route's own work inside poll, beside its queries and calls",
    ),
    ask(
        &[&ENDPOINT_PRODUCING_NANOS, &HTTP_DURATION],
        "sum by (http_route) (rate($0[5m])) / sum by (http_route) (rate($1_sum[5m]))",
        "share of the time in which a stream had nothing to send",
    ),
    ask(
        &[&ENDPOINT_OWN_DURATION],
        "histogram_quantile(0.95, sum by (le, http_route) (rate($0_bucket[5m])))",
        "the 95th percentile without slow clients",
    ),
    ask(
        &[&ENDPOINT_WASTED_QUERIES],
        "sum by (http_route) (rate($0[5m]))",
        "queries a second that nobody waits for any more",
    ),
    ask(
        &[&ENDPOINT_WASTED_DB_NANOS, &DB_DURATION],
        "sum(rate($0[5m])) / sum(rate($1_sum[5m]))",
        "share of the database's time that is wasted",
    ),
    ask(
        &[&ENDPOINT_LATE_DB_NANOS, &HTTP_DURATION],
        "sum by (http_route) (rate($0[5m])) / sum by (http_route) (rate($1_sum[5m]))",
        "share of a route's time in queries that outlast their request",
    ),
    ask(
        &[&ENDPOINT_BLOCKING_POLLS],
        "sum by (http_route) (rate($0_sum[5m]))",
        "share of a worker that a route blocks for 10 ms and longer",
    ),
    ask(&[&ENDPOINT_ACTIVE], "topk(5, sum by (http_request_method, http_route) ($0))", "where requests pile up"),
    ask(
        &[&ENDPOINT_OLDEST_ACTIVE],
        "max by (http_request_method, http_route) ($0) > 60",
        "endpoints with a request that has been running for a minute",
    ),
    ask(
        &[&ENDPOINT_QUERY_CALLS, &ENDPOINT_QUERY_REQUESTS],
        "sum by (http_route, db_query_id) (rate($0[5m])) / sum by (http_route, db_query_id) (rate($1[5m]))",
        "calls of a statement in one request: an N+1 shows here",
    ),
    ask(
        &[&ENDPOINT_QUERY_SECONDS],
        "topk(5, sum by (http_route, db_query_id) (rate($0[5m])))",
        "the statements that cost requests the most, and where",
    ),
    ask(&[&ENDPOINT_QUERY_REQUESTS], "sum by (db_query_id) (rate($0[5m]))", "requests a second with a statement"),
    ask(
        &[&DB_DURATION],
        "histogram_quantile(0.95, sum by (le, db_query_summary) (rate($0_bucket[5m])))",
        "the 95th percentile by what statements do",
    ),
    ask(
        &[&DB_QUERY_INFO, &DB_DURATION],
        "topk(5, sum by (db_query_id) (rate($1_sum[5m]))) * on (db_query_id) group_left (db_query_text) topk by (db_query_id) (1, $0)",
        "the statements that take the most time, with their texts",
    ),
    ask(
        &[&QUERIES, &DB_QUERY_INFO],
        "sum by (db_query_id) (rate($0{outcome=\"error\"}[5m])) * on (db_query_id) group_left (db_query_text) topk by (db_query_id) (1, $1) > 0",
        "statements that fail",
    ),
    ask(
        &[&TASK_DURATION],
        "histogram_quantile(0.95, sum by (le, task_name) (rate($0_bucket[5m])))",
        "the 95th percentile by task",
    ),
    ask(
        &[&TASK_RUNS],
        "sum by (task_name) (rate($0{outcome=\"error\"}[5m])) / sum by (task_name) (rate($0[5m]))",
        "the share of runs that fail",
    ),
    ask(&[&TASK_ACTIVE], "sum by (task_name) ($0)", "runs in progress"),
    ask(&[&TASK_OLDEST_ACTIVE], "max by (task_name) ($0) > 600", "tasks that have been running for ten minutes"),
    ask(&[&TASK_BUSY_NANOS], "sum by (task_name) (rate($0[5m]))", "workers that a task keeps busy"),
    ask(
        &[&TASK_REQUEST_NANOS, &HTTP_DURATION],
        "sum by (task_name) (rate($0[5m])) / scalar(sum(rate($1_sum[5m])))",
        "share of the requests' time in a task",
    ),
    ask(&[&TASK_PART_NANOS], "sum by (task_name, part) (rate($0[5m]))", "what the runs of a task spend their time in"),
    ask(
        &[&TASK_OVERLAP_NANOS, &TASK_BUSY_NANOS],
        "sum by (task_name) (rate($1[5m])) - (sum by (task_name) (rate($0[5m])) or 0 * sum by (task_name) (rate($1[5m])))",
        "a task's own work inside poll, beside its queries and calls",
    ),
    ask(
        &[&TASK_BLOCKING_POLLS],
        "sum by (task_name) (rate($0_sum[5m]))",
        "share of a worker that a task blocks for 10 ms and longer",
    ),
    ask(
        &[&CALL_DURATION],
        "histogram_quantile(0.95, sum by (le, server_address) (rate($0_bucket[5m])))",
        "the 95th percentile by service that is called",
    ),
    ask(
        &[&WAIT_DURATION],
        "topk(5, sum by (wait_kind, wait_name) (rate($0_sum[5m])))",
        "what is waited for most: how many wait on average",
    ),
    ask(&[&WAITING_NOW], "sum by (wait_kind, wait_name) ($0)", "how many wait now"),
    ask(
        &[&HOLD_DURATION],
        "sum by (wait_kind, wait_name) (rate($0_sum[5m])) / sum by (wait_kind, wait_name) (rate($0_count[5m]))",
        "for how long it is held",
    ),
    ask(
        &[&POOL_COUNT, &POOL_MAX],
        "sum by (db_client_connection_pool_name) ($0{db_client_connection_state=\"used\"}) / sum by (db_client_connection_pool_name) ($1)",
        "how full a pool is",
    ),
    ask(
        &[&POOL_MAX],
        "sum by (db_client_connection_pool_name) ($0)",
        "connections that all instances may open together",
    ),
    ask(
        &[&POOL_WAIT],
        "histogram_quantile(0.95, sum by (le, db_client_connection_pool_name) (rate($0_bucket[5m])))",
        "the 95th percentile of the wait for a connection",
    ),
    ask(&[&POOL_PENDING], "max_over_time($0[5m]) > 0", "pools that somebody waited for"),
    ask(&[&POOL_USE], "sum by (db_client_connection_pool_name) (rate($0_sum[5m]))", "connections in use on average"),
    ask(&[&PROCESS_RESIDENT], "max by (instance) ($0)", "memory by instance"),
    ask(
        &[&PROCESS_OWNED],
        "deriv($0[1h]) * 3600",
        "growth in bytes an hour; noisy, the growth that the leak detector finds is its own metric",
    ),
    ask(&[&PROCESS_VIRTUAL], "deriv($0[1h])", "growth of the address space, in bytes a second"),
    ask(
        &[&PROCESS_VIRTUAL_MAX, &PROCESS_VIRTUAL],
        "$1 / $0 > 0.8",
        "instances that come near the limit of their address space",
    ),
    ask(&[&MEMORY_WORKING_SET, &PROCESS_MEMORY_LIMIT], "$0 / $1 > 0.9", "instances that are about to be killed"),
    ask(&[&PROCESS_MEMORY_LIMIT, &MEMORY_WORKING_SET], "$0 - $1", "memory that is left"),
    ask(&[&PROCESS_CPU, &CPUS], "rate($0[5m]) / $1", "share of the CPUs that the process may use"),
    ask(
        &[&PROCESS_CPU_WAITING, &PROCESS_CPU],
        "rate($0[5m]) / (rate($0[5m]) + rate($1[5m]))",
        "share of the time that threads wanted a CPU and had none",
    ),
    ask(&[&CPUS], "sum by (job) ($0)", "CPUs of all instances"),
    ask(&[&CPU_LIMIT], "$0 < +Inf", "the quota, where there is one"),
    ask(
        &[&CPU_PERIODS, &CPU_THROTTLED_PERIODS],
        "rate($1[5m]) / rate($0[5m])",
        "share of the periods in which the quota was used up",
    ),
    ask(&[&CPU_THROTTLED_PERIODS], "increase($0[5m]) > 0", "instances that were throttled"),
    ask(&[&CPU_THROTTLED], "rate($0[5m])", "seconds a second in which the group was throttled, over all CPUs"),
    ask(
        &[&CPU_PRESSURE],
        "rate($0{kind=\"group\"}[5m])",
        "share of the time in which something in the group waited for a CPU",
    ),
    ask(
        &[&SYSTEM_CPU_TIME],
        "sum by (instance) (rate($0{cpu_mode=\"steal\"}[5m])) / sum by (instance) (rate($0[5m]))",
        "share of the CPU time that the hypervisor gave to others",
    ),
    ask(&[&PROCESS_OPEN_FDS, &PROCESS_MAX_FDS], "$0 / $1 > 0.8", "instances that run out of descriptors"),
    ask(
        &[&OPEN_FDS],
        "min_over_time($0{kind=\"socket\"}[10m]) > 2 * max_over_time($0{kind=\"socket\"}[10m] offset 1h)",
        "instances with twice as many sockets as an hour ago",
    ),
    ask(&[&PROCESS_MAX_FDS], "min by (job) ($0)", "the lowest limit"),
    ask(&[&PROCESS_THREADS], "$0", "threads; hundreds that come and go are blocking tasks"),
    ask(&[&PROCESS_START], "time() - $0", "age of the process"),
    ask(&[&TOKIO_WORKERS], "$0", "worker threads"),
    ask(
        &[&TOKIO_ALIVE_TASKS],
        "min_over_time($0[10m]) > 2 * max_over_time($0[10m] offset 1h)",
        "instances with twice as many tasks as an hour ago",
    ),
    ask(&[&TOKIO_GLOBAL_QUEUE], "max_over_time($0[5m])", "tasks that waited for a worker at most"),
    ask(&[&TOKIO_WORKER_BUSY, &TOKIO_WORKERS], "rate($0[5m]) / $1", "how busy the workers are"),
    ask(&[&TOKIO_WORKER_PARKS], "rate($0[5m])", "how often workers run out of work"),
    ask(&[&TOKIO_WORKERS_PARKED, &TOKIO_WORKERS], "$1 - $0", "workers that have something to do"),
    ask(&[&TOKIO_SCHEDULING_LAG], "histogram_quantile(0.99, rate($0_bucket[5m]))", "how late ready tasks are polled"),
    ask(&[&BOTTLENECK], "sum by (rule, severity, subject) ($0) > 0", "the bottlenecks that fire"),
    ask(&[&RULE_THRESHOLD], "$0{rule=\"slow_endpoint\"}", "the thresholds to draw beside a duration"),
    ask(&[&SLO_OBJECTIVE], "1 - $0", "share of the requests that may be bad"),
    ask(&[&SLO_BUDGET_LEFT], "$0 < 0.25", "error budgets of which less than a quarter is left"),
    ask(&[&SLO_KNOWN], "$0 / 86400", "days of an error budget that are known"),
    ask(&[&SLO_BUDGET_ENDS_IN], "$0 < 3 * 86400", "error budgets that are spent within three days at this pace"),
    ask(&[&SLO_BURN_RATE], "$0{window=\"1h\"} > 1", "error budgets that are spent faster than the objective allows"),
    ask(&[&MEMORY_GROWTH], "$0 > 0", "instances that leak"),
    ask(&[&TREND], "$0{measure=\"response_time\"} > 0", "what gets slower"),
    ask(&[&VERSION_SLOWDOWN], "$0 > 0", "instances of a version that is slower as a whole"),
    ask(&[&VERSION_ERROR_RISE], "$0 > 0", "instances of a version that fails more often as a whole"),
    ask(
        &[&VERSION_REQUESTS],
        "$0 < 200",
        "instances whose comparison rests on too few requests for any of the default rules",
    ),
    ask(&[&ENDPOINT_VERSION_SLOWDOWN], "topk(5, $0)", "the endpoints that got slower by the most"),
    ask(&[&ENDPOINT_VERSION_ERROR_RISE], "topk(5, $0)", "the endpoints whose failures rose by the most"),
    ask(
        &[&ENDPOINT_VERSION_REQUESTS, &ENDPOINT_VERSION_SLOWDOWN],
        "$1 and ($0 >= 300)",
        "what slower endpoints rest on enough requests for",
    ),
    ask(&[&RULE_EVALUATION], "rate($0_sum[5m])", "share of a core that the evaluation takes"),
    ask(&[&RULES_RELOAD], "increase($0{outcome=\"error\"}[5m]) > 0", "instances whose rules were refused"),
    ask(&[&RULES_RELOAD_SUCCESSFUL], "$0 == 0", "instances whose rule files are wrong"),
    ask(&[&RULES_RELOAD_TIMESTAMP], "time() - $0", "age of the rules in force"),
    ask(&[&WORK_PENDING], "$0 > 10", "file systems that do not answer"),
    ask(&[&SERIES_DROPPED], "rate($0[5m]) > 0", "instances past a limit of series"),
    ask(
        &[&NOTIFICATIONS],
        "sum by (receiver, outcome) (increase($0[1h])) > 0",
        "notifications of the last hour by receiver and how they ended",
    ),
    ask(&[&ARCHIVE_ERRORS], "increase($0[1h]) > 0", "history files that cannot be written"),
    ask(&[&ARCHIVE_LOST], "increase($0[1h]) > 0", "history files with damage"),
    ask(&[&ARCHIVE_SET_ASIDE], "increase($0[1h]) > 0", "history files that were begun anew"),
    ask(&[&BUILD_INFO], "count by (version) ($0)", "instances by version of the monitor"),
    ask(&[&TARGET_INFO], "count by (service_name, service_version) ($0)", "instances of a service by its version"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_question_of_its_own() {
        for metric in CATALOGUE {
            let asked = QUESTIONS.iter().filter(|question| question.metrics[0].name == metric.name).count();
            assert_eq!(asked, 1, "{}", metric.name);
        }
        assert_eq!(QUESTIONS.len(), CATALOGUE.len());
    }

    #[test]
    fn questions_name_metrics_and_labels_that_exist() {
        for question in QUESTIONS {
            let query = question.query();
            assert!(!query.contains('$'), "{query}");
            let labels: Vec<&str> = question.metrics.iter().flat_map(|metric| metric.labels).copied().collect();
            let lists = ["by (", "on (", "group_left ("].into_iter().flat_map(|list| query.split(list).skip(1));
            let named = lists.flat_map(|list| list.split(')').next().unwrap_or_default().split(", "));
            for name in named.filter(|name| !name.is_empty()) {
                assert!(labels.contains(&name) || ["le", "job", "instance"].contains(&name), "{name} in {query}");
            }
        }
    }
}
