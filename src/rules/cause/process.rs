//! Why the runtime polls late, memory grows, or descriptors run out.

use CauseKind::{
    BlockedByUntracked, BlockingCall, BlockingTask, Computing, CpuStarved, DescriptorLeak, HighMemory, LeakByRoute,
    LeakByTasks, LeakElsewhere, Overload,
};

use super::{
    case::{Case, count, percent, seconds},
    diagnosis::{Diagnosis, Origin},
    polls,
};
use crate::rules::{
    cause_kind::{
        CauseKind,
        Confidence::{Certain, Likely, Possible},
    },
    fact,
    measure::Measure,
    scope::Scope,
    unit::Unit,
};

/// A poll shorter than this blocks nobody that a person notices.
const NOTICED: f64 = 0.05;
/// From this share of their time on the workers are full.
const FULL: f64 = 0.9;
/// From this share of the growth on, a route is what leaks; of the lag, what is not tracked is what blocks.
const ITS_OWN: f64 = 0.5;
/// Tasks alive grow by so many an hour, at least, where they are a leak: fewer are the noise of a few long ones.
const TASKS_THAT_LEAK: f64 = 20.0;
/// A task that keeps more than this, in bytes, is rare: then something else grows beside the tasks.
const OF_A_TASK: f64 = 8e6;
/// Beyond this share of the limit much memory is no question of taste.
const NEAR_LIMIT: f64 = 0.8;

pub(super) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    match case.measure {
        Measure::SchedulingLag | Measure::WorkerBusyRatio => late(case),
        Measure::MemoryGrowth => Some(leak(case)),
        Measure::ResidentMemory | Measure::MemoryLimitRatio => memory(case),
        Measure::OpenFdsRatio => Some(descriptors(case)),
        _ => None,
    }
}

/// The endpoint or task that keeps workers of the runtime longest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TopBlocker<'a> {
    pub(super) name: &'a str,
    pub(super) is_task: bool,
    /// Its long polls, in seconds.
    poll: Option<f64>,
}

impl TopBlocker<'_> {
    pub(super) fn origin(&self) -> Origin {
        let name = self.name.to_owned();
        if self.is_task { Origin::Task(name) } else { Origin::Endpoint(name) }
    }

    pub(super) fn at_a_stretch(&self) -> String {
        self.poll.map_or_else(String::new, |poll| format!(" for {} at a stretch", seconds(poll)))
    }
}

/// Returns what blocks the runtime most; `None` where nothing does that is tracked.
pub(super) fn top_blocker<'a>(case: &Case<'a>) -> Option<TopBlocker<'a>> {
    let process = case.process?;
    let task = case.word_of_process(fact::TOP_BLOCKING_TASK).map(|name| {
        let poll = case.of_process(fact::TOP_BLOCKING_TASK_POLL);
        TopBlocker { name, is_task: true, poll }
    });
    let endpoint = process.blockers.first().map(|blocker| TopBlocker {
        name: &blocker.endpoint,
        is_task: false,
        poll: blocker.longest,
    });
    let by_poll = case.word_of_process(fact::TOP_BLOCKER).zip(case.of_process(fact::TOP_BLOCKER_POLL));
    let by_poll = by_poll.filter(|(_, poll)| *poll >= NOTICED).map(|(name, poll)| TopBlocker {
        name,
        is_task: false,
        poll: Some(poll),
    });
    let endpoint = by_poll.or(endpoint);
    match (task, endpoint) {
        (Some(task), Some(endpoint)) if task.poll > endpoint.poll => Some(task),
        (Some(task), None) => Some(task),
        (_, endpoint) => endpoint,
    }
}

/// Returns what blocks the runtime most, unless its polls are too short to keep others waiting.
pub(super) fn noticed_blocker<'a>(case: &Case<'a>) -> Option<TopBlocker<'a>> {
    top_blocker(case).filter(|blocker| blocker.poll.is_none_or(|poll| poll >= NOTICED))
}

/// Why the runtime polls late.
fn late(case: &Case<'_>) -> Option<Diagnosis> {
    let lag = case.number(fact::SCHEDULING_LAG)?;
    let late = format!("what is ready is polled up to {} late", seconds(lag));
    if let Some(starved) = polls::starved(case) {
        return Some(Diagnosis::new(CpuStarved, Certain, format!("{late}; {starved}")));
    }
    let full = full(case, &late);
    let untracked = case.number(fact::UNTRACKED_LAG_RATIO).filter(|ratio| *ratio >= ITS_OWN);
    if untracked.is_some()
        && let Some(full) = full.as_ref().filter(|full| full.confidence == Likely)
    {
        return Some(full.clone());
    }
    if let Some(ratio) = untracked {
        let because =
            format!("{late}, and for {} of that neither a request nor a tracked task blocked a worker", percent(ratio));
        return Some(Diagnosis::new(BlockedByUntracked, Likely, because));
    }
    if let Some(blocker) = noticed_blocker(case) {
        let because = format!("{late}, while {} keeps a worker{}", blocker.name, blocker.at_a_stretch());
        let cause = if blocker.is_task {
            Diagnosis::new(BlockingTask, Certain, because).word("task", Some(blocker.name))
        } else {
            of_endpoint(case, &blocker, because)
        };
        return Some(cause.word("blocker", Some(blocker.name)).of(Some(blocker.origin())));
    }
    if full.is_some() {
        return full;
    }
    let because = format!("{late}, and no request had a long poll");
    let cause = Diagnosis::new(BlockedByUntracked, Possible, because);
    Some(if case.number(fact::RUN_QUEUE_RATIO).is_none() { cause.or(&[CpuStarved]) } else { cause })
}

