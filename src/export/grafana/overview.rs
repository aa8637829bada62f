//! The dashboard to begin with.

use super::{
    frame::{self, DATABASE, ENDPOINT as ENDPOINT_DASHBOARD, OVERVIEW, RUNTIME},
    model::Dashboard,
    panel::{BYTES, COUNT, Chart, PER_SECOND, RATIO, REQUESTS, Row, SECONDS, color},
    series::{ENDPOINT, INSTANCE, JOB, Series, label},
};
use crate::{
    RuleSet,
    export::query::{is, is_not, one_route},
    names,
    rules::{Measure, Scope, Severity},
};

pub(super) fn dashboard(rules: &RuleSet) -> Dashboard {
    let rows = vec![state(), objectives(rules), requests(rules), time(), saturation(rules)];
    frame::dashboard(OVERVIEW, "now-1h", Vec::new(), rows)
}

/// Legend of an endpoint.
pub(super) fn endpoint() -> String {
    format!("{} {}", label(names::METHOD), label(names::ROUTE))
}

/// The address of an endpoint's dashboard, from a table with its labels.
pub(super) fn to_endpoint() -> String {
    format!(
        "/d/{}?${{datasource:queryparam}}&${{job:queryparam}}&${{instance:queryparam}}&${{__url_time_range}}\
         &var-route=${{__data.fields.Route:percentencode}}&var-method=${{__data.fields.Method}}",
        ENDPOINT_DASHBOARD.uid
    )
}

/// How many findings of a severity there are.
fn findings_of(severity: Severity, title: &'static str) -> Chart {
    let firing = Series::selected().of(&names::BOTTLENECK, &[is(names::SEVERITY, severity.as_str())]);
    let description = match severity {
        Severity::Critical => {
            "Findings that make users leave, or the service about to fail. Act on them now: the table names them."
        }
        Severity::High => "Findings that users notice. Fix them soon: the table names them.",
        Severity::Medium | Severity::Low => "Findings that are worth a plan, or worth knowing; the table names them.",
    };
    Chart::number(title, description)
        .query(format!("sum({firing} > 0) or vector(0)"), severity.as_str())
        .alarm(severity)
}

/// The findings of now, a row each.
pub(super) fn findings_table(series: &Series) -> Chart {
    let firing = format!("{} > 0", series.of(&names::BOTTLENECK, &[]));
    let labels = [
        (names::SEVERITY, "Severity"),
        (names::RULE, "Rule"),
        (names::SUBJECT, "Subject"),
        (JOB, "Service"),
        (INSTANCE, "Instance"),
    ];
    let text = "What each monitor finds at the moment. Its cause, the evidence and what to do are in the report of the instance, \
                /performance/report; the instance's cell links to it, if your browser reaches that address.";
    let words = Severity::ALL.map(|severity| (severity.as_str(), color(severity)));
    Chart::table("Findings now", text, &labels)
        .column("Findings", COUNT, format!("sum by ({}) ({firing})", labels.map(|(label, _)| label).join(", ")))
        .empty("Empty while nothing is found")
        .link("Instance", "Report of the instance", "http://${__value.text}/performance/report?format=html")
        .words("Severity", &words)
        .size(14, 9)
}

fn state() -> Row {
    let series = Series::selected();
    let firing = series.of(&names::BOTTLENECK, &[]);
    let by_rule = format!("sum by ({}, {}) ({firing}) > 0", names::RULE, names::SEVERITY);
    Row {
        title: "State",
        charts: vec![
            findings_of(Severity::Critical, "Critical findings"),
            findings_of(Severity::High, "High findings"),
            Chart::number("Instances", "Processes with the monitor inside. Fewer than you run: one is down, or not scraped.")
                .query(format!("count({})", series.of(&names::BUILD_INFO, &[])), "instances"),
            Chart::number("Requests", "Requests a second of all endpoints. A fall without a reason: clients cannot reach the service, or do not call it any more.")
                .unit(REQUESTS)
                .query(series.count(&names::HTTP_DURATION, &[], &[]), "requests"),
            Chart::number("Errors", "Share of the requests that the service failed: statuses of 5xx, panics, bodies that broke off. Look at the errors by endpoint below.")
                .unit(RATIO)
                .query(series.outcome_ratio(&names::REQUESTS, names::ERROR, &[]), "errors"),
            Chart::number("95th percentile", "One in twenty requests takes longer, to the last byte of its answer. Look at the endpoints below.")
                .unit(SECONDS)
                .query(series.quantile(&names::HTTP_DURATION, 95, &[]), "95th percentile"),
            findings_table(&series),
            Chart::timeline("Findings over time", "Which rule had a finding when, with the number of its subjects. What began at a deployment (blue mark) may have come with it.")
                .query(by_rule, &format!("{} ({})", label(names::RULE), label(names::SEVERITY)))
                .empty("Empty where no rule has found anything in this time")
                .size(10, 9),
        ],
    }
}

