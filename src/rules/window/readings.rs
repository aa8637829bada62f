//! Readings from the windows of this process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{evidence::Looking, memory::MemoryGrowth, summary::Summary};
use crate::{
    rules::{
        evidence::Evidence,
        measure::Measure,
        readings::{Question, Reading, Readings},
        scope::Scope,
        subject::Subject,
    },
    store::Window,
};

/// The name of the one subject of the scope `process`.
const PROCESS: &str = "process";

/// Readings of one moment: a window of each length that some rule looks at.
#[derive(Debug, Default)]
pub(crate) struct WindowReadings<'a> {
    windows: BTreeMap<Duration, Summary<'a>>,
    /// Everything since the start or the last clear: when something was seen first and last.
    total: Option<&'a Window>,
    growth: Option<MemoryGrowth>,
}

impl<'a> WindowReadings<'a> {
    /// Takes the windows by the length that was asked for, which is longer than their span just after the start.
    pub(crate) fn new(windows: impl IntoIterator<Item = (Duration, &'a Window)>) -> Self {
        let windows = windows.into_iter().map(|(length, window)| (length, Summary::of(window))).collect();
        Self { windows, total: None, growth: None }
    }

    /// Adds everything since the start or the last clear. Without it nobody knows when something was seen first.
    pub(crate) fn since_start(mut self, total: &'a Window) -> Self {
        self.total = Some(total);
        self
    }

    /// Adds what the leak detector found. Without it rules about the growth of the memory have no data.
    pub(crate) fn with_memory_growth(mut self, growth: Option<MemoryGrowth>) -> Self {
        self.growth = growth;
        self
    }

    /// Returns the window of a length. Where there is none, as for the span of a growth, the longest of those that are
    /// shorter, or the shortest of all.
    fn summary(&self, length: Duration) -> Option<&Summary<'a>> {
        self.windows.range(..=length).next_back().or(self.windows.first_key_value()).map(|(_, summary)| summary)
    }

    /// The growth of the memory is no window's: it has a curve of its own.
    fn growth(&self) -> Option<Reading> {
        let MemoryGrowth { bytes_per_hour, span, samples, .. } = self.growth?;
        Some(Reading { subject: process(), value: bytes_per_hour, samples, span: Some(span) })
    }
}

impl Readings for WindowReadings<'_> {
    fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        if question.measure == Measure::MemoryGrowth {
            return self.growth().into_iter().collect();
        }
        let Some(summary) = self.summary(question.window) else { return Vec::new() };
        let reading = |subject: &Arc<Subject>, answer: Option<(f64, u64)>| {
            let (value, samples) = answer.filter(|(value, _)| question.at_least.is_none_or(|least| *value >= least))?;
            Some(Reading { subject: subject.clone(), value, samples, span: None })
        };
        let measure = question.measure;
        match question.scope {
            Scope::Endpoint => {
                let endpoints = summary.endpoints();
                let enough = endpoints.all.iter().filter(|endpoint| endpoint.durations.count() >= question.min_samples);
                enough
                    .filter(|endpoint| !endpoint.is_surely_below(measure, question.at_least))
                    .filter_map(|endpoint| {
                        let value = endpoint.measure(measure, endpoints)?;
                        reading(&endpoint.subject, Some((value, endpoint.durations.count())))
                    })
                    .collect()
            }
            Scope::Query => {
                let (endpoints, uses) = (summary.endpoints(), summary.uses());
                let each = summary.queries().iter();
                let each = each.filter(|query| !query.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|query| {
                    reading(&query.subject, query.measure(measure, endpoints, uses, question.min_samples))
                })
                .collect()
            }
            Scope::Task => {
                let each = summary.tasks().iter();
                let each = each.filter(|task| !task.durations.is_surely_below(measure, question.at_least));
                each.filter_map(|task| reading(&task.subject, task.measure(measure, summary.endpoints()))).collect()
            }
            Scope::Process => reading(&process(), summary.process(measure)).into_iter().collect(),
            Scope::Metric => question.metric.map_or_else(Vec::new, |metric| summary.metric(metric, measure)),
        }
    }

    fn evidence(&self, scope: Scope, subject: &Subject, window: Duration, slow: Option<f64>) -> Evidence {
        let Some(summary) = self.summary(window) else { return Evidence::default() };
        let looking = Looking { summary, total: self.total, slow };
        match scope {
            Scope::Endpoint => looking.at_endpoint(subject),
            Scope::Query => looking.at_query(subject),
            Scope::Task => looking.at_task(subject),
            Scope::Process => looking.at_process(self.growth.as_ref()),
            Scope::Metric => None,
        }
        .unwrap_or_default()
    }
}

fn process() -> Arc<Subject> {
    Arc::new(Subject { name: PROCESS.into(), labels: Vec::new() })
}