/// The workers have more to do than they can. That is likely the requests' doing where most of it is known to be theirs.
pub(super) fn full(case: &Case<'_>, late: &str) -> Option<Diagnosis> {
    let busy = case.of_process(fact::WORKER_BUSY_RATIO).filter(|busy| *busy >= FULL);
    let tracked = case.of_process(fact::TRACKED_BUSY_RATIO).filter(|ratio| *ratio >= ITS_OWN);
    // Workers that are full of what is not tracked fill the CPUs too.
    if let Some(fills) = polls::fills_its_cpus(case).filter(|_| busy.is_none() || tracked.is_some()) {
        return Some(Diagnosis::new(Overload, Likely, format!("{late}; {fills}")));
    }
    let busy = busy?;
    let full = format!("{late}, and the workers are busy {} of the time with short polls", percent(busy));
    let cause = match tracked {
        Some(ratio) => {
            Diagnosis::new(Overload, Likely, format!("{full}, {} of that those of requests and tasks", percent(ratio)))
        }
        None => Diagnosis::new(Overload, Possible, full),
    };
    Some(if case.of_process(fact::RUN_QUEUE_RATIO).is_none() { cause.or(&[CpuStarved]) } else { cause })
}

/// What the endpoint that blocks does in its polls.
fn of_endpoint(case: &Case<'_>, blocker: &TopBlocker<'_>, because: String) -> Diagnosis {
    let polls = case.origin.and_then(|evidence| {
        polls::diagnose(&Case { scope: Scope::Endpoint, subject: blocker.name, evidence, origin: None, ..*case })
    });
    match polls {
        Some(cause) => cause.preceded_by(&format!("{because}; ")),
        None => Diagnosis::new(Computing, Possible, because).or(&[BlockingCall]),
    }
}

fn leak(case: &Case<'_>) -> Diagnosis {
    let growth = case.number(fact::MEMORY_GROWTH).map_or_else(
        || "memory grows".to_owned(),
        |growth| format!("memory grows by {}", Unit::BytesPerHour.render(growth)),
    );
    let tasks = case.number(fact::ALIVE_TASKS_GROWTH_PER_HOUR).filter(|growth| *growth >= TASKS_THAT_LEAK);
    let suspect = case.word(fact::TOP_SUSPECT).zip(case.number(fact::TOP_SUSPECT_RATIO));
    match (suspect, tasks) {
        (Some((endpoint, ratio)), tasks) => {
            let because = format!("{growth}, and requests of {endpoint} keep {} of it", percent(ratio));
            let cause = Diagnosis::new(LeakByRoute, Likely, because)
                .word("endpoint", Some(endpoint))
                .of(Some(Origin::Endpoint(endpoint.to_owned())));
            let cause = if ratio >= ITS_OWN { cause } else { cause.or(&[LeakElsewhere]) };
            match tasks {
                // What its requests allocate may live in tasks that they start.
                Some(tasks) => cause
                    .or(&[LeakByTasks])
                    .followed_by(&format!("; the tasks alive grow by {} an hour too", count(tasks))),
                None => cause,
            }
        }
        (None, Some(tasks)) => {
            let because = format!("{growth}, and the tasks alive grow by {} an hour", count(tasks));
            let cause = Diagnosis::new(LeakByTasks, Likely, because);
            let each = case.number(fact::MEMORY_GROWTH).map(|growth| growth / tasks);
            if each.is_some_and(|each| each > OF_A_TASK) { cause.or(&[LeakElsewhere]) } else { cause }
        }
        (None, None) if case.number(fact::UNATTRIBUTED_RATIO).is_some() => {
            Diagnosis::new(LeakElsewhere, Likely, format!("{growth}, and no route keeps a tenth of it"))
        }
        (None, None) => {
            let because = format!("{growth}; what the routes keep was not measured");
            Diagnosis::new(LeakElsewhere, Possible, because).or(&[LeakByRoute])
        }
    }
}

