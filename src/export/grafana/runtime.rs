//! The dashboard of the process: runtime, tasks, processor, memory, and the monitor itself.

use super::{
    frame::{self, RUNTIME},
    model::Dashboard,
    overview::{cpu, endpoint},
    panel::{BYTES, BYTES_PER_SECOND, COUNT, Chart, PER_SECOND, RATIO, Row, SECONDS},
    series::{ENDPOINT, INSTANCE, Series, label},
};
use crate::{
    RuleSet,
    export::query::{is, one_route},
    names,
    rules::{Measure, Scope},
};

const BY: [&str; 1] = [INSTANCE];
const NO_TASK: &str = "Empty where no task is tracked: `track_async_task`";
const NO_QUOTA: &str = "Empty where the control group has no CPU quota";
const NO_ALLOCATOR: &str = "Empty unless the service has installed the counting allocator (feature `alloc`)";

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let series = Series::selected();
    let rows = vec![
        runtime(&series, rules),
        tasks(&series, rules),
        processor(&series),
        memory(&series, rules),
        descriptors(&series, rules),
        monitor(&series),
    ];
    frame::dashboard(RUNTIME, "now-1h", Vec::new(), rows)
}

fn instance() -> String {
    label(INSTANCE)
}

fn runtime(series: &Series, rules: &RuleSet) -> Row {
    let workers = series.sum(&names::TOKIO_WORKERS, &BY);
    let busy = series.rate(&names::TOKIO_WORKER_BUSY, &BY, &[]);
    let lag = |percent| series.quantile(&names::TOKIO_SCHEDULING_LAG, percent, &BY);
    let routes = series.with(one_route());
    let blocking = routes.top(
        &routes.total(&names::ENDPOINT_BLOCKING_POLLS, &ENDPOINT),
        &ENDPOINT,
        &names::ENDPOINT_BLOCKING_POLLS,
    );
    let polls = routes.top(
        &series.measure(Scope::Endpoint, Measure::LongestPollQuantile(95)),
        &ENDPOINT,
        &names::HTTP_DURATION,
    );
    let judged = [Measure::LongestPollQuantile(50), Measure::LongestPollQuantile(95)];
    Row {
        title: "Tokio runtime",
        charts: vec![
            Chart::lines("Busy workers", "Share of the time in which the workers were busy. Near 1 everything waits for a worker.")
                .share()
                .query(format!("{busy} / {workers}"), &instance())
                .empty("Empty on processors without 64-bit atomics"),
            Chart::lines("Scheduling lag", "How much later than due a timer of the monitor was polled; every task waits as long. Long while the workers are not busy: one of them is blocked (the panel beside has the endpoints that block), or the process gets no CPU (`Waiting for a CPU`).")
                .unit(SECONDS)
                .query(lag(50), &format!("{} median", instance()))
                .query(lag(99), &format!("{} 99th percentile", instance()))
                .thresholds(series, rules, Scope::Process, &[Measure::SchedulingLag]),
            Chart::stack("Workers blocked by endpoints", "How many workers each endpoint keeps in polls of 10 ms and longer, on average. Move that work to spawn_blocking.")
                .query(blocking, &endpoint())
                .empty("Empty where no request has blocked a worker"),
            Chart::lines("Longest poll by endpoint", "One in twenty requests keeps a worker at a stretch for longer; of the endpoints that take the most time.")
                .unit(SECONDS)
                .query(polls, &endpoint())
                .thresholds(series, rules, Scope::Endpoint, &judged),
            Chart::lines("Tasks", "Tasks that are alive in the runtime. If they only become more while the traffic does not, something spawns tasks that do not end.")
                .query(series.sum(&names::TOKIO_ALIVE_TASKS, &BY), &instance()),
            Chart::lines("Waiting for a worker", "Tasks in the global queue of the runtime, and workers that have something to do. A queue beside idle workers passes; a queue that stays is more work than the workers do: they are too few, or some are blocked.")
                .query(series.sum(&names::TOKIO_GLOBAL_QUEUE, &BY), &format!("{} queued", instance()))
                .query(format!("{workers} - {}", series.sum(&names::TOKIO_WORKERS_PARKED, &BY)), &format!("{} workers with work", instance())),
        ],
    }
}

