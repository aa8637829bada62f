//! [`Sources::silence`]: why a rule cannot find anything now, in words.

use std::collections::BTreeSet;

use super::memory::MemoryVerdict;
use crate::{
    names,
    rules::{
        coverage::Coverage,
        measure::Measure,
        rule::{MetricSelector, Rule},
        scope::Scope,
        suggest::nearest,
        unit::Unit,
    },
    store::{SeriesView, Window},
};

/// What is known about the sources of a rule's numbers.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// Whether requests, queries and tasks are measured now.
    pub(crate) measuring: bool,
    /// Whether the machine is sampled.
    pub(crate) sampling: bool,
    /// Everything since the start or the last clear.
    pub(crate) total: &'a Window,
    /// The names of all metrics that were ever recorded.
    pub(crate) metrics: &'a [&'a str],
    /// How many queries came from sqlx's events, in the whole process.
    pub(crate) sqlx_queries: u64,
    /// What keeps sqlx's events away.
    pub(crate) sqlx_problem: Option<String>,
    pub(crate) memory: Option<&'a MemoryVerdict>,
    /// Why this version of the service is not compared with the one before; `None` where it is.
    pub(crate) not_compared: Option<&'a str>,
}

impl Sources<'_> {
    /// Returns why a rule cannot find anything; `None` for a rule that judges something.
    pub(crate) fn silence(&self, rule: &Rule, coverage: Coverage) -> Option<String> {
        let window = Unit::Seconds.render(rule.window.as_secs_f64());
        let is_measured = matches!(rule.scope, Scope::Endpoint | Scope::Query | Scope::Task | Scope::Slo);
        if is_measured && !self.measuring {
            return Some("monitoring is stopped".to_owned());
        }
        if let Some(reason) = self.blind_spot(rule) {
            return Some(reason);
        }
        if coverage.measured == 0 && matches!(rule.measure, Measure::AbsentFor | Measure::DropRatio) {
            return Some(
                "what is usual is not known yet: that takes a day of the same kind before this one, and traffic of some regularity"
                    .to_owned(),
            );
        }
        let of_versions = rule.measure.is_of_versions();
        if coverage.measured == 0 && of_versions {
            let reason = self.not_compared.unwrap_or("no endpoint has had enough requests in both versions so far");
            return Some(reason.to_owned());
        }
        if coverage.measured == 0 {
            return Some(self.no_data(rule, &window));
        }
        let time = if of_versions { "both versions".to_owned() } else { format!("the last {window}") };
        if coverage.chosen == 0 {
            let subjects = plural(coverage.measured, rule.scope);
            return Some(format!("none of the {subjects} of {time} is chosen by match and exclude"));
        }
        if coverage.judged == 0 {
            let Coverage { most_samples, .. } = coverage;
            let least = rule.min_samples;
            return Some(format!("min_samples is {least}, and none has more than {most_samples} in {time}"));
        }
        None
    }

    /// Returns why a rule misses what it is written for, even where it judges something.
    fn blind_spot(&self, rule: &Rule) -> Option<String> {
        if let Some(metric) = &rule.metric {
            return self.missing_label(metric);
        }
        let may_fail = || {
            self.total
                .series(names::DB_DURATION.name)
                .any(|series| series.label(names::ERROR_TYPE) == Some(names::ERROR))
        };
        let blind =
            rule.scope == Scope::Query && rule.measure == Measure::ErrorRatio && self.sqlx_queries > 0 && !may_fail();
        blind.then(|| {
            "no query has failed so far, and of those that SqlxLayer sees none can: sqlx does not say whether a query \
             failed; wrap queries in track_db_query to see errors"
                .to_owned()
        })
    }

    /// Returns which label of a rule no series of its metric has.
    fn missing_label(&self, metric: &MetricSelector) -> Option<String> {
        let series: Vec<_> = self.total.series(&metric.name).collect();
        if series.is_empty() {
            return None;
        }
        // An empty pattern matches a series without the label.
        let matched = metric.matches.0.iter().filter(|(_, glob)| !glob.matches("")).map(|(label, _)| label);
        let missing = matched.chain(&metric.by).find(|label| series.iter().all(|one| one.label(label).is_none()))?;
        let labels: BTreeSet<&str> = series.iter().flat_map(SeriesView::label_names).collect();
        let there = match labels.len() {
            0 => "they have no labels".to_owned(),
            _ => format!("they have {}", labels.into_iter().collect::<Vec<_>>().join(", ")),
        };
        Some(format!("no series of {} has the label {missing}; {there}", metric.name))
    }

    fn no_data(&self, rule: &Rule, window: &str) -> String {
        match (rule.scope, &rule.metric) {
            (Scope::Metric, Some(metric)) => self.no_metric(rule, metric, window),
            (Scope::Endpoint, _) => self.nothing(rule, names::HTTP_DURATION.name, "no request matched a route", window),
            (Scope::Task, _) => self.nothing(rule, names::TASK_DURATION.name, "no task was tracked", window),
            (Scope::Query, _) => match &self.sqlx_problem {
                Some(problem) if self.total.series(names::DB_DURATION.name).next().is_none() => problem.clone(),
                _ => self.nothing(rule, names::DB_DURATION.name, "no query was recorded", window),
            },
            (Scope::Slo, _) => self.nothing(
                rule,
                names::HTTP_DURATION.name,
                "no request matched a route that the objective chooses",
                window,
            ),
            (Scope::Process | Scope::Metric, _) => self.no_process(rule.measure),
        }
    }

    /// Says that there are no subjects at all, or none with the measure.
    fn nothing(&self, rule: &Rule, metric: &str, none: &str, window: &str) -> String {
        if self.total.series(metric).next().is_none() {
            return format!("{none} so far");
        }
        let measure = rule.measure_name;
        format!("{none} in the last {window}, or none that has a value of {measure}")
    }

    fn no_metric(&self, rule: &Rule, metric: &MetricSelector, window: &str) -> String {
        let name = &*metric.name;
        let Some(series) = self.total.series(name).next() else {
            let known = self.metrics.iter().copied();
            return match nearest(name, known.filter(|known| *known != name)) {
                _ if self.metrics.contains(&name) => format!("{name} has no value since the last clear"),
                Some(meant) => format!("nothing has recorded the metric {name} so far; did you mean {meant}?"),
                None => format!("nothing has recorded the metric {name} so far"),
            };
        };
        let (kind, fits) = match (series.histogram(), series.last()) {
            (Some(_), _) => ("a histogram", rule.measure != Measure::Value),
            (None, Some(_)) => ("a gauge", rule.measure == Measure::Value),
            (None, None) => ("a counter", matches!(rule.measure, Measure::Value | Measure::Rate)),
        };
        let is_matched = |one: &SeriesView<'_>| metric.matches.match_labels(|label| one.label(label));
        let all = self.total.series(name).count();
        match self.total.series(name).any(|one| is_matched(&one)) {
            _ if !fits => format!("{name} is {kind}, which has no {}", rule.measure_name),
            true => format!("{name} had no value in the last {window}"),
            false if all == 1 => format!("the one series of {name} is not chosen by match"),
            false => format!("none of the {all} series of {name} is chosen by match"),
        }
    }

    fn no_process(&self, measure: Measure) -> String {
        let has = |metric: &str| self.total.series(metric).next().is_some();
        match (measure, self.memory) {
            _ if !self.sampling => "sampling of the machine is off".to_owned(),
            (Measure::MemoryGrowth, Some(verdict)) => verdict.process.to_string(),
            (Measure::MemoryLimitRatio, _) if has(names::PROCESS_RESIDENT.name) => "no memory limit is set".to_owned(),
            (Measure::SchedulingLag | Measure::WorkerBusyRatio, _) => {
                "the runtime has not been sampled so far".to_owned()
            }
            _ => "this has not been sampled so far, or the platform does not report it".to_owned(),
        }
    }
}

/// Returns a number of subjects with the word for them.
fn plural(count: usize, scope: Scope) -> String {
    let (one, many) = match scope {
        Scope::Endpoint => ("endpoint", "endpoints"),
        Scope::Query => ("query", "queries"),
        Scope::Task => ("task", "tasks"),
        Scope::Process => ("process", "processes"),
        Scope::Metric => ("group of series", "groups of series"),
        Scope::Slo => ("budget", "budgets"),
    };
    format!("{count} {}", if count == 1 { one } else { many })
}
