//! [`measure`]: every measure of the catalogue as an expression of PromQL.
//!
//! An expression has a value for each subject and process: Prometheus's `job` and `instance`, and the labels that tell the
//! subjects of the scope apart. It follows the definition in [`window`](crate::rules), from the same counters, so that
//! Prometheus and the process judge alike; what they cannot agree on is in docs/semantics.md. A new measure does not compile
//! until it has an expression here, or says why it has none.

use super::{
    pairs::Pairs,
    query::{Query, is, is_not},
    usual,
};
use crate::{
    context::Part,
    names::{self, Metric},
    rules::{Measure, Scope},
    store::metric_name,
};

/// Why a measure has no expression.
pub(super) type Reason = &'static str;

const ONLY_INSIDE: Reason = "the evidence for it is kept in the process only";
const PAIRS: Reason = "a burn rate is judged in two windows at once";
const OTHER_NAME: Reason = "the metric has another name on /metrics";

/// Keeps a share that is made of two counters, read one after the other, from being more than all.
fn at_most_all(share: &str) -> String {
    format!("clamp_max({share}, 1)")
}

/// Returns the value of a measure for each subject.
///
/// # Errors
/// Returns why Prometheus cannot compute it from what is exposed.
pub(super) fn measure(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(reason) = measure.not_exported() {
        return Err(reason);
    }
    match measure {
        Measure::AbsentFor => return usual::absent_for(query),
        Measure::DropRatio => return Ok(usual::drop_ratio(query)),
        _ => {}
    }
    match query.scope {
        Scope::Endpoint => endpoint(query, measure),
        Scope::Query => statement(query, measure),
        Scope::Task => task(query, measure),
        Scope::Process => process(query, measure),
        // Its rules are exported by `objectives`, with pairs of windows.
        Scope::Slo => Err(PAIRS),
        Scope::Metric => query.metric.map_or(Err(ONLY_INSIDE), |metric| recorded(query, &metric.name, measure)),
    }
}

/// Returns the observations behind a measure, with what they are; `None` for what is read once.
pub(super) fn samples(query: &Query<'_>, measure: Measure) -> Option<(&'static str, String)> {
    match (query.scope, measure) {
        (Scope::Endpoint, _) if measure.is_of_versions() => {
            Some(("compared_requests", query.gauge(&names::ENDPOINT_VERSION_REQUESTS)))
        }
        (_, _) if measure.is_of_versions() => Some(("compared_requests", query.gauge(&names::VERSION_REQUESTS))),
        (_, Measure::Active | Measure::OldestActive | Measure::Value) => None,
        (Scope::Metric, Measure::Rate) => {
            let name = &query.metric?.name;
            Some(("observations", either(query, name, |name| query.change("increase", name, &[]), "increase")))
        }
        (Scope::Metric, _) => Some(("observations", query.of_histogram(&query.metric?.name, "count", "increase", &[]))),
        // The expression itself leaves out endpoints with too few requests.
        (Scope::Query, Measure::CallsPerRequest | Measure::TimePerRequest | Measure::EndpointTimeRatio) => None,
        (Scope::Endpoint, _) => Some(("requests", query.count(query.counted()))),
        (Scope::Query, _) => Some(("calls", query.count(query.counted()))),
        (Scope::Task, _) => Some(("runs", query.count(query.counted()))),
        (Scope::Process, Measure::SchedulingLag) => Some(("polls", query.count(&names::TOKIO_SCHEDULING_LAG))),
        (Scope::Process, Measure::UnmatchedErrorRatio) => {
            Some(("unmatched_requests", query.change("increase", names::REQUESTS.name, &unmatched())))
        }
        (Scope::Process | Scope::Slo, _) => None,
    }
}

/// Requests that matched no route and were not refused.
fn unmatched() -> [String; 2] {
    [is(names::ROUTE, ""), is_not(names::OUTCOME, names::CLIENT_ERROR)]
}

/// Returns what every duration has.
fn duration(query: &Query<'_>, measure: Measure) -> Option<String> {
    let counted = query.counted();
    Some(match measure {
        Measure::AvgDuration => format!("{} / {}", query.sum_rate(counted, &[]), query.count_rate(counted, &[])),
        Measure::DurationQuantile(percent) => query.quantile(counted, percent),
        Measure::Rate => query.count_rate(counted, &[]),
        Measure::InFlight => query.sum_rate(counted, &[]),
        _ => return None,
    })
}

/// Returns the share of what a tally counts that ended in one way.
fn outcome_ratio(query: &Query<'_>, tally: &Metric, outcome: &str) -> String {
    format!("{} / {}", query.rate(tally, &[is(names::OUTCOME, outcome)]), query.rate(tally, &[]))
}

/// Returns the rest of a duration: what neither a part nor the time inside poll covers.
fn waiting(query: &Query<'_>, parts: &Metric, busy: &str, overlap: &Metric) -> String {
    let duration = query.sum_rate(query.counted(), &[]);
    let (parts, overlap) = (query.rate_or_0(parts, &[]), query.rate_or_0(overlap, &[]));
    format!("clamp_min({duration} - {parts} - ({busy} - {overlap}), 0) / {duration}")
}