fn tasks(series: &Series, rules: &RuleSet) -> Row {
    let task = [names::TASK_NAME];
    let name = label(names::TASK_NAME);
    let measure = |measure| series.measure(Scope::Task, measure);
    let ratios = [Measure::ErrorRatio, Measure::CancelledRatio];
    Row {
        title: "Tracked tasks",
        charts: vec![
            Chart::lines("Runs", "Runs of each task a second by outcome. A task that ran before and does not now has stopped, or nothing asks for it.")
                .unit(PER_SECOND)
                .query(series.rate(&names::TASK_RUNS, &[names::TASK_NAME, names::OUTCOME], &[]), &format!("{name} {}", label(names::OUTCOME)))
                .empty(NO_TASK),
            Chart::lines("Mean duration of tasks", "How long a run takes on average.")
                .unit(SECONDS)
                .query(measure(Measure::AvgDuration), &name)
                .thresholds(series, rules, Scope::Task, &[Measure::AvgDuration])
                .empty(NO_TASK),
            Chart::lines("Failing and cancelled runs", "Shares of a task's runs that fail, and that are dropped before their end.")
                .unit(RATIO)
                .query(measure(Measure::ErrorRatio), &format!("{name} failed"))
                .query(measure(Measure::CancelledRatio), &format!("{name} cancelled"))
                .thresholds(series, rules, Scope::Task, &ratios)
                .empty(NO_TASK),
            Chart::stack("What tasks spend their time in", "How many runs were in each state on average: in queries, calls, waits or ready without a worker (`late`); what is missing they computed, or waited for what is not tracked.")
                .query(series.rate(&names::TASK_PART_NANOS, &[names::TASK_NAME, names::PART], &[]), &format!("{name}: {}", label(names::PART)))
                .empty(NO_TASK),
            Chart::lines("Runs in progress, and how long", "How long the oldest run in progress has been running. One that only grows is stuck, or runs for long by design: /performance/report says what it waits for.")
                .unit(SECONDS)
                .query(format!("max by ({}) ({})", names::TASK_NAME, measure(Measure::OldestActive)), &name)
                .thresholds(series, rules, Scope::Task, &[Measure::OldestActive])
                .empty(NO_TASK),
            Chart::lines("Runs in progress", "How many runs of each task are in progress, the workers that its blocking polls keep, and the time of requests that it takes.")
                .query(series.sum(&names::TASK_ACTIVE, &task), &name)
                .query(series.total(&names::TASK_BLOCKING_POLLS, &task), &format!("{name}: workers blocked"))
                .query(series.rate(&names::TASK_REQUEST_NANOS, &task, &[]), &format!("{name}: inside requests"))
                .empty(NO_TASK),
        ],
    }
}

fn processor(series: &Series) -> Row {
    let all = series.rate(&names::SYSTEM_CPU_TIME, &BY, &[]);
    let steal = series.rate(&names::SYSTEM_CPU_TIME, &BY, &[is(names::CPU_MODE, names::STEAL)]);
    let periods = series.rate(&names::CPU_PERIODS, &BY, &[]);
    let limit = format!("{} < +Inf", series.sum(&names::CPU_LIMIT, &BY));
    Row {
        title: "Processor",
        charts: vec![
            cpu(series, &BY, &instance()),
            Chart::lines("Waiting for a CPU", "Threads that were ready and had no CPU, on average. Above the number of CPUs in use the machine is overloaded: by this process, or by its neighbours.")
                .query(series.rate(&names::PROCESS_CPU_WAITING, &BY, &[]), &instance())
                .empty("Empty but on Linux"),
            Chart::lines("Throttling", "Share of the periods in which the control group used its quota up and had to wait: raise the quota, or use fewer workers.")
                .share()
                .query(format!("{} / {periods}", series.rate(&names::CPU_THROTTLED_PERIODS, &BY, &[])), &instance())
                .empty(NO_QUOTA),
            Chart::lines("CPUs", "CPUs that the process may use, its quota where it has one, and those that it uses.")
                .query(series.sum(&names::CPUS, &BY), &format!("{} may use", instance()))
                .query(limit, &format!("{} quota", instance()))
                .query(series.rate(&names::PROCESS_CPU, &BY, &[]), &format!("{} uses", instance())),
            Chart::lines("Pressure", "Share of the time in which something waited for a CPU: in the whole machine, and in the control group of the process.")
                .share()
                .query(series.rate(&names::CPU_PRESSURE, &[INSTANCE, names::KIND], &[]), &format!("{} {}", instance(), label(names::KIND)))
                .empty("Empty where the kernel keeps no pressure stall information"),
            Chart::lines("Stolen time", "Share of the machine's CPU time that the hypervisor gave to others. Ask for another machine if it stays high.")
                .unit(RATIO)
                .query(format!("{steal} / {all}"), &instance())
                .empty("Empty but on Linux"),
        ],
    }
}

