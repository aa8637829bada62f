//! [`measure`]: every measure of the catalogue as an expression of PromQL.
//!
//! An expression has a value for each subject and process: Prometheus's `job` and `instance`, and the labels that tell the
//! subjects of the scope apart. It follows the definition in [`window`](crate::rules), from the same counters, so that
//! Prometheus and the process judge alike; what they cannot agree on is in docs/semantics.md. A new measure does not compile
//! until it has an expression here, or says why it has none.

use crate::{
    context::Part,
    names::{self, Metric, Resolution},
    rules::{Measure, MetricSelector, Scope},
};

/// Labels that Prometheus adds to what it scrapes: which process it is.
pub(super) const TARGET: [&str; 2] = ["job", "instance"];

/// Why a measure has no expression.
pub(super) type Reason = &'static str;

const NO_MAXIMUM: Reason = "a histogram of Prometheus has no maximum; a high percentile comes near";
const ONLY_INSIDE: Reason = "the evidence for it is kept in the process only";
const OTHER_NAME: Reason = "the metric has another name on /metrics";

/// How the buckets of histograms are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Histograms {
    /// Series with the label `le`, which every Prometheus and its relatives have.
    Classic,
    /// Native histograms: a Prometheus of 2.40 or later that scrapes protobuf.
    Native,
}

/// What the expressions of one rule have in common.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    pub(super) scope: Scope,
    /// As Prometheus writes it: `5m`.
    pub(super) window: &'a str,
    /// Matchers of labels, beside those that leave mixtures out.
    pub(super) matchers: &'a [String],
    pub(super) histograms: Histograms,
    /// Of the scope `metric`.
    pub(super) metric: Option<&'a MetricSelector>,
    /// Requests below which an endpoint says nothing about the statements that it issues.
    pub(super) min_samples: u64,
}

