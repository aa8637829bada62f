//! The dashboard to watch while load is sent.

use super::{
    frame::{self, LOAD_TEST},
    model::Dashboard,
    overview::{cpu, endpoint, time_by_part},
    panel::{Chart, RATIO, REQUESTS, Row, SECONDS},
    series::{ENDPOINT, INSTANCE, Series, label},
};
use crate::{
    RuleSet,
    export::query::{is, one_route},
    names,
    rules::{Measure, Scope},
};

const ABOUT: &str = "\
The load tester (`loadtest`) measures at the client, and its report has those numbers; it writes nothing to Prometheus. Here is what the \
**service** saw of the same time: set the range to that of the run. Where both differ, the time is lost in between: in the \
network, in queues in front of the service, or in the load tester's own machine, which its report judges too.";

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let series = Series::selected();
    let rows = vec![load(&series), answers(&series, rules), limits(&series, rules)];
    frame::dashboard(LOAD_TEST, "now-15m", Vec::new(), rows)
}

fn load(series: &Series) -> Row {
    let quantile = |percent| series.quantile(&names::HTTP_DURATION, percent, &[]);
    Row {
        title: "Load",
        charts: vec![
            Chart::text("What this shows", ABOUT),
            Chart::lines("Throughput", "Requests a second that the service answered. Where it stops to rise while more load is sent, the service is at its capacity.")
                .unit(REQUESTS)
                .query(series.rate(&names::REQUESTS, &[], &[]), "all")
                .query(series.rate(&names::REQUESTS, &[], &[is(names::OUTCOME, names::OK)]), names::OK),
            Chart::lines("In flight", "Requests in progress on average: throughput times duration. Where it rises faster than the throughput, requests queue.")
                .query(series.total(&names::HTTP_DURATION, &[]), "in flight"),
            Chart::lines("Latency", "How long requests take in the service, to the last byte of the answer. The bend upwards is the capacity; run the load at some distance below it.")
                .unit(SECONDS)
                .query(quantile(50), "median")
                .query(quantile(95), "95th percentile")
                .query(quantile(99), "99th percentile"),
        ],
    }
}

fn answers(series: &Series, rules: &RuleSet) -> Row {
    let routes = series.with(one_route());
    let top = |expression: String| routes.top(&expression, &ENDPOINT, &names::HTTP_DURATION);
    let measure = |measure| top(series.measure(Scope::Endpoint, measure));
    let ratio = |outcome| series.outcome_ratio(&names::REQUESTS, outcome, &[]);
    Row {
        title: "Answers",
        charts: vec![
            Chart::lines("What did not end well", "Shares of the requests that failed, were refused (4xx), or that the load tester gave up. A test with many of them measures the errors.")
                .unit(RATIO)
                .query(ratio(names::ERROR), names::ERROR)
                .query(ratio(names::CLIENT_ERROR), names::CLIENT_ERROR)
                .query(ratio(names::CANCELLED), names::CANCELLED),
            Chart::lines("Throughput by endpoint", "Requests a second of the ten endpoints that take the most time: the mixture that was sent.")
                .unit(REQUESTS)
                .query(measure(Measure::Rate), &endpoint()),
            Chart::lines("95th percentile by endpoint", "Begin with the endpoint that bends upwards first.")
                .unit(SECONDS)
                .query(measure(Measure::DurationQuantile(95)), &endpoint())
                .thresholds(series, rules, Scope::Endpoint, &[Measure::OwnDurationQuantile(95), Measure::DurationQuantile(95)]),
        ],
    }
}

fn limits(series: &Series, rules: &RuleSet) -> Row {
    let share = |part: String, whole: String| format!("{part} / {whole}");
    let workers = share(series.rate(&names::TOKIO_WORKER_BUSY, &[], &[]), series.sum(&names::TOKIO_WORKERS, &[]));
    let used = series.with([is(names::POOL_STATE, names::USED)]).sum(&names::POOL_COUNT, &[names::POOL_NAME]);
    let pools = share(used, series.sum(&names::POOL_MAX, &[names::POOL_NAME]));
    Row {
        title: "What runs out first",
        charts: vec![
            time_by_part(series, "Requests by what they do", "the requests in flight"),
            Chart::lines("Shares in use", "How much is in use of the processor, of the runtime's workers and of each pool of connections. What reaches 1 first is most likely the bottleneck; where nothing does, look at the waits.")
                .share()
                .query(share(series.rate(&names::PROCESS_CPU, &[], &[]), series.sum(&names::CPUS, &[])), "processor")
                .query(workers, "workers")
                .query(pools, &format!("pool {}", label(names::POOL_NAME)))
                .size(12, 9),
            cpu(series, &[INSTANCE], &label(INSTANCE)),
            Chart::lines("Scheduling lag", "How much later than due wake-ups are polled. If it rises before the processor is in full use, something may block the workers.")
                .unit(SECONDS)
                .query(series.quantile(&names::TOKIO_SCHEDULING_LAG, 50, &[]), "median")
                .query(series.quantile(&names::TOKIO_SCHEDULING_LAG, 99, &[]), "99th percentile")
                .thresholds(series, rules, Scope::Process, &[Measure::SchedulingLag]),
            Chart::lines("Waits", "How many waited on average for a connection of a pool, and for locks, permits and channels.")
                .query(series.total(&names::POOL_WAIT, &[names::POOL_NAME]), &format!("pool {}", label(names::POOL_NAME)))
                .query(series.total(&names::WAIT_DURATION, &[names::WAIT_KIND, names::WAIT_NAME]), &format!("{} {}", label(names::WAIT_KIND), label(names::WAIT_NAME)))
                .empty("Empty where no wait is tracked"),
        ],
    }
}
