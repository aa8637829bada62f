//! One duration by how its observations ended.
//!
//! Sums and counts are taken when a series is added; the buckets, which lie all over the heap, are read only when a
//! quantile is asked for.

use std::{cell::OnceCell, time::Duration};

use crate::{
    rules::measure::Measure,
    store::{HistogramSum, HistogramView, Quantile, SeriesView},
};

/// Several series of one duration, by how the observations ended.
#[derive(Debug, Default)]
pub(crate) struct Durations<'a> {
    parts: Vec<Part<'a>>,
    // Every rule reads these of every subject, and a window's histograms lie all over the heap.
    count: u64,
    seconds: f64,
    max: Option<f64>,
    failed: u64,
    failed_seconds: f64,
    good_seconds: f64,
    refused: u64,
    cancelled: u64,
    cancelled_seconds: f64,
    merged: OnceCell<HistogramSum>,
}

/// One of the series.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    ending: Ending<'a>,
    view: HistogramView<'a>,
    place: u32,
}

/// The observations of a duration that ended in the same way.
#[derive(Clone, Debug)]
pub(crate) struct EndingCount<'a> {
    pub(crate) ending: Ending<'a>,
    pub(crate) count: u64,
    /// Where their series are in a window.
    pub(crate) places: Vec<u32>,
}

/// How an observation ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) verdict: Verdict,
    /// A status, a kind of error or the outcome of a task.
    pub(crate) name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// The service's own fault.
    Failed,
    /// Refused: 4xx.
    Refused,
    Cancelled,
}

impl Verdict {
    /// What went wrong first, and what was right last.
    pub(crate) const WORST_FIRST: [Self; 4] = [Self::Failed, Self::Cancelled, Self::Refused, Self::Good];
}

impl<'a> Durations<'a> {
    /// Adds a series, unless it has no observation.
    pub(super) fn add(&mut self, ending: Ending<'a>, series: &SeriesView<'a>) {
        let Some(view) = series.histogram().filter(|view| view.count() > 0) else { return };
        let count = view.count();
        self.parts.push(Part { ending, view, place: series.place });
        self.count += count;
        self.seconds += view.sum();
        self.max = self.max.into_iter().chain(view.max()).reduce(f64::max);
        match ending.verdict {
            Verdict::Good => self.good_seconds += view.sum(),
            Verdict::Failed => {
                self.failed += count;
                self.failed_seconds += view.sum();
            }
            Verdict::Refused => self.refused += count,
            Verdict::Cancelled => {
                self.cancelled += count;
                self.cancelled_seconds += view.sum();
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.max
    }

    /// Tells without a look at the buckets, which is what quantiles cost, that a measure is below a limit.
    pub(crate) fn is_surely_below(&self, measure: Measure, limit: Option<f64>) -> bool {
        let is_quantile = matches!(measure, Measure::DurationQuantile(_));
        is_quantile && limit.zip(self.max()).is_some_and(|(limit, max)| max < limit)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        self.parts.iter().filter_map(|part| part.view.min()).reduce(f64::min)
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

    /// How many failed by the service's own fault.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Mean duration of those that failed, in seconds.
    pub(crate) fn failed_mean(&self) -> Option<f64> {
        divide(self.failed_seconds, self.failed as f64)
    }

    /// Mean duration of those that ended well, in seconds.
    pub(crate) fn good_mean(&self) -> Option<f64> {
        divide(self.good_seconds, (self.count - self.failed - self.refused - self.cancelled) as f64)
    }

    /// How many observations ended in each way, the most frequent first.
    pub(crate) fn by_ending(&self) -> Vec<EndingCount<'a>> {
        let mut endings: Vec<EndingCount<'a>> = Vec::new();
        for Part { ending, view, place } in &self.parts {
            match endings.iter_mut().find(|known| known.ending.name == ending.name) {
                Some(known) => {
                    known.count += view.count();
                    known.places.push(*place);
                }
                None => endings.push(EndingCount { ending: *ending, count: view.count(), places: vec![*place] }),
            }
        }
        endings.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.ending.name.cmp(b.ending.name)));
        endings
    }

    /// How many observations are above a limit: exact at the limit of a rule, else within 5 %.
    pub(crate) fn count_above(&self, limit: f64) -> u64 {
        self.parts.iter().map(|part| part.view.count_above(limit)).sum()
    }

    /// Time of those that were cut short, in seconds.
    pub(crate) fn cancelled_seconds(&self) -> f64 {
        self.cancelled_seconds
    }

    /// The measures that any duration has.
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

/// A quantile as store knows it.
pub(crate) fn quantile(percent: u8) -> Option<Quantile> {
    Quantile::new(f64::from(percent) / 100.0)
}

/// `None` where there is nothing to divide by: no data is not zero.
pub(crate) fn divide(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then(|| a / b)
}