impl<'a> Query<'a> {
    /// Returns the labels that tell subjects apart, after those of the process.
    pub(super) fn subject_labels(&self) -> Vec<&'a str> {
        match self.scope {
            Scope::Endpoint => vec![names::METHOD, names::ROUTE],
            Scope::Query => vec![names::DB_QUERY_ID],
            Scope::Task => vec![names::TASK_NAME],
            Scope::Process => Vec::new(),
            Scope::Metric => {
                self.metric.into_iter().flat_map(|metric| metric.by.iter().map(|label| &**label)).collect()
            }
        }
    }

    /// Returns the labels of each value.
    pub(super) fn labels(&self) -> String {
        let all: Vec<&str> = TARGET.into_iter().chain(self.subject_labels()).collect();
        all.join(", ")
    }

    /// Returns the metric that each subject has.
    pub(super) fn counted(&self) -> &'static Metric {
        match self.scope {
            Scope::Endpoint | Scope::Process | Scope::Metric => &names::HTTP_DURATION,
            Scope::Query => &names::DB_DURATION,
            Scope::Task => &names::TASK_DURATION,
        }
    }

    /// Returns the matchers that leave out what is a mixture of many subjects, and the rule's.
    fn matchers(&self, more: &[String]) -> String {
        let mixtures: Vec<String> = match self.scope {
            Scope::Endpoint => one_route().to_vec(),
            Scope::Query => vec![is_not(names::DB_QUERY_ID, names::OTHER)],
            Scope::Task => vec![is_not(names::TASK_NAME, names::OTHER)],
            Scope::Process | Scope::Metric => Vec::new(),
        };
        let all: Vec<String> = mixtures.into_iter().chain(self.matchers.iter().cloned()).chain(more.to_vec()).collect();
        if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
    }

    /// Sums series by subject.
    fn by_subject(&self, of: &str) -> String {
        format!("sum by ({}) ({of})", self.labels())
    }

    fn change(&self, function: &str, name: &str, more: &[String]) -> String {
        self.by_subject(&format!("{function}({name}{}[{}])", self.matchers(more), self.window))
    }

    /// Returns the growth of a counter each second.
    fn rate(&self, metric: &Metric, more: &[String]) -> String {
        self.change("rate", metric.name, more)
    }

    /// Returns a counter's growth, or 0 for subjects whose counter does not exist yet.
    fn rate_or_0(&self, metric: &Metric, more: &[String]) -> String {
        let nothing = format!("0 * {}", self.count_rate(self.counted(), &[]));
        format!("({} or {nothing})", self.rate(metric, more))
    }

    /// Returns how a metric is read: those of small numbers have an edge at each and are no native histograms.
    fn histograms_of(&self, name: &str) -> Histograms {
        let is_of_numbers = names::metric(name).is_some_and(|metric| metric.resolution == Resolution::Counts);
        if is_of_numbers { Histograms::Classic } else { self.histograms }
    }

    fn of_histogram(&self, name: &str, part: &str, function: &str, more: &[String]) -> String {
        let range = format!("{}[{}]", self.matchers(more), self.window);
        self.by_subject(&match self.histograms_of(name) {
            Histograms::Classic => format!("{function}({name}_{part}{range})"),
            Histograms::Native => format!("histogram_{part}({function}({name}{range}))"),
        })
    }

    /// Returns the sum of a histogram's observations each second.
    fn sum_rate(&self, metric: &Metric, more: &[String]) -> String {
        self.of_histogram(metric.name, "sum", "rate", more)
    }

    /// Returns the number of a histogram's observations each second.
    fn count_rate(&self, metric: &Metric, more: &[String]) -> String {
        self.of_histogram(metric.name, "count", "rate", more)
    }

    /// Returns the number of a histogram's observations in the window.
    fn count(&self, metric: &Metric) -> String {
        self.of_histogram(metric.name, "count", "increase", &[])
    }

    fn quantile(&self, metric: &Metric, percent: u8) -> String {
        self.quantile_of(metric.name, percent)
    }

    fn quantile_of(&self, name: &str, percent: u8) -> String {
        let range = format!("{}[{}]", self.matchers(&[]), self.window);
        let share = f64::from(percent) / 100.0;
        match self.histograms_of(name) {
            Histograms::Classic => {
                format!("histogram_quantile({share}, sum by (le, {}) (rate({name}_bucket{range})))", self.labels())
            }
            Histograms::Native => {
                format!("histogram_quantile({share}, {})", self.by_subject(&format!("rate({name}{range})")))
            }
        }
    }

    fn gauge(&self, metric: &Metric) -> String {
        self.by_subject(&format!("{}{}", metric.name, self.matchers(&[])))
    }

    /// Divides by what all requests of the process took.
    fn of_all_requests(&self, time: &str) -> String {
        let process = Query { scope: Scope::Process, matchers: &[], ..self.clone() };
        let on = TARGET.join(", ");
        format!("{time} / on ({on}) group_left () {}", process.sum_rate(&names::HTTP_DURATION, &[]))
    }

    /// Returns the share of a duration that a time is.
    fn of_duration(&self, time: &str) -> String {
        format!("{time} / {}", self.sum_rate(self.counted(), &[]))
    }
}

/// Matchers of requests that matched a route of their own.
fn one_route() -> [String; 2] {
    [is_not(names::ROUTE, ""), is_not(names::ROUTE, names::OTHER)]
}

/// A matcher of one value.
pub(super) fn is(label: &str, value: &str) -> String {
    format!("{label}={}", quoted(value))
}

/// A matcher of all other values.
pub(super) fn is_not(label: &str, value: &str) -> String {
    format!("{label}!={}", quoted(value))
}

/// Writes a text as PromQL does.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Keeps a share that is made of two counters, read one after the other, from being more than all.
fn at_most_all(share: &str) -> String {
    format!("clamp_max({share}, 1)")
}

/// Returns the value of a measure for each subject.
///
/// # Errors
/// Returns why Prometheus cannot compute it from what is exposed.
pub(super) fn measure(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    match query.scope {
        Scope::Endpoint => endpoint(query, measure),
        Scope::Query => statement(query, measure),
        Scope::Task => task(query, measure),
        Scope::Process => process(query, measure),
        Scope::Metric => query.metric.map_or(Err(ONLY_INSIDE), |metric| recorded(query, &metric.name, measure)),
    }
}

