//! The dashboard of instances and versions side by side.

use super::{
    frame::{self, FLEET, by, several, values},
    model::Dashboard,
    panel::{BYTES, COUNT, Chart, RATIO, REQUESTS, Row, SECONDS},
    series::{INSTANCE, JOB, Series, label},
};
use crate::{
    RuleSet,
    export::query::{TARGET, is, one_of},
    names,
    rules::{Measure, Scope},
};

const NO_VERSION: &str =
    "Empty where the services have no name: `MonitorBuilder::service`, or OpenTelemetry's variables";

const NO_COMPARISON: &str =
    "Empty without a version before that the instance knows: it takes a history file, a version, and 15 minutes";

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let known = [by(JOB, JOB), by(INSTANCE, INSTANCE)];
    let versions = values("version", "Version", names::SERVICE_VERSION, &names::TARGET_INFO, &known);
    let series = Series::selected();
    let rows =
        vec![now(&series), instances(&series, rules), versions_compared(&series), versions_before(&series, rules)];
    frame::dashboard(FLEET, "now-3h", vec![several(versions)], rows)
}

fn on() -> String {
    format!("on ({})", TARGET.join(", "))
}

/// Leaves the processes of the versions that are selected; those without a version are always there.
fn selected(series: &Series, expression: &str) -> String {
    let of_version = series.of(&names::TARGET_INFO, &[by(names::SERVICE_VERSION, "version")]);
    let all = series.of(&names::TARGET_INFO, &[]);
    let without = format!("{} unless {} {all}", series.of(&names::BUILD_INFO, &[]), on());
    format!("({expression})\nand {} ({of_version} or ({without}))", on())
}

/// Adds the version of each process to an expression of `job` and `instance`.
fn versioned(series: &Series, expression: &str) -> String {
    let versions = series.of(&names::TARGET_INFO, &[by(names::SERVICE_VERSION, "version")]);
    let versions = one_of(&TARGET.join(", "), &versions);
    format!("({expression}) * {} group_left ({}) {versions}", on(), names::SERVICE_VERSION)
}

fn name() -> String {
    label(INSTANCE)
}

fn now(series: &Series) -> Row {
    let now = series.lately();
    let of = |expression: String| selected(series, &expression);
    let process = |measure| of(now.measure_by(&TARGET, Scope::Process, measure));
    let findings = format!("sum by ({}) ({})", TARGET.join(", "), now.of(&names::BOTTLENECK, &[]));
    let age = format!("time() - {}", now.max(&names::PROCESS_START, &TARGET));
    let by_version = format!(
        "count by ({}) ({})",
        names::SERVICE_VERSION,
        series.of(&names::TARGET_INFO, &[by(names::SERVICE_VERSION, "version")])
    );
    let by_monitor = format!("count by ({}) ({})", names::VERSION, of(series.of(&names::BUILD_INFO, &[])));
    let errors = now.outcome_ratio(&names::REQUESTS, names::ERROR, &TARGET);
    Row {
        title: "Now",
        charts: vec![
            Chart::table("Instances now", "Each process over the last five minutes. One that is unlike the others may have a busy machine, an unequal share of the traffic, or another version.", &[(JOB, "Service"), (INSTANCE, "Instance")])
                .column("Findings", COUNT, of(findings))
                .column("Requests a second", REQUESTS, of(now.count(&names::HTTP_DURATION, &TARGET, &[])))
                .column("Errors", RATIO, of(errors))
                .column("95th percentile", SECONDS, of(now.quantile(&names::HTTP_DURATION, 95, &TARGET)))
                .column("Processor", RATIO, of(now.cpu_ratio(&TARGET)))
                .column("Workers", RATIO, process(Measure::WorkerBusyRatio))
                .column("Memory", BYTES, process(Measure::ResidentMemory))
                .column("Age", SECONDS, of(age)),
            Chart::stack("Instances by version", "How many processes run each version of the service. Two versions for a while are a rollout; two for long may be one that stopped halfway.")
                .query(by_version, &label(names::SERVICE_VERSION))
                .empty(NO_VERSION)
                .size(12, 8),
            Chart::stack("Versions of the monitor", "How many processes have each version of Pinchpoint inside. Rules and metrics may differ between versions: update the older ones.")
                .query(by_monitor, &label(names::VERSION))
                .size(12, 8),
        ],
    }
}

