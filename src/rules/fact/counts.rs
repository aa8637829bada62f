//! [`is_count`]: which facts are whole numbers.

use super::*;

/// The numbers that count things and are therefore whole. Others of the same unit are means.
const COUNTS: &[NumberFact] = &[
    ACTIVE,
    REQUESTS,
    BAD_REQUESTS,
    MISSED,
    SILENT_ENDPOINTS,
    REGULAR_ENDPOINTS,
    PREVIOUS_REQUESTS,
    VERSION_REQUESTS,
    COMPARED_ENDPOINTS,
    SLOWER_ENDPOINTS,
    FAILING_ENDPOINTS,
    CALLS,
    MAX_AT_ONCE,
    RUNS,
    ENDPOINTS,
    WASTED_QUERIES,
    BLOCKING_POLLS,
    MAX_OTHERS_IN_FLIGHT,
    TOP_WAITING_POLLS,
    WORKERS,
    THREADS,
    OPEN_FDS,
    MAX_FDS,
    ALIVE_TASKS,
    SOCKET_FDS,
    FILE_FDS,
    PIPE_FDS,
    OTHER_FDS,
];

/// Returns whether the number of this name counts things.
pub(crate) fn is_count(name: &str) -> bool {
    COUNTS.iter().any(|fact| fact.name == name)
}