fn endpoint(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return Ok(of_duration);
    }
    let requests = &names::HTTP_DURATION;
    let part = |part: Part| query.rate_or_0(&names::ENDPOINT_PART_NANOS, &[is(names::PART, part.label())]);
    let in_queries = || {
        let nothing = format!("0 * {}", query.count_rate(requests, &[]));
        let own = format!("({} or {nothing})", query.sum_rate(&names::HTTP_DB_SECONDS, &[]));
        format!("({own} + {})", query.rate_or_0(&names::ENDPOINT_LATE_DB_NANOS, &[]))
    };
    let per_request = |of: &str| format!("{of} / {}", query.count_rate(requests, &[]));
    Ok(match measure {
        Measure::TimeShare => at_most_all(&query.of_all_requests(&query.sum_rate(requests, &[]))),
        Measure::ErrorRatio => outcome_ratio(query, &names::REQUESTS, names::ERROR),
        Measure::ClientErrorRatio => outcome_ratio(query, &names::REQUESTS, names::CLIENT_ERROR),
        Measure::CancelledRatio => outcome_ratio(query, &names::REQUESTS, names::CANCELLED),
        Measure::BusyRatio => at_most_all(&query.of_duration(&query.sum_rate(&names::HTTP_BUSY, &[]))),
        Measure::DbTimeRatio => at_most_all(&query.of_duration(&in_queries())),
        Measure::PartRatio(of) => at_most_all(&query.of_duration(&part(of))),
        Measure::ProducingRatio => {
            at_most_all(&query.of_duration(&query.rate_or_0(&names::ENDPOINT_PRODUCING_NANOS, &[])))
        }
        Measure::OwnAvgDuration => {
            per_request(&format!("clamp_min({} - {}, 0)", query.sum_rate(requests, &[]), part(Part::Client)))
        }
        Measure::OwnDurationQuantile(percent) => {
            // Of the requests without the waits for clients where most of them were recorded so.
            let (own, all) = (query.count(&names::ENDPOINT_OWN_DURATION), query.count(requests));
            let quantile = query.quantile(&names::ENDPOINT_OWN_DURATION, percent);
            format!("({quantile} and 2 * {own} > {all}) or {}", query.quantile(requests, percent))
        }
        Measure::WaitingRatio => {
            let busy = query.sum_rate(&names::HTTP_BUSY, &[]);
            waiting(query, &names::ENDPOINT_PART_NANOS, &busy, &names::ENDPOINT_OVERLAP_NANOS)
        }
        Measure::WastedTimeRatio => {
            let cut = [is(names::ERROR_TYPE, names::CANCELLED)];
            query.of_duration(&query.sum_rate(requests, &cut))
        }
        Measure::DbQueriesPerRequest => per_request(&query.sum_rate(&names::HTTP_DB_QUERIES, &[])),
        Measure::DbTimePerRequest => per_request(&in_queries()),
        Measure::LongestPollQuantile(percent) => query.quantile(&names::HTTP_LONGEST_POLL, percent),
        Measure::Active => query.gauge(&names::ENDPOINT_ACTIVE),
        Measure::OldestActive => query.gauge(&names::ENDPOINT_OLDEST_ACTIVE),
        // What the comparison in the process found: PromQL cannot test whether two histograms differ by more than chance.
        Measure::VersionSlowdown => query.gauge(&names::ENDPOINT_VERSION_SLOWDOWN),
        Measure::VersionErrorRise => query.gauge(&names::ENDPOINT_VERSION_ERROR_RISE),
        _ => return Err(ONLY_INSIDE),
    })
}

fn statement(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return Ok(of_duration);
    }
    let pairs = Pairs::of(query);
    let labels = query.labels();
    Ok(match measure {
        Measure::ErrorRatio => outcome_ratio(query, &names::QUERIES, names::ERROR),
        Measure::CancelledRatio => outcome_ratio(query, &names::QUERIES, names::CANCELLED),
        Measure::CallsPerRequest => format!("max by ({labels}) ({})", pairs.calls_per_request()),
        Measure::TimePerRequest => {
            pairs.of_worst(&format!("{} / {}", pairs.time(), pairs.rate(&names::ENDPOINT_QUERY_REQUESTS)))
        }
        Measure::EndpointTimeRatio => {
            let duration = pairs.of_endpoint(&names::HTTP_DURATION);
            pairs.of_worst(&at_most_all(&format!("{} / {duration}", pairs.time())))
        }
        Measure::TimeShare => at_most_all(&query.of_all_requests(&format!("sum by ({labels}) ({})", pairs.time()))),
        _ => return Err(ONLY_INSIDE),
    })
}