fn instances(series: &Series, rules: &RuleSet) -> Row {
    let of = |expression: String| selected(series, &expression);
    let process = |measure| of(series.measure_by(&TARGET, Scope::Process, measure));
    let firing = format!("sum by ({}) ({}) > 0", TARGET.join(", "), series.of(&names::BOTTLENECK, &[]));
    Row {
        title: "Instances",
        charts: vec![
            Chart::lines("Rate by instance", "Requests a second by instance. Unequal shares are the load balancer's, or an instance that was taken out.")
                .unit(REQUESTS)
                .query(of(series.count(&names::HTTP_DURATION, &TARGET, &[])), &name()),
            Chart::lines("Error ratio by instance", "Share of an instance's requests that it failed. One alone: look at its machine and its connections first; all: at the service and what it depends on.")
                .unit(RATIO)
                .query(of(series.outcome_ratio(&names::REQUESTS, names::ERROR, &TARGET)), &name()),
            Chart::lines("95th percentile by instance", "One in twenty of an instance's requests takes longer. One alone: look for a busy machine or an unequal share of the load.")
                .unit(SECONDS)
                .query(of(series.quantile(&names::HTTP_DURATION, 95, &TARGET)), &name()),
            Chart::lines("Processor by instance", "CPU time that is used, as a share of the CPUs that the process may use.")
                .share()
                .query(of(series.cpu_ratio(&TARGET)), &name()),
            Chart::lines("Memory by instance", "Memory that each process owns. All growing alike: look at the service; one alone: at its traffic and its age first.")
                .unit(BYTES)
                .query(process(Measure::ResidentMemory), &name())
                .thresholds(series, rules, Scope::Process, &[Measure::ResidentMemory]),
            Chart::lines("Scheduling lag by instance", "How much later than due one in a hundred wake-ups was polled.")
                .unit(SECONDS)
                .query(process(Measure::SchedulingLag), &name())
                .thresholds(series, rules, Scope::Process, &[Measure::SchedulingLag]),
            Chart::timeline("Findings by instance", "When an instance had findings. All at once: the service or what it depends on; one alone: its machine or its traffic.")
                .query(of(firing), &name())
                .empty("Empty where no instance has had findings in this time")
                .size(24, 8),
        ],
    }
}

fn versions_compared(series: &Series) -> Row {
    let version = label(names::SERVICE_VERSION);
    let by_version =
        |expression: String| format!("sum by ({}) ({})", names::SERVICE_VERSION, versioned(series, &expression));
    let rate = by_version(series.count(&names::HTTP_DURATION, &TARGET, &[]));
    let total = by_version(series.total(&names::HTTP_DURATION, &TARGET));
    let failed = by_version(series.rate(&names::REQUESTS, &TARGET, &[is(names::OUTCOME, names::ERROR)]));
    let all = by_version(series.rate(&names::REQUESTS, &TARGET, &[]));
    Row {
        title: "Versions of the service",
        charts: vec![
            Chart::stack("Rate by version", "Requests a second by version of the service.")
                .unit(REQUESTS)
                .query(rate.clone(), &version)
                .empty(NO_VERSION),
            Chart::lines("Mean duration by version", "Mean duration of a request by version. A version that is slower on the same mixture of requests is a regression: /performance/comparison judges it route by route.")
                .unit(SECONDS)
                .query(format!("{total} / {rate}"), &version)
                .empty(NO_VERSION),
            Chart::lines("Error ratio by version", "Share of the requests that each version failed. Take a canary back that fails more on enough requests.")
                .unit(RATIO)
                .query(format!("{failed} / {all}"), &version)
                .empty(NO_VERSION),
        ],
    }
}

fn versions_before(series: &Series, rules: &RuleSet) -> Row {
    let process = |measure| selected(series, &series.measure_by(&TARGET, Scope::Process, measure));
    let labels = [(names::METHOD, "Method"), (names::ROUTE, "Route"), (INSTANCE, "Instance")];
    // Not where it is over: the gauge is then no number.
    let endpoints = |metric| format!("{} > 0", series.max(metric, &labels.map(|(label, _)| label)));
    Row {
        title: "Beside the version before",
        charts: vec![
            Chart::lines("Slower than the version before", "By how much at least half of an instance's endpoints are slower at least than in the version before, beyond chance. See what the version changed for all of them, and whether the load was alike.")
                .unit(RATIO)
                .query(process(Measure::VersionSlowdown), &name())
                .thresholds(series, rules, Scope::Process, &[Measure::VersionSlowdown])
                .empty(NO_COMPARISON)
                .size(12, 8),
            Chart::lines("More failures than in the version before", "By how much the share of requests that fail rose at least at half of an instance's endpoints or more, beyond chance. See what the version changed for all of them.")
                .unit(RATIO)
                .query(process(Measure::VersionErrorRise), &name())
                .thresholds(series, rules, Scope::Process, &[Measure::VersionErrorRise])
                .empty(NO_COMPARISON)
                .size(12, 8),
            Chart::table("Endpoints that are worse than in the version before", "By how much each is slower, and by how much the share of its requests that fail rose, at least and beyond chance, with the requests that this rests on. /performance/comparison has both versions.", &labels)
                .column("Slower by", RATIO, endpoints(&names::ENDPOINT_VERSION_SLOWDOWN))
                .column("Failures rose by", RATIO, endpoints(&names::ENDPOINT_VERSION_ERROR_RISE))
                .column("Requests", COUNT, endpoints(&names::ENDPOINT_VERSION_REQUESTS))
                .empty("Empty while no endpoint is worse")
                .size(24, 8),
        ],
    }
}