/// The error budgets of the service-level objectives.
fn objectives(rules: &RuleSet) -> Row {
    const NONE: &str = "Empty where no objective is set: rules/examples/slo.yaml is a file to begin with";
    let series = Series::selected();
    let labels = [(names::RULE, "Objective"), (names::SUBJECT, "Subject"), (INSTANCE, "Instance")];
    let by = labels.map(|(label, _)| label).join(", ");
    let of = |metric, more: &[String]| format!("max by ({by}) ({})", series.of(metric, more));
    let rate = |window: &str| of(&names::SLO_BURN_RATE, &[is(names::WINDOW, window)]);
    let legend = format!("{} {}", label(names::RULE), label(names::SUBJECT));
    let threshold = format!(
        "max by ({}) ({} and on ({JOB}, {INSTANCE}, {}) {})",
        names::SEVERITY,
        series.of(&names::RULE_THRESHOLD, &[is(names::SEVERITY, Severity::Critical.as_str())]),
        names::RULE,
        series.of(&names::SLO_OBJECTIVE, &[]),
    );
    let rate_now = Chart::lines("Burn rate in the last hour", "How many times as fast as its objective allows an error budget is spent. Above the threshold, in five minutes too, it would be spent within days.")
        .query(rate("1h"), &legend)
        .empty(NONE)
        .size(6, 8);
    Row {
        title: "Service-level objectives",
        charts: vec![
            Chart::table("Error budgets", "What is left of each error budget, of the requests that are known, and how fast it is spent: at a burn rate of 1 it lasts for exactly the objective's window. It ends in the time that is shown if requests come and fail as in the last hour.", &labels)
                .column("Objective", RATIO, of(&names::SLO_OBJECTIVE, &[]))
                .column("Budget left", RATIO, of(&names::SLO_BUDGET_LEFT, &[]))
                .column("Ends in", SECONDS, of(&names::SLO_BUDGET_ENDS_IN, &[]))
                .column("Burn rate in 1h", COUNT, rate("1h"))
                .column("in 6h", COUNT, rate("6h"))
                .column("in 3d", COUNT, rate("3d"))
                .column("Known for", SECONDS, of(&names::SLO_KNOWN, &[]))
                .empty(NONE)
                .size(12, 8),
            // An objective may be added to the rules of a service that runs.
            match rules.rules() {
                [] => rate_now,
                _ => rate_now.query(threshold, "critical").color("critical", color(Severity::Critical)),
            },
            Chart::lines("Error budget left", "Share of the error budget that is left. A step down is an outage; a slope that lasts breaks the promise.")
                .unit(RATIO)
                .query(of(&names::SLO_BUDGET_LEFT, &[]), &legend)
                .empty(NONE)
                .size(6, 8),
        ],
    }
}

fn requests(rules: &RuleSet) -> Row {
    let series = Series::selected();
    let routes = series.with(one_route());
    let top = |expression: String| routes.top(&expression, &ENDPOINT, &names::HTTP_DURATION);
    let measure = |measure| series.measure(Scope::Endpoint, measure);
    let now = series.lately();
    let endpoints = now.with(one_route());
    let column = |measure| now.measure(Scope::Endpoint, measure);
    let p95 = [Measure::OwnDurationQuantile(95), Measure::DurationQuantile(95)];
    Row {
        title: "Requests by endpoint: the ten that take the most time",
        charts: vec![
            Chart::lines("Rate", "Requests a second by endpoint. A line that falls alone is a client that has stopped, or an endpoint that fails earlier.")
                .unit(REQUESTS)
                .query(top(measure(Measure::Rate)), &endpoint()),
            Chart::lines("Error ratio", "Share of an endpoint's requests that the service failed. The endpoint's dashboard has the statuses.")
                .unit(RATIO)
                .query(top(measure(Measure::ErrorRatio)), &endpoint())
                .thresholds(&series, rules, Scope::Endpoint, &[Measure::ErrorRatio]),
            Chart::lines("95th percentile of the duration", "One in twenty requests takes longer, without the time that clients take to send and to read. The buckets end at 10 s: a line there means 10 s or more.")
                .unit(SECONDS)
                .query(top(measure(Measure::OwnDurationQuantile(95))), &endpoint())
                .thresholds(&series, rules, Scope::Endpoint, &p95),
            Chart::table(
                "Endpoints now",
                "Every endpoint over the last five minutes. `Share of time` is where faster code pays most; a route leads to its dashboard.",
                &[(names::METHOD, "Method"), (names::ROUTE, "Route")],
            )
            .column("Share of time", RATIO, column(Measure::TimeShare))
            .column("Requests a second", REQUESTS, endpoints.count(&names::HTTP_DURATION, &ENDPOINT, &[]))
            .column("Mean", SECONDS, column(Measure::AvgDuration))
            .column("95th percentile", SECONDS, column(Measure::DurationQuantile(95)))
            .column("Errors", RATIO, column(Measure::ErrorRatio))
            .column("Client errors", RATIO, column(Measure::ClientErrorRatio))
            .column("Cancelled", RATIO, column(Measure::CancelledRatio))
            .link("Route", "Dashboard of the endpoint", &to_endpoint()),
        ],
    }
}