fn memory(series: &Series, rules: &RuleSet) -> Row {
    let routes = series.with(one_route());
    let live = format!("topk(10, {})", routes.sum(&names::HTTP_LIVE_BYTES, &ENDPOINT));
    let held = series.measure_by(&BY, Scope::Process, Measure::MemoryLimitRatio);
    let allocated = routes.top(&routes.total(&names::HTTP_ALLOCATED, &ENDPOINT), &ENDPOINT, &names::HTTP_ALLOCATED);
    Row {
        title: "Memory",
        charts: vec![
            Chart::lines("Memory of the process", "Memory that the process owns, what is resident of it with the pages of files, and the working set of its control group.")
                .unit(BYTES)
                .query(series.sum(&names::PROCESS_OWNED, &BY), &format!("{} owned", instance()))
                .query(series.sum(&names::PROCESS_RESIDENT, &BY), &format!("{} resident", instance()))
                .query(series.sum(&names::MEMORY_WORKING_SET, &BY), &format!("{} working set", instance()))
                .thresholds(series, rules, Scope::Process, &[Measure::ResidentMemory]),
            Chart::lines("Share of the memory limit", "At 1 the kernel kills the process. Raise the limit, or find what grows.")
                .share()
                .query(held, &instance())
                .thresholds(series, rules, Scope::Process, &[Measure::MemoryLimitRatio])
                .empty("Shows thresholds alone where the control group has no memory limit"),
            Chart::lines("Growth", "Bytes an hour that the process gains for good, as the leak detector judges it, and what single routes keep; 0 where nothing is consistent with a leak.")
                .unit(BYTES)
                .query(series.measure_by(&BY, Scope::Process, Measure::MemoryGrowth), &instance())
                .thresholds(series, rules, Scope::Process, &[Measure::MemoryGrowth])
                .empty("Shows thresholds alone until the detector has data enough, after some minutes"),
            Chart::lines("Memory that requests keep", "Bytes that requests of an endpoint allocated and that are not freed yet, of the ten with the most. A line that only rises is a leak, or a cache without a limit.")
                .unit(BYTES)
                .query(live, &endpoint())
                .empty(NO_ALLOCATOR)
                .size(12, 9),
            Chart::lines("Allocations", "Bytes that requests allocate each second, of the ten endpoints with the most. The allocator's work; not memory that is kept.")
                .unit(BYTES_PER_SECOND)
                .query(allocated, &endpoint())
                .empty(NO_ALLOCATOR)
                .size(12, 9),
        ],
    }
}

fn descriptors(series: &Series, rules: &RuleSet) -> Row {
    let ratio = series.measure_by(&BY, Scope::Process, Measure::OpenFdsRatio);
    Row {
        title: "Descriptors and threads",
        charts: vec![
            Chart::lines("Share of the limit of descriptors", "At 1 no connection can be accepted or opened. The panel beside says what they lead to.")
                .unit(RATIO)
                .query(ratio, &instance())
                .thresholds(series, rules, Scope::Process, &[Measure::OpenFdsRatio])
                .empty("Empty on Windows, which has no limit"),
            Chart::stack("Open descriptors", "Open file descriptors by what they lead to, of all selected instances.")
                .query(series.sum(&names::OPEN_FDS, &[names::KIND]), &label(names::KIND))
                .empty("Empty but on Linux"),
            Chart::lines("Threads", "Threads of the process. Hundreds that come and go are most likely those of blocking tasks, which queue when the pool of 512 is full.")
                .query(series.sum(&names::PROCESS_THREADS, &BY), &instance())
                .empty("Empty but on Linux"),
        ],
    }
}

fn monitor(series: &Series) -> Row {
    let loaded = format!("{} == 0", series.of(&names::RULES_RELOAD_SUCCESSFUL, &[]));
    let worse = format!("{} > 0", series.of(&names::TREND, &[]));
    let labels = [(names::SUBJECT, "Subject"), (names::MEASURE, "What"), (INSTANCE, "Instance")];
    let by = labels.map(|(label, _)| label).join(", ");
    Row {
        title: "The monitor itself",
        charts: vec![
            Chart::lines("Cost of the evaluation", "Share of one CPU that evaluating the rules takes. Near 1 findings come late: lower max_series or raise evaluation_interval.")
                .unit(RATIO)
                .query(series.total(&names::RULE_EVALUATION, &BY), &instance()),
            Chart::lines("Problems of the monitor", "Series a second that were folded into `other` because a limit was reached, how long a file system has not answered, and instances whose rule files are wrong. All of it should be 0.")
                .query(series.rate(&names::SERIES_DROPPED, &BY, &[]), &format!("{} series dropped a second", instance()))
                .query(series.max(&names::WORK_PENDING, &[INSTANCE, names::WORK]), &format!("{} waits for {} (s)", instance(), label(names::WORK)))
                .query(format!("count by ({INSTANCE}) ({loaded})"), &format!("{} refused its rules", instance())),
            Chart::table("What gets worse", "What has become worse over the last 24 hours by a trend that is not chance: response times, errors, throughput or memory. /performance/trends has the numbers.", &labels)
                .column("Trends", COUNT, format!("sum by ({by}) ({worse})"))
                .empty("Empty while nothing gets worse, and for the first hour, which trends need at least")
                .size(8, 9),
        ],
    }
}