fn task(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return Ok(of_duration);
    }
    Ok(match measure {
        Measure::ErrorRatio => outcome_ratio(query, &names::TASK_RUNS, names::ERROR),
        Measure::CancelledRatio => outcome_ratio(query, &names::TASK_RUNS, names::CANCELLED),
        Measure::TimeShare => at_most_all(&query.of_all_requests(&query.rate(&names::TASK_REQUEST_NANOS, &[]))),
        Measure::BusyRatio => at_most_all(&query.of_duration(&query.rate(&names::TASK_BUSY_NANOS, &[]))),
        Measure::WaitingRatio => {
            let busy = query.rate(&names::TASK_BUSY_NANOS, &[]);
            waiting(query, &names::TASK_PART_NANOS, &busy, &names::TASK_OVERLAP_NANOS)
        }
        Measure::PartRatio(part) => {
            let of = [is(names::PART, part.label())];
            at_most_all(&query.of_duration(&query.rate_or_0(&names::TASK_PART_NANOS, &of)))
        }
        Measure::Active => query.gauge(&names::TASK_ACTIVE),
        Measure::OldestActive => query.gauge(&names::TASK_OLDEST_ACTIVE),
        _ => return Err(ONLY_INSIDE),
    })
}

/// Returns how a counter changes or, of a histogram, how its observations do. A counter of the host need not end in `_total`.
fn either(query: &Query<'_>, name: &str, of_counter: impl Fn(&str) -> String, function: &str) -> String {
    match name.ends_with("_total") {
        true => of_counter(name),
        false => format!("({} or {})", query.of_histogram(name, "count", function, &[]), of_counter(name)),
    }
}

/// Returns a measure of a metric that the service records itself.
fn recorded(query: &Query<'_>, name: &str, measure: Measure) -> Result<String, Reason> {
    if metric_name(name) != name {
        return Err(OTHER_NAME);
    }
    Ok(match measure {
        Measure::Value if name.ends_with("_total") => query.change("increase", name, &[]),
        Measure::Value => query.by_subject(&format!("{name}{}", query.matchers(&[]))),
        Measure::Rate => either(query, name, |name| query.change("rate", name, &[]), "rate"),
        Measure::Avg => {
            let part = |part| query.of_histogram(name, part, "rate", &[]);
            format!("{} / {}", part("sum"), part("count"))
        }
        Measure::Quantile(percent) => query.quantile_of(name, percent),
        _ => return Err(ONLY_INSIDE),
    })
}

fn process(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    let memory = || format!("({} or {})", query.gauge(&names::PROCESS_OWNED), query.gauge(&names::PROCESS_RESIDENT));
    Ok(match measure {
        Measure::ResidentMemory => memory(),
        Measure::MemoryLimitRatio => {
            let held = format!("({} or {})", query.gauge(&names::MEMORY_WORKING_SET), memory());
            format!("{held} / {}", query.gauge(&names::PROCESS_MEMORY_LIMIT))
        }
        // What the detector in the process found; Prometheus has no robust slope.
        Measure::MemoryGrowth => query.gauge(&names::MEMORY_GROWTH),
        Measure::VersionSlowdown => query.gauge(&names::VERSION_SLOWDOWN),
        Measure::VersionErrorRise => query.gauge(&names::VERSION_ERROR_RISE),
        Measure::CpuRatio => query.rate(&names::PROCESS_CPU, &[]),
        Measure::OpenFdsRatio => {
            format!("{} / {}", query.gauge(&names::PROCESS_OPEN_FDS), query.gauge(&names::PROCESS_MAX_FDS))
        }
        Measure::UnmatchedErrorRatio => {
            let failed = [is(names::ROUTE, ""), is(names::OUTCOME, names::ERROR)];
            format!("{} / {}", query.rate(&names::REQUESTS, &failed), query.rate(&names::REQUESTS, &unmatched()))
        }
        Measure::SchedulingLag => query.quantile(&names::TOKIO_SCHEDULING_LAG, 99),
        Measure::WorkerBusyRatio => {
            format!("{} / {}", query.rate(&names::TOKIO_WORKER_BUSY, &[]), query.gauge(&names::TOKIO_WORKERS))
        }
        _ => return Err(ONLY_INSIDE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::query::{Histograms, TARGET},
        rules::{MetricSelector, measures},
    };

    #[test]
    fn every_measure_has_an_expression_or_a_reason() {
        let metric =
            MetricSelector { name: "jobs_seconds".into(), matches: Default::default(), by: vec!["queue".into()] };
        for (scope, name, of) in measures() {
            let metric = (scope == Scope::Metric).then_some(&metric);
            let query = Query {
                scope,
                of_process: &TARGET,
                window: "5m",
                matchers: &[],
                histograms: Histograms::Classic,
                metric,
                min_samples: 5,
            };
            // Objectives are exported by themselves.
            let expected = if scope == Scope::Slo { Some(PAIRS) } else { of.not_exported() };
            assert_eq!(measure(&query, of).err(), expected, "{name} of {scope:?}");
        }
    }

    #[test]
    fn texts_are_quoted_as_promql_reads_them() {
        assert_eq!(is("a", "b\\c\"\nd"), "a=\"b\\\\c\\\"\\nd\"");
    }
}