/// What requests spend their time in: disjoint parts that add up to their duration.
pub(super) fn time_by_part(series: &Series, title: &'static str, of: &str) -> Chart {
    let parts = series.rate(&names::ENDPOINT_PART_NANOS, &[names::PART], &[]);
    let duration = series.total(&names::HTTP_DURATION, &[]);
    let polled = series.total(&names::HTTP_BUSY, &[]);
    let overlap = format!("({} or vector(0))", series.rate(&names::ENDPOINT_OVERLAP_NANOS, &[], &[]));
    let own = format!("clamp_min({polled} - {overlap}, 0)");
    let all_parts = format!("({} or vector(0))", series.rate(&names::ENDPOINT_PART_NANOS, &[], &[]));
    let rest = format!("clamp_min({duration} - {all_parts} - {own}, 0)");
    let text = format!(
        "How many of {of} were in each state on average; all of it is their duration. `busy`: on a worker, doing nothing else that is tracked. \
         `late`: ready, and no worker was free. `rest`: waiting for what is not tracked; track_wait names it. The largest part is what to make faster."
    );
    Chart::stack(title, &text)
        .query(parts, &label(names::PART))
        .query(own, "busy")
        .query(rest, "rest")
        .color("rest", "#8e8e8e")
        .color("busy", "red")
        .color("late", "dark-red")
        .size(12, 9)
}

fn time() -> Row {
    let series = Series::selected();
    let routes = series.with(one_route());
    let by_endpoint = routes.top(&routes.total(&names::HTTP_DURATION, &ENDPOINT), &ENDPOINT, &names::HTTP_DURATION);
    Row {
        title: "Where time goes",
        charts: vec![
            time_by_part(&series, "Requests by what they do", "the requests in flight"),
            Chart::stack(
                "Requests in flight by endpoint",
                "How many requests of each endpoint were in flight on average: its rate times its duration. The widest takes the most of the service's time.",
            )
            .query(by_endpoint, &endpoint())
            .size(12, 9),
        ],
    }
}

/// How much of the CPUs that they may use processes use.
pub(super) fn cpu(series: &Series, by: &[&str], legend: &str) -> Chart {
    Chart::lines("Processor", "CPU time that is used, as a share of the CPUs that the process may use. Near 1 requests wait for it: find the busiest endpoint, or add CPUs.")
        .share()
        .query(series.cpu_ratio(by), legend)
}

fn saturation(rules: &RuleSet) -> Row {
    let series = Series::selected();
    let by_instance = [INSTANCE];
    let instance = &*label(INSTANCE);
    let workers = series.rate(&names::TOKIO_WORKER_BUSY, &by_instance, &[]);
    let pools = [names::POOL_NAME, INSTANCE];
    let used = series.with([is(names::POOL_STATE, names::USED)]).sum(&names::POOL_COUNT, &pools);
    let memory = |measure| series.measure_by(&[INSTANCE], Scope::Process, measure);
    let failing = series.rate(&names::REQUESTS, &[names::OUTCOME], &[is_not(names::OUTCOME, names::OK)]);
    let more = |to: &frame::Title| format!(" The dashboard `{}` has more.", to.link);
    Row {
        title: "What is nearly full",
        charts: vec![
            cpu(&series, &by_instance, instance),
            Chart::lines("Workers", &("Share of the time in which the runtime's workers were busy. Near 1 every request waits for a worker: look for what blocks or computes.".to_owned() + &more(&RUNTIME)))
                .share()
                .query(format!("{workers} / {}", series.sum(&names::TOKIO_WORKERS, &by_instance)), instance),
            Chart::lines("Scheduling lag", "How much later than due one in a hundred wake-ups was polled; every request waits as long at each of its steps. A busy processor or a blocked worker causes it.")
                .unit(SECONDS)
                .query(series.quantile(&names::TOKIO_SCHEDULING_LAG, 99, &by_instance), instance)
                .thresholds(&series, rules, Scope::Process, &[Measure::SchedulingLag]),
            Chart::lines("Memory", "Memory that the process owns. If it grows and never falls, look at the growth in the dashboard `Runtime`.")
                .unit(BYTES)
                .query(memory(Measure::ResidentMemory), instance)
                .thresholds(&series, rules, Scope::Process, &[Measure::ResidentMemory]),
            Chart::lines("Connections of pools", &("Share of a pool's connections that are in use. At 1 requests queue for a connection: hold them for less time, or raise the limit.".to_owned() + &more(&DATABASE)))
                .share()
                .query(format!("{used} / {}", series.sum(&names::POOL_MAX, &pools)), &format!("{} on {instance}", label(names::POOL_NAME)))
                .empty("Empty where no pool is watched: `Monitor::watch_pool`, or sqlx's events"),
            Chart::lines("Requests that did not end well", "Requests a second that failed, were refused (4xx), or whose client left.")
                .unit(PER_SECOND)
                .query(failing, &label(names::OUTCOME)),
        ],
    }
}
