//! [`Series`]: expressions over what the variables of a dashboard select.

use crate::{
    RuleSet,
    export::{
        promql,
        query::{Histograms, Query, TARGET, is, one_of, sum},
    },
    names::{self, Metric},
    rules::{Measure, Scope},
};

/// What a rate is taken over: at least four scrapes, by Grafana.
const RATE: &str = "$__rate_interval";
/// The whole range of time that is shown.
pub(super) const RANGE: &str = "$__range";
/// How many subjects a panel shows at most.
const SHOWN: usize = 10;
/// What is read at one point of time only.
const LATELY: &str = "5m";

/// The labels of an endpoint.
pub(super) const ENDPOINT: [&str; 2] = [names::METHOD, names::ROUTE];
pub(super) const JOB: &str = TARGET[0];
pub(super) const INSTANCE: &str = TARGET[1];

/// Returns how a legend or a title writes the value of a label.
pub(super) fn label(name: &str) -> String {
    format!("{{{{{name}}}}}")
}

/// Series that a dashboard shows.
#[derive(Clone, Debug)]
pub(super) struct Series {
    matchers: Vec<String>,
    window: &'static str,
}

impl Series {
    /// Returns those of the processes that the variables select.
    pub(super) fn selected() -> Self {
        let matchers = TARGET.map(|label| format!("{label}=~\"${label}\"")).to_vec();
        Self { matchers, window: RATE }
    }

    /// Returns these for a table, which shows what is now: over five minutes, however short the range is.
    pub(super) fn lately(&self) -> Self {
        Self { window: LATELY, ..self.clone() }
    }

    /// Returns those of them with more labels.
    pub(super) fn with(&self, more: impl IntoIterator<Item = String>) -> Self {
        Self { matchers: self.matchers.iter().cloned().chain(more).collect(), ..self.clone() }
    }

    /// Returns those of the endpoint that the variables select.
    pub(super) fn of_endpoint(&self) -> Self {
        // One route, by its text: a template's braces would mean something in a regular expression.
        self.with([format!("{}=\"$route\"", names::ROUTE), format!("{}=~\"$method\"", names::METHOD)])
    }

    fn matchers(&self, more: &[String]) -> String {
        format!("{{{}}}", [&self.matchers[..], more].concat().join(","))
    }

    /// Returns the series of a metric as they are.
    pub(super) fn of(&self, metric: &Metric, more: &[String]) -> String {
        format!("{}{}", metric.name, self.matchers(more))
    }

    pub(super) fn sum(&self, metric: &Metric, by: &[&str]) -> String {
        sum(&by.join(", "), &self.of(metric, &[]))
    }

    pub(super) fn max(&self, metric: &Metric, by: &[&str]) -> String {
        format!("max by ({}) ({})", by.join(", "), self.of(metric, &[]))
    }

    fn change(&self, series: &str, by: &[&str], more: &[String]) -> String {
        sum(&by.join(", "), &format!("rate({series}{}[{}])", self.matchers(more), self.window))
    }

    /// Returns the growth of a counter each second.
    pub(super) fn rate(&self, metric: &Metric, by: &[&str], more: &[String]) -> String {
        self.change(metric.name, by, more)
    }

    /// Returns the sum of a histogram's observations each second: of durations, how many were under way on average.
    pub(super) fn total(&self, metric: &Metric, by: &[&str]) -> String {
        self.change(&format!("{}_sum", metric.name), by, &[])
    }

    /// Returns the number of a histogram's observations each second.
    pub(super) fn count(&self, metric: &Metric, by: &[&str], more: &[String]) -> String {
        self.change(&format!("{}_count", metric.name), by, more)
    }

    pub(super) fn mean(&self, metric: &Metric, by: &[&str]) -> String {
        format!("{} / {}", self.total(metric, by), self.count(metric, by, &[]))
    }

    /// Returns the CPU time that is used, as a share of the CPUs that the processes may use.
    pub(super) fn cpu_ratio(&self, by: &[&str]) -> String {
        format!("{} / {}", self.rate(&names::PROCESS_CPU, by, &[]), self.sum(&names::CPUS, by))
    }

    /// Divides by the requests a second; there is no value while there are none.
    pub(super) fn per_request(&self, of: &str) -> String {
        format!("{of} / ({} > 0)", self.count(&names::HTTP_DURATION, &[], &[]))
    }

    pub(super) fn quantile(&self, metric: &Metric, percent: u8, by: &[&str]) -> String {
        let le = [&["le"], by].concat();
        let buckets = self.change(&format!("{}_bucket", metric.name), &le, &[]);
        format!("histogram_quantile({}, {buckets})", f64::from(percent) / 100.0)
    }

    /// Returns how many observations fell into each bucket.
    pub(super) fn buckets(&self, metric: &Metric) -> String {
        let matchers = self.matchers(&[]);
        format!("sum by (le) (increase({}_bucket{matchers}[{}]))", metric.name, self.window)
    }

    /// Returns the share of what a counter counts that ended in one way.
    pub(super) fn outcome_ratio(&self, tally: &Metric, outcome: &str, by: &[&str]) -> String {
        let ended = self.rate(tally, by, &[is(names::OUTCOME, outcome)]);
        format!("{ended} / {}", self.rate(tally, by, &[]))
    }

    /// Returns a measure of the rules for each subject, of all selected processes together.
    pub(super) fn measure(&self, scope: Scope, measure: Measure) -> String {
        self.measure_by(&[], scope, measure)
    }

    /// Returns a measure of the rules for each subject and process.
    pub(super) fn measure_by(&self, of_process: &'static [&'static str], scope: Scope, measure: Measure) -> String {
        let (window, matchers, histograms) = (self.window, &self.matchers[..], Histograms::Classic);
        let query = Query { scope, of_process, window, matchers, histograms, metric: None, min_samples: 1 };
        promql::measure(&query, measure).expect("a dashboard shows measures that Prometheus can compute")
    }

    /// Leaves those subjects of an expression that have the most of `most` in the range that is shown.
    pub(super) fn top(&self, expression: &str, by: &[&str], most: &Metric) -> String {
        let by = by.join(", ");
        // At the end of the range, so that the subjects do not change within it.
        let all = format!("rate({}_sum{}[{RANGE}] @ end())", most.name, self.matchers(&[]));
        format!("({expression})\nand on ({by}) topk({SHOWN}, sum by ({by}) ({all}))")
    }

    /// Returns the thresholds in force of the rules that judge one of `measures`; `None` where none does.
    pub(super) fn thresholds(&self, rules: &RuleSet, scope: Scope, measures: &[Measure]) -> Option<String> {
        let judging = rules.rules().iter().filter(|rule| rule.scope == scope && measures.contains(&rule.measure));
        let ids: Vec<&str> = judging.map(|rule| &*rule.id).collect();
        let thresholds = self.of(&names::RULE_THRESHOLD, &[format!("{}=~\"{}\"", names::RULE, ids.join("|"))]);
        (!ids.is_empty()).then(|| format!("max by ({}, {}) ({thresholds})", names::RULE, names::SEVERITY))
    }

    /// Adds the texts of statements to an expression that has their ids.
    pub(super) fn with_text(&self, expression: &str) -> String {
        let (id, text) = (names::DB_QUERY_ID, names::DB_QUERY_TEXT);
        let info = one_of(id, &self.of(&names::DB_QUERY_INFO, &[]));
        format!("({expression})\n* on ({id}) group_left ({text}) {info}")
    }
}