fn memory(case: &Case<'_>) -> Option<Diagnosis> {
    if case.number(fact::MEMORY_GROWTH).is_some_and(|growth| growth > 0.0) {
        return Some(leak(case));
    }
    let resident = Unit::Bytes.render(case.number(fact::RESIDENT_MEMORY)?);
    let limit = case.number(fact::MEMORY_LIMIT_RATIO);
    let of_limit = limit.map_or_else(String::new, |ratio| format!(", {} of its limit", percent(ratio)));
    let cause = Diagnosis::new(
        HighMemory,
        Certain,
        format!("it holds {resident}{of_limit}, and no growth that lasts was seen"),
    );
    Some(if limit.is_some_and(|ratio| ratio >= NEAR_LIMIT) { cause.at_any_severity() } else { cause })
}

fn descriptors(case: &Case<'_>) -> Diagnosis {
    let kinds = [
        ("sockets", fact::SOCKET_FDS),
        ("files", fact::FILE_FDS),
        ("pipes", fact::PIPE_FDS),
        ("other descriptors", fact::OTHER_FDS),
    ];
    let top = kinds
        .into_iter()
        .filter_map(|(kind, fact)| Some((kind, case.number(fact)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        // Kinds that were read when fewer were open say nothing about the rest.
        .filter(|(_, number)| case.number(fact::OPEN_FDS).is_some_and(|open| *number > ITS_OWN * open));
    let open = case.number(fact::OPEN_FDS).map_or_else(|| "many".to_owned(), count);
    let most = top.map_or_else(String::new, |(kind, number)| format!(", {} of them {kind}", count(number)));
    let left = case
        .number(fact::TIME_TO_FD_LIMIT)
        .map_or_else(String::new, |left| format!("; at this pace the limit is reached in {}", seconds(left)));
    let is_flat = case.number(fact::FDS_GROWTH_PER_HOUR).is_some_and(|growth| growth <= 0.0);
    let flat = if is_flat { "; their number does not grow" } else { "" };
    let confidence = if top.is_some() && !is_flat { Likely } else { Possible };
    let limit = || case.number(fact::MAX_FDS).map_or_else(|| "descriptors".to_owned(), count);
    Diagnosis::new(DescriptorLeak, confidence, format!("{open} descriptors are open{most}{left}{flat}"))
        .word("limit", is_flat.then(limit))
        .word("error", top.map(|(kind, _)| kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        cause::tables::{self, Table},
        severity::Severity,
    };

    #[track_caller]
    fn check(table: &Table, kind: CauseKind, or: &[CauseKind]) -> Diagnosis {
        let cause = table.read(diagnose).expect("a cause");
        assert_eq!((cause.kind, &*cause.or), (kind, or), "{}", cause.because);
        cause
    }

    fn lagging() -> Table {
        tables::process().measure(Measure::SchedulingLag).number(fact::SCHEDULING_LAG, 0.6)
    }

    #[test]
    fn a_late_runtime_is_starved_blocked_full_or_blocked_by_something_untracked() {
        let blocked = lagging().word(fact::TOP_BLOCKER, "GET /hash").number(fact::TOP_BLOCKER_POLL, 0.3);
        check(&blocked, Computing, &[BlockingCall]);
        let computes = tables::endpoint().number(fact::COMPUTING_RATIO, 0.9).number(fact::BLOCKED_RATIO, 0.0);
        check(&blocked.clone().origin(computes), Computing, &[]);
        check(&blocked.clone().number(fact::RUN_QUEUE_RATIO, 0.8), CpuStarved, &[]);
        let task = blocked.word(fact::TOP_BLOCKING_TASK, "report").number(fact::TOP_BLOCKING_TASK_POLL, 0.5);
        check(&task, BlockingTask, &[]);
        let full = lagging().number(fact::WORKER_BUSY_RATIO, 0.97);
        check(&full, Overload, &[CpuStarved]);
        let full = full.number(fact::RUN_QUEUE_RATIO, 0.1);
        check(&full, Overload, &[]);
        let full = full.number(fact::UNTRACKED_LAG_RATIO, 0.9);
        check(&full, BlockedByUntracked, &[]);
        check(&full.clone().number(fact::TRACKED_BUSY_RATIO, 0.2), BlockedByUntracked, &[]);
        check(&full.number(fact::TRACKED_BUSY_RATIO, 0.93), Overload, &[]);
        check(&lagging(), BlockedByUntracked, &[CpuStarved]);
        check(&task.number(fact::UNTRACKED_LAG_RATIO, 0.8), BlockedByUntracked, &[]);
        check(&lagging().number(fact::RUN_QUEUE_RATIO, 0.1), BlockedByUntracked, &[]);
    }

    #[test]
    fn a_process_that_lacks_cpu_is_told_from_one_that_wakes_up_often_and_from_one_that_fills_its_cpus() {
        let waiting = |cpu: f64, ratio: f64| {
            let table = lagging().number(fact::RUN_QUEUE_RATIO, ratio).number(fact::UNTRACKED_LAG_RATIO, 1.0);
            table.number(fact::CPU_RATIO, cpu).number(fact::CPUS, 2.0)
        };
        let waits = |cpu: f64| waiting(cpu, 0.6);
        check(&waits(0.5), CpuStarved, &[]);
        // It waits for three hundredths of a CPU: that delays nobody by 600 ms.
        check(&waits(0.02), BlockedByUntracked, &[]);
        check(&waits(1.9), Overload, &[]);
        // Forty threads on two CPUs, of which others take one.
        check(&waiting(1.0, 0.975), Overload, &[]);
        let workers = waits(1.9).number(fact::WORKER_BUSY_RATIO, 0.99);
        check(&workers, BlockedByUntracked, &[]);
        check(&workers.number(fact::TRACKED_BUSY_RATIO, 0.8), Overload, &[]);
    }

    #[test]
    fn a_leak_is_the_routes_where_the_route_keeps_it() {
        let grows = || tables::process().measure(Measure::MemoryGrowth).number(fact::MEMORY_GROWTH, 50e6);
        check(&grows(), LeakElsewhere, &[LeakByRoute]);
        check(&grows().number(fact::UNATTRIBUTED_RATIO, 1.0), LeakElsewhere, &[]);
        check(&grows().number(fact::ALIVE_TASKS_GROWTH_PER_HOUR, 900.0), LeakByTasks, &[]);
        check(&grows().number(fact::ALIVE_TASKS_GROWTH_PER_HOUR, 3.0), LeakElsewhere, &[LeakByRoute]);
        let route = |ratio: f64| grows().word(fact::TOP_SUSPECT, "GET /a").number(fact::TOP_SUSPECT_RATIO, ratio);
        check(&route(0.9), LeakByRoute, &[]);
        check(&route(0.2), LeakByRoute, &[LeakElsewhere]);
        check(&route(0.9).number(fact::ALIVE_TASKS_GROWTH_PER_HOUR, 17_520.0), LeakByRoute, &[LeakByTasks]);
        // Two megabytes a connection are no task's.
        let beside = tables::process().measure(Measure::MemoryGrowth).number(fact::MEMORY_GROWTH, 1.8e9);
        check(&beside.number(fact::ALIVE_TASKS_GROWTH_PER_HOUR, 25.0), LeakByTasks, &[LeakElsewhere]);
    }

    #[test]
    fn much_memory_that_is_flat_is_no_emergency_unless_the_limit_is_near() {
        let holds = || tables::process().measure(Measure::ResidentMemory).number(fact::RESIDENT_MEMORY, 3e9);
        assert_eq!(check(&holds(), HighMemory, &[]).at_most(), Some(Severity::Medium));
        assert_eq!(check(&holds().number(fact::MEMORY_LIMIT_RATIO, 0.95), HighMemory, &[]).at_most(), None);
        check(&holds().number(fact::MEMORY_GROWTH, 5e7), LeakElsewhere, &[LeakByRoute]);
    }

    #[test]
    fn descriptors_are_named_by_their_most_frequent_kind() {
        let open = tables::process().measure(Measure::OpenFdsRatio).number(fact::OPEN_FDS, 900.0);
        check(&open, DescriptorLeak, &[]);
        let cause =
            check(&open.clone().number(fact::SOCKET_FDS, 850.0).number(fact::FILE_FDS, 20.0), DescriptorLeak, &[]);
        assert_eq!(cause.because, "900 descriptors are open, 850 of them sockets");
        assert!(cause.advice()[0].starts_with("Most of them are sockets"), "{:?}", cause.advice());
        let flat = open.clone().number(fact::SOCKET_FDS, 850.0).number(fact::FDS_GROWTH_PER_HOUR, 0.0);
        let cause = check(&flat.number(fact::MAX_FDS, 1024.0), DescriptorLeak, &[]);
        assert_eq!(cause.because, "900 descriptors are open, 850 of them sockets; their number does not grow");
        assert_eq!(cause.confidence, Possible);
        assert!(
            cause.advice()[0].starts_with("Their number does not grow: raise the limit of 1024"),
            "{:?}",
            cause.advice()
        );
        let grows = open.clone().number(fact::SOCKET_FDS, 850.0).number(fact::FDS_GROWTH_PER_HOUR, 600.0);
        assert_eq!(check(&grows, DescriptorLeak, &[]).confidence, Likely);
        // The kinds were read when thirteen were open.
        let early = open.number(fact::SOCKET_FDS, 3.0).number(fact::OTHER_FDS, 10.0);
        assert_eq!(check(&early, DescriptorLeak, &[]).because, "900 descriptors are open");
    }
}
