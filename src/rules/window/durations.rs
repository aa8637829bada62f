//! [`Durations`]: the durations of one subject, by their outcomes.
//!
//! Adding a series reads its sum, count and maximum. Its buckets, which lie all over the heap, are read only for a
//! quantile, which costs the most of all measures.

use std::{cell::OnceCell, time::Duration};

use crate::{
    rules::measure::Measure,
    store::{HistogramSum, HistogramView, Outcome, OutcomeClass, Quantile, SeriesView},
};

/// Seconds in a nanosecond: counters are integers and count these.
pub(super) const NANOS: f64 = 1e-9;

/// The series of one duration and subject, with sums that every rule reads.
#[derive(Debug, Default)]
pub(crate) struct Durations<'a> {
    parts: Vec<Part<'a>>,
    count: u64,
    seconds: f64,
    max: Option<f64>,
    failed: u64,
    failed_seconds: f64,
    succeeded_seconds: f64,
    refused: u64,
    cancelled: u64,
    cancelled_seconds: f64,
    /// The buckets of all series, added up for the first quantile.
    merged: OnceCell<HistogramSum>,
}

/// One of the series.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    series: SeriesView<'a>,
    view: HistogramView<'a>,
}

/// The observations of one duration with the same outcome.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeCount<'a> {
    pub(crate) outcome: Outcome<'a>,
    pub(crate) count: u64,
    /// Places of their series in a window.
    pub(crate) places: Vec<u32>,
}

impl<'a> Durations<'a> {
    /// Adds a series, unless it has no observation.
    pub(super) fn add(&mut self, series: &SeriesView<'a>) {
        let Some(view) = series.histogram().filter(|view| view.count() > 0) else { return };
        let count = view.count();
        self.parts.push(Part { series: *series, view });
        self.count += count;
        self.seconds += view.sum();
        self.max = self.max.into_iter().chain(view.max()).reduce(f64::max);
        match series.facts.class {
            OutcomeClass::Success => self.succeeded_seconds += view.sum(),
            OutcomeClass::Failure => {
                self.failed += count;
                self.failed_seconds += view.sum();
            }
            OutcomeClass::Refusal => self.refused += count,
            OutcomeClass::Cancellation => {
                self.cancelled += count;
                self.cancelled_seconds += view.sum();
            }
        }
    }

    /// Returns the number of observations.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of all durations.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Returns the longest duration, in seconds.
    pub(crate) fn max(&self) -> Option<f64> {
        self.max
    }

    /// Returns whether a quantile is certainly below a limit, because the maximum is: without reading any bucket.
    pub(crate) fn is_surely_below(&self, measure: Measure, limit: Option<f64>) -> bool {
        let is_quantile = matches!(measure, Measure::DurationQuantile(_) | Measure::OwnDurationQuantile(_));
        is_quantile && limit.zip(self.max()).is_some_and(|(limit, max)| max < limit)
    }

    /// Returns the shortest duration, in seconds.
    pub(crate) fn min(&self) -> Option<f64> {
        self.parts.iter().filter_map(|part| part.view.min()).reduce(f64::min)
    }

    /// Returns the shortest duration of a class of outcomes, in seconds.
    pub(super) fn min_of(&self, class: OutcomeClass) -> Option<f64> {
        self.of_class(class).filter_map(|view| view.min()).reduce(f64::min)
    }

    /// Returns the longest duration of a class of outcomes, in seconds.
    pub(super) fn max_of(&self, class: OutcomeClass) -> Option<f64> {
        self.of_class(class).filter_map(|view| view.max()).reduce(f64::max)
    }

    /// Returns the median of a class of outcomes, in seconds.
    pub(super) fn median_of(&self, class: OutcomeClass) -> Option<f64> {
        let mut sum = HistogramSum::default();
        self.of_class(class).for_each(|view| view.add_to(&mut sum));
        sum.quantile(quantile(50)?)
    }

    fn of_class(&self, class: OutcomeClass) -> impl Iterator<Item = HistogramView<'a>> {
        self.parts.iter().filter(move |part| part.series.facts.class == class).map(|part| part.view)
    }

    /// Returns the median, in seconds.
    pub(super) fn median(&self) -> Option<f64> {
        self.quantile(50)
    }

    fn quantile(&self, percent: u8) -> Option<f64> {
        let merged = self.merged.get_or_init(|| {
            let mut sum = HistogramSum::default();
            for part in &self.parts {
                part.view.add_to(&mut sum);
            }
            sum
        });
        merged.quantile(quantile(percent)?)
    }

    /// Returns how many failed by the service's own fault.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns the mean duration of the failures, in seconds.
    pub(crate) fn failed_mean(&self) -> Option<f64> {
        divide(self.failed_seconds, self.failed as f64)
    }

    /// Returns the mean duration of the successes, in seconds.
    pub(crate) fn succeeded_mean(&self) -> Option<f64> {
        divide(self.succeeded_seconds, (self.count - self.failed - self.refused - self.cancelled) as f64)
    }

    /// Returns the mean duration of those that were cut short, in seconds.
    pub(crate) fn cancelled_mean(&self) -> Option<f64> {
        divide(self.cancelled_seconds, self.cancelled as f64)
    }

    /// Returns the number of observations of each outcome, the most frequent first.
    pub(crate) fn by_outcome(&self) -> Vec<OutcomeCount<'a>> {
        let mut counts: Vec<OutcomeCount<'a>> = Vec::new();
        for Part { series, view } in &self.parts {
            let (outcome, place) = (Outcome::of(series.meta), series.place);
            match counts.iter_mut().find(|known| known.outcome.name == outcome.name) {
                Some(known) => {
                    known.count += view.count();
                    known.places.push(place);
                }
                None => counts.push(OutcomeCount { outcome, count: view.count(), places: vec![place] }),
            }
        }
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.outcome.name.cmp(b.outcome.name)));
        counts
    }

    /// Returns how many observations are above a limit, in seconds: exactly for the limit of a rule, which is an edge
    /// of a bucket, and within 5 % for others.
    pub(crate) fn count_above(&self, limit: f64) -> u64 {
        self.parts.iter().map(|part| part.view.count_above(limit)).sum()
    }

    /// Returns the sum of the durations that were cancelled.
    pub(crate) fn cancelled_seconds(&self) -> f64 {
        self.cancelled_seconds
    }

    /// Returns a measure that every duration has; `None` for others and without data.
    pub(super) fn measure(&self, measure: Measure, span: Duration) -> Option<f64> {
        match measure {
            Measure::AvgDuration => divide(self.seconds(), self.count() as f64),
            Measure::DurationQuantile(percent) => self.quantile(percent),
            Measure::MaxDuration => self.max(),
            Measure::Rate => divide(self.count() as f64, span.as_secs_f64()),
            Measure::InFlight => divide(self.seconds(), span.as_secs_f64()),
            Measure::ErrorRatio => divide(self.failed as f64, self.count as f64),
            Measure::ClientErrorRatio => divide(self.refused as f64, self.count as f64),
            Measure::CancelledRatio => divide(self.cancelled as f64, self.count as f64),
            _ => None,
        }
    }
}

/// Returns the quantile for a percentage; `None` above 100.
pub(crate) fn quantile(percent: u8) -> Option<Quantile> {
    Quantile::new(f64::from(percent) / 100.0)
}

/// Returns `a` / `b`, or `None` unless `b` is positive: without data there is no value, and not the value zero.
pub(crate) fn divide(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}