/// Returns the observations behind a measure, with what they are; `None` for what is read once.
pub(super) fn samples(query: &Query<'_>, measure: Measure) -> Option<(&'static str, String)> {
    match (query.scope, measure) {
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
        (Scope::Process, _) => None,
    }
}

/// Requests that matched no route and were not refused.
fn unmatched() -> [String; 2] {
    [is(names::ROUTE, ""), is_not(names::OUTCOME, names::CLIENT_ERROR)]
}

/// Returns what every duration has.
fn duration(query: &Query<'_>, measure: Measure) -> Option<Result<String, Reason>> {
    let counted = query.counted();
    Some(Ok(match measure {
        Measure::AvgDuration => format!("{} / {}", query.sum_rate(counted, &[]), query.count_rate(counted, &[])),
        Measure::DurationQuantile(percent) => query.quantile(counted, percent),
        Measure::MaxDuration => return Some(Err(NO_MAXIMUM)),
        Measure::Rate => query.count_rate(counted, &[]),
        Measure::InFlight => query.sum_rate(counted, &[]),
        _ => return None,
    }))
}

/// Returns the share of what a tally counts that ended in one way.
fn outcome_ratio(query: &Query<'_>, tally: &Metric, outcome: &[&str]) -> String {
    let matcher = match outcome {
        [only] => is(names::OUTCOME, only),
        several => format!("{}=~{}", names::OUTCOME, quoted(&several.join("|"))),
    };
    format!("{} / {}", query.rate(tally, &[matcher]), query.rate(tally, &[]))
}

/// Returns the rest of a duration: what neither a part nor the time inside poll covers.
fn waiting(query: &Query<'_>, parts: &Metric, busy: &str, overlap: &Metric) -> String {
    let duration = query.sum_rate(query.counted(), &[]);
    let (parts, overlap) = (query.rate_or_0(parts, &[]), query.rate_or_0(overlap, &[]));
    format!("clamp_min({duration} - {parts} - ({busy} - {overlap}), 0) / {duration}")
}

fn endpoint(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return of_duration;
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
        Measure::ErrorRatio => outcome_ratio(query, &names::REQUESTS, &[names::ERROR]),
        Measure::ClientErrorRatio => outcome_ratio(query, &names::REQUESTS, &[names::CLIENT_ERROR]),
        Measure::CancelledRatio => outcome_ratio(query, &names::REQUESTS, &[names::CANCELLED]),
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
        Measure::LongestPoll => return Err(NO_MAXIMUM),
        Measure::LongestPollQuantile(percent) => query.quantile(&names::HTTP_LONGEST_POLL, percent),
        Measure::Active => query.gauge(&names::ENDPOINT_ACTIVE),
        Measure::OldestActive => query.gauge(&names::ENDPOINT_OLDEST_ACTIVE),
        _ => return Err(ONLY_INSIDE),
    })
}

