//! Facts about the machine: whether the process got the CPU that it wanted, who kept the runtime's workers from others, and what
//! descriptors are open.

use super::{durations::divide, facts::Facts, growth::ProcessCounts, index::WindowIndex};
use crate::{names, rules::fact};

/// Adds the shares that tell a process which lacks CPU from one that computes or blocks. They are the process's, and are facts
/// of whatever is slow in it.
pub(super) fn add_starvation(facts: &mut Facts, index: &WindowIndex<'_>) {
    let increase = |metric: names::Metric| index.increase(metric.name, |_| true);
    let waited = increase(names::PROCESS_CPU_WAITING);
    let wanted = waited.zip(increase(names::PROCESS_CPU)).map(|(waited, cpu)| waited + cpu);
    facts.number(fact::RUN_QUEUE_RATIO, waited.zip(wanted).and_then(|(waited, wanted)| share(waited, wanted)));
    let throttled = increase(names::CPU_THROTTLED_PERIODS).zip(increase(names::CPU_PERIODS));
    facts.number(fact::THROTTLED_RATIO, throttled.and_then(|(throttled, all)| share(throttled, all)));
    facts.number(fact::CPU_PRESSURE, pressure(index));
    let of_machine = |is: fn(&str) -> bool| {
        index.increase(names::SYSTEM_CPU_TIME.name, |series| series.label(names::CPU_MODE).is_some_and(is))
    };
    let all = of_machine(|_| true);
    let stolen = of_machine(|mode| mode == names::STEAL);
    facts.number(fact::STEAL_RATIO, stolen.zip(all).and_then(|(stolen, all)| share(stolen, all)));
}

/// Returns the share of the time in which some task of the process's control group waited for a CPU; of the whole machine where
/// the group's own is not reported.
fn pressure(index: &WindowIndex<'_>) -> Option<f64> {
    let waited = |of| index.increase(names::CPU_PRESSURE.name, |series| series.label(names::KIND) == Some(of));
    share(waited(names::GROUP).or_else(|| waited(names::MACHINE))?, index.window.span().as_secs_f64())
}

/// Adds how much CPU there is.
pub(super) fn add_cpus(facts: &mut Facts, index: &WindowIndex<'_>) {
    facts.number(fact::CPUS, index.gauge(names::CPUS.name));
    // Infinite once a quota was taken away, and then no number.
    facts.number(fact::CPU_LIMIT, index.gauge(names::CPU_LIMIT.name));
}

/// Adds how much of the scheduling lag passed without a blocking poll of any request or tracked task, and how much of the workers'
/// time passes in their short polls too.
pub(super) fn add_lag_origin(facts: &mut Facts, index: &WindowIndex<'_>) {
    let requests: f64 = index.endpoints().all.iter().filter_map(|endpoint| endpoint.busy_seconds).sum();
    let tasks: f64 = index.tasks().iter().filter_map(|task| task.busy_seconds).sum();
    // Most tracked tasks run inside a request: the sum would count them twice.
    let tracked = requests.max(tasks);
    let workers = index.increase(names::TOKIO_WORKER_BUSY.name, |_| true);
    facts.number(fact::TRACKED_BUSY_RATIO, workers.and_then(|workers| share(tracked, workers)));
    let lag = |of| index.increase(names::LAG_NANOS.name, |series| series.label(names::KIND) == Some(of));
    let untracked = lag(names::UNTRACKED);
    let all = untracked.unwrap_or_default() + lag(names::TRACKED).unwrap_or_default();
    facts.number(fact::UNTRACKED_LAG_RATIO, share(untracked.unwrap_or_default(), all));
}

/// Adds what kinds of descriptors are open, how they and the runtime's tasks grow, and when the limit of descriptors is reached.
pub(super) fn add_descriptors(facts: &mut Facts, index: &WindowIndex<'_>, counts: Option<&ProcessCounts>) {
    let kinds = [fact::SOCKET_FDS, fact::FILE_FDS, fact::PIPE_FDS, fact::OTHER_FDS];
    for (fact, kind) in kinds.into_iter().zip(names::DESCRIPTORS) {
        let mut series = index.window.series(names::OPEN_FDS.name);
        let of_kind = series.find(|series| series.label(names::KIND) == Some(kind));
        facts.number(fact, of_kind.and_then(|series| series.last()));
    }
    let Some(counts) = counts else { return };
    facts.number(fact::ALIVE_TASKS_GROWTH_PER_HOUR, counts.alive_tasks.per_hour());
    let Some(growth) = counts.open_fds.per_hour() else { return };
    facts.number(fact::FDS_GROWTH_PER_HOUR, Some(growth));
    let left = index.gauge(names::PROCESS_MAX_FDS.name).zip(index.gauge(names::PROCESS_OPEN_FDS.name));
    let hours = left.and_then(|(most, open)| divide((most - open).max(0.0), growth));
    facts.number(fact::TIME_TO_FD_LIMIT, hours.map(|hours| hours * 3600.0));
}

/// Returns a share; the two numbers are sampled one after the other, so that the part may exceed the whole by a little.
fn share(part: f64, whole: f64) -> Option<f64> {
    divide(part, whole).map(|share| share.clamp(0.0, 1.0))
}
