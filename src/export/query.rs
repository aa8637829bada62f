//! [`Query`]: the pieces that expressions of PromQL are made of.

use std::borrow::Cow;

use super::labels::scraped;
use crate::{
    names::{self, Metric, Resolution},
    rules::{MetricSelector, Scope},
};

/// Labels that Prometheus adds to what it scrapes: which process it is.
pub(super) const TARGET: [&str; 2] = ["job", "instance"];

/// How histograms are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// Series with the label `le`: every Prometheus, Mimir, Thanos Ruler and vmalert has them.
    #[default]
    Classic,
    /// Native histograms, which a Prometheus of 2.40 or later has if it scrapes protobuf. Quantiles are then as precise as those of
    /// the process. Histograms of small numbers are not native, and read as with `Classic`.
    Native,
}

/// What the expressions of one rule have in common.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    pub(super) scope: Scope,
    /// Labels of the process that each value is of: [`TARGET`], or none for all processes together.
    pub(super) of_process: &'static [&'static str],
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
    pub(super) fn subject_labels(&self) -> Vec<Cow<'a, str>> {
        match self.scope {
            Scope::Endpoint => vec![names::METHOD.into(), names::ROUTE.into()],
            Scope::Query => vec![names::DB_QUERY_ID.into()],
            Scope::Task => vec![names::TASK_NAME.into()],
            Scope::Process | Scope::Slo => Vec::new(),
            Scope::Metric => {
                self.metric.into_iter().flat_map(|metric| &metric.by).map(|label| scraped(label)).collect()
            }
        }
    }

    /// Returns the labels of each value.
    pub(super) fn labels(&self) -> String {
        let process = self.of_process.iter().copied().map(Cow::Borrowed);
        let all: Vec<_> = process.chain(self.subject_labels()).collect();
        all.join(", ")
    }

    /// Returns the metric that each subject has.
    pub(super) fn counted(&self) -> &'static Metric {
        match self.scope {
            Scope::Endpoint | Scope::Process | Scope::Metric | Scope::Slo => &names::HTTP_DURATION,
            Scope::Query => &names::DB_DURATION,
            Scope::Task => &names::TASK_DURATION,
        }
    }

    /// Returns the matchers that leave out what is a mixture of many subjects, and the rule's.
    pub(super) fn matchers(&self, more: &[String]) -> String {
        let mixtures: Vec<String> = match self.scope {
            Scope::Endpoint => one_route().to_vec(),
            Scope::Query => vec![is_not(names::DB_QUERY_ID, names::OTHER)],
            Scope::Task => vec![is_not(names::TASK_NAME, names::OTHER)],
            Scope::Process | Scope::Metric | Scope::Slo => Vec::new(),
        };
        let all: Vec<String> = mixtures.into_iter().chain(self.matchers.iter().cloned()).chain(more.to_vec()).collect();
        if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
    }

    /// Sums series by subject.
    pub(super) fn by_subject(&self, of: &str) -> String {
        sum(&self.labels(), of)
    }

    pub(super) fn change(&self, function: &str, name: &str, more: &[String]) -> String {
        self.by_subject(&format!("{function}({name}{}[{}])", self.matchers(more), self.window))
    }

    /// Returns the growth of a counter each second.
    pub(super) fn rate(&self, metric: &Metric, more: &[String]) -> String {
        self.change("rate", metric.name, more)
    }

    /// Returns a counter's growth, or 0 for subjects whose counter does not exist yet.
    pub(super) fn rate_or_0(&self, metric: &Metric, more: &[String]) -> String {
        let nothing = format!("0 * {}", self.count_rate(self.counted(), &[]));
        format!("({} or {nothing})", self.rate(metric, more))
    }

    /// Returns how a metric is read: those of small numbers have an edge at each and are no native histograms.
    fn histograms_of(&self, name: &str) -> Histograms {
        let is_of_numbers = names::metric(name).is_some_and(|metric| metric.resolution == Resolution::Counts);
        if is_of_numbers { Histograms::Classic } else { self.histograms }
    }

    pub(super) fn of_histogram(&self, name: &str, part: &str, function: &str, more: &[String]) -> String {
        self.of_histogram_at(name, part, function, more, "")
    }

    /// As [`of_histogram`](Self::of_histogram), with an offset such as ` offset 1d`.
    fn of_histogram_at(&self, name: &str, part: &str, function: &str, more: &[String], offset: &str) -> String {
        let range = format!("{}[{}]{offset}", self.matchers(more), self.window);
        self.by_subject(&match self.histograms_of(name) {
            Histograms::Classic => format!("{function}({name}_{part}{range})"),
            Histograms::Native => format!("histogram_{part}({function}({name}{range}))"),
        })
    }

    /// Returns the sum of a histogram's observations each second.
    pub(super) fn sum_rate(&self, metric: &Metric, more: &[String]) -> String {
        self.of_histogram(metric.name, "sum", "rate", more)
    }

    /// Returns the number of a histogram's observations each second.
    pub(super) fn count_rate(&self, metric: &Metric, more: &[String]) -> String {
        self.of_histogram(metric.name, "count", "rate", more)
    }

    /// Returns the number of a histogram's observations in the window.
    pub(super) fn count(&self, metric: &Metric) -> String {
        self.of_histogram(metric.name, "count", "increase", &[])
    }

    /// Returns the length of the window in seconds; 0 where it is a variable.
    pub(super) fn window_seconds(&self) -> u64 {
        let (mut seconds, mut number) = (0, 0);
        for character in self.window.chars() {
            let unit = match character {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 24 * 3600,
                digit => {
                    number = number * 10 + u64::from(digit.to_digit(10).unwrap_or(0));
                    continue;
                }
            };
            (seconds, number) = (seconds + number * unit, 0);
        }
        seconds
    }

    /// Returns the number of observations in the same window a time ago.
    pub(super) fn count_ago(&self, metric: &Metric, ago: &str) -> String {
        self.of_histogram_at(metric.name, "count", "increase", &[], &format!(" offset {ago}"))
    }

    pub(super) fn quantile(&self, metric: &Metric, percent: u8) -> String {
        self.quantile_of(metric.name, percent)
    }

    pub(super) fn quantile_of(&self, name: &str, percent: u8) -> String {
        let range = format!("{}[{}]", self.matchers(&[]), self.window);
        let share = f64::from(percent) / 100.0;
        match self.histograms_of(name) {
            Histograms::Classic => {
                let labels = ["le", &self.labels()].join(if self.labels().is_empty() { "" } else { ", " });
                format!("histogram_quantile({share}, {})", sum(&labels, &format!("rate({name}_bucket{range})")))
            }
            Histograms::Native => {
                format!("histogram_quantile({share}, {})", self.by_subject(&format!("rate({name}{range})")))
            }
        }
    }

    pub(super) fn gauge(&self, metric: &Metric) -> String {
        self.by_subject(&format!("{}{}", metric.name, self.matchers(&[])))
    }

    /// Divides by what all requests of the process took.
    pub(super) fn of_all_requests(&self, time: &str) -> String {
        let process = Query { scope: Scope::Process, matchers: &[], ..self.clone() };
        let on = self.of_process.join(", ");
        format!("{time} / on ({on}) group_left () {}", process.sum_rate(&names::HTTP_DURATION, &[]))
    }

    /// Returns the share of a duration that a time is.
    pub(super) fn of_duration(&self, time: &str) -> String {
        format!("{time} / {}", self.sum_rate(self.counted(), &[]))
    }
}

/// Sums series by labels, all of them where there are none.
pub(super) fn sum(labels: &str, of: &str) -> String {
    if labels.is_empty() { format!("sum({of})") } else { format!("sum by ({labels}) ({of})") }
}

/// Leaves one of the series that have the same values of some labels, so that others can take a label of it. There may be several, which
/// differ in a label of the target such as `cluster`, or in the one that is taken.
pub(super) fn one_of(labels: &str, series: &str) -> String {
    format!("topk by ({labels}) (1, {series})")
}

/// Matchers of requests that matched a route of their own.
pub(super) fn one_route() -> [String; 2] {
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
pub(crate) fn quoted(text: &str) -> String {
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
