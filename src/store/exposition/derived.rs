//! Metrics that have no series of their own: their samples are computed from other series when they are exposed.
//!
//! A further one is a constant of the catalogue that [`is_derived`] knows, and a branch of [`points`].

use std::collections::BTreeMap;

use metrics::Label;

use crate::{
    names::{self, Metric, Tally},
    store::{
        pairs::Line,
        series::{Cell, Index},
    },
};

/// Nanoseconds of a second.
pub(super) const NANOS: f64 = 1e9;

/// A sample that was computed.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) labels: Vec<Label>,
    pub(super) value: f64,
}

/// What is computed from.
pub(in crate::store) struct Sources {
    /// Whether the tallies are exposed.
    pub(in crate::store) with_tallies: bool,
    pub(in crate::store) pairs: Vec<Line>,
}

/// Returns whether a metric's samples are computed.
pub(super) fn is_derived(metric: &Metric) -> bool {
    tally(metric).is_some() || folded(metric).is_some()
}

/// Computes the samples of a metric.
pub(super) fn points(metric: &Metric, index: &Index, sources: &Sources) -> Vec<Point> {
    match (tally(metric).filter(|_| sources.with_tallies), folded(metric)) {
        (Some(tally), _) => tallied(tally, index),
        (None, Some(counter)) => pairs(metric, counter, &sources.pairs),
        (None, None) => Vec::new(),
    }
}

/// Returns which counter of a pair a metric shows.
fn folded(metric: &Metric) -> Option<usize> {
    names::FOLDED.iter().position(|folded| folded.metric.name == metric.name)
}

fn pairs(metric: &Metric, counter: usize, lines: &[Line]) -> Vec<Point> {
    let unit = if metric.nanos { NANOS } else { 1.0 };
    let point = |line: &Line| {
        let (method, route) = line.endpoint.clone();
        let labels = [(names::METHOD, method), (names::ROUTE, route), (names::DB_QUERY_ID, line.statement.clone())];
        let labels = labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
        Point { labels, value: line.counts[counter] as f64 / unit }
    };
    lines.iter().map(point).collect()
}

fn tally(metric: &Metric) -> Option<&'static Tally> {
    names::TALLIES.iter().find(|tally| tally.metric.name == metric.name)
}

/// Counts durations by outcome.
fn tallied(tally: &Tally, index: &Index) -> Vec<Point> {
    let own: Vec<&'static str> = tally.metric.labels.iter().copied().filter(|name| *name != names::OUTCOME).collect();
    let mut counts: BTreeMap<Vec<Option<&str>>, Vec<u64>> = BTreeMap::new();
    for place in index.named(tally.of.name) {
        let series = &index.series[*place as usize];
        let Cell::Histogram(cell) = &series.cell else { continue };
        let values = own.iter().map(|name| series.meta.label(name)).collect();
        let counts = counts.entry(values).or_insert_with(|| vec![0; tally.outcomes.len()]);
        let outcome = index.facts(*place).class.tallied();
        if let Some(place) = tally.outcomes.iter().position(|known| *known == outcome) {
            counts[place] += cell.buckets().iter().sum::<u64>();
        }
    }
    let mut points = Vec::with_capacity(counts.len() * tally.outcomes.len());
    for (values, counts) in counts {
        let labels: Vec<Label> = own
            .iter()
            .zip(&values)
            .filter_map(|(name, value)| Some(Label::new(*name, value.as_ref()?.to_string())))
            .collect();
        for (outcome, count) in tally.outcomes.iter().zip(counts) {
            let outcome = Label::new(names::OUTCOME, *outcome);
            // A float counts exactly up to 2^53.
            points.push(Point { labels: labels.iter().cloned().chain([outcome]).collect(), value: count as f64 });
        }
    }
    points
}