fn statement(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return of_duration;
    }
    let pairs = Pairs::of(query);
    let labels = query.labels();
    Ok(match measure {
        Measure::ErrorRatio => outcome_ratio(query, &names::QUERIES, &[names::ERROR]),
        Measure::CancelledRatio => outcome_ratio(query, &names::QUERIES, &[names::CANCELLED]),
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

/// The pairs of an endpoint and a statement that it issues.
struct Pairs<'a> {
    query: &'a Query<'a>,
    endpoint: String,
    labels: String,
}

impl<'a> Pairs<'a> {
    fn of(query: &'a Query<'a>) -> Self {
        let endpoint = Query { scope: Scope::Endpoint, ..query.clone() }.labels();
        let labels = format!("{endpoint}, {}", names::DB_QUERY_ID);
        Self { query, endpoint, labels }
    }

    fn rate(&self, metric: &Metric) -> String {
        let Query { window, .. } = self.query;
        format!("sum by ({}) (rate({}{}[{window}]))", self.labels, metric.name, self.query.matchers(&one_route()))
    }

    /// Returns a duration of the pair's endpoint, beside each of its pairs.
    fn of_endpoint(&self, histogram: &Metric) -> String {
        let endpoint = Query { scope: Scope::Endpoint, matchers: &[], ..self.query.clone() };
        format!("on ({}) group_left () {}", self.endpoint, endpoint.sum_rate(histogram, &[]))
    }

    /// Returns it of the endpoints with enough requests.
    fn calls_per_request(&self) -> String {
        let Query { window, min_samples, .. } = self.query;
        let (name, matchers) = (names::ENDPOINT_QUERY_REQUESTS.name, self.query.matchers(&one_route()));
        let requests = format!("sum by ({}) (increase({name}{matchers}[{window}]))", self.labels);
        let (calls, each) = (self.rate(&names::ENDPOINT_QUERY_CALLS), self.rate(&names::ENDPOINT_QUERY_REQUESTS));
        format!("{calls} / {each} and {requests} >= {min_samples}")
    }

    /// Returns the time that requests spend in the statement. Statements that run at once divide their common time in proportion
    /// to their own.
    fn time(&self) -> String {
        let own = self.rate(&names::ENDPOINT_QUERY_SECONDS);
        let Query { window, .. } = self.query;
        let all = format!("sum by ({}) (rate({}[{window}]))", self.endpoint, names::ENDPOINT_QUERY_SECONDS.name);
        let of_all = format!("{own} / on ({}) group_left () {all}", self.endpoint);
        let within = format!("{of_all} * {}", self.of_endpoint(&names::HTTP_DB_SECONDS));
        format!("(({within}) <= {own} or {own})")
    }

    /// Returns a value on the endpoint that issues the statement most often per request.
    fn of_worst(&self, value: &str) -> String {
        let (labels, calls) = (self.query.labels(), self.calls_per_request());
        format!(
            "max by ({labels}) (({value}) and (({calls}) == on ({labels}) group_left () max by ({labels}) ({calls})))"
        )
    }
}

fn task(query: &Query<'_>, measure: Measure) -> Result<String, Reason> {
    if let Some(of_duration) = duration(query, measure) {
        return of_duration;
    }
    Ok(match measure {
        Measure::ErrorRatio => outcome_ratio(query, &names::TASK_RUNS, &[names::ERROR]),
        Measure::CancelledRatio => outcome_ratio(query, &names::TASK_RUNS, &[names::CANCELLED]),
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
    if !name.chars().all(|character| character.is_ascii_alphanumeric() || "_:".contains(character)) {
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
        Measure::Max => return Err(NO_MAXIMUM),
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
    use crate::rules::measures;

    #[test]
    fn every_measure_has_an_expression_or_a_reason() {
        let metric =
            MetricSelector { name: "jobs_seconds".into(), matches: Default::default(), by: vec!["queue".into()] };
        let without: Vec<(Scope, &str, Reason)> = measures()
            .filter_map(|(scope, name, of)| {
                let metric = (scope == Scope::Metric).then_some(&metric);
                let query = Query {
                    scope,
                    window: "5m",
                    matchers: &[],
                    histograms: Histograms::Classic,
                    metric,
                    min_samples: 5,
                };
                Some((scope, name, measure(&query, of).err()?))
            })
            .collect();
        let maximum = |scope, name| (scope, name, NO_MAXIMUM);
        let expected = [
            maximum(Scope::Endpoint, "max_duration"),
            maximum(Scope::Endpoint, "longest_poll"),
            maximum(Scope::Query, "max_duration"),
            maximum(Scope::Task, "max_duration"),
            maximum(Scope::Metric, "max"),
        ];
        assert_eq!(without, expected);
    }

    #[test]
    fn texts_are_quoted_as_promql_reads_them() {
        assert_eq!(is("a", "b\\c\"\nd"), "a=\"b\\\\c\\\"\\nd\"");
    }
}
