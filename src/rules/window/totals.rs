//! [`Totals`]: all observations of one duration, over all subjects.

use std::{collections::BTreeMap, time::Duration};

use super::durations::{divide, quantile};
use crate::{
    names,
    store::{HistogramSum, Outcome, OutcomeClass, Window},
};

/// The requests that matched no route and were not refused: scanners are refused.
#[derive(Debug, Default)]
pub(super) struct Unmatched<'a> {
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// Status or kind of error of most failures.
    pub(super) top_error: Option<&'a str>,
}

impl<'a> Unmatched<'a> {
    pub(super) fn of(window: &'a Window) -> Self {
        let mut unmatched = Self::default();
        let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
        for series in window.series(names::HTTP_DURATION.name).filter(|series| series.facts.is_unmatched) {
            let count = series.histogram().map_or(0, |view| view.count());
            unmatched.requests += if series.facts.class == OutcomeClass::Refusal { 0 } else { count };
            if series.facts.class == OutcomeClass::Failure {
                unmatched.failed += count;
                *errors.entry(Outcome::of(series.meta).name).or_default() += count;
            }
        }
        unmatched.top_error = errors.into_iter().max_by_key(|(_, count)| *count).map(|(error, _)| error);
        unmatched
    }
}

/// All requests, queries or tasks of a window, requests that matched no route included.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    sum: HistogramSum,
    failed: u64,
    unmatched: u64,
}

impl Totals {
    /// Sums the series of the duration called `metric`.
    pub(crate) fn of(window: &Window, metric: &str) -> Self {
        let mut totals = Self::default();
        for series in window.series(metric) {
            let Some(view) = series.histogram() else { continue };
            view.add_to(&mut totals.sum);
            if series.facts.class == OutcomeClass::Failure {
                totals.failed += view.count();
            }
            if series.facts.is_unmatched {
                totals.unmatched += view.count();
            }
        }
        totals
    }

    /// Returns the number of observations.
    pub(crate) fn count(&self) -> u64 {
        self.sum.count()
    }

    /// Returns the sum of all durations, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.sum.sum()
    }

    /// Returns the mean duration, in seconds.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.sum.mean()
    }

    /// Returns the shortest duration, in seconds.
    pub(crate) fn min(&self) -> Option<f64> {
        self.sum.min()
    }

    /// Returns the longest duration, in seconds.
    pub(crate) fn max(&self) -> Option<f64> {
        self.sum.max()
    }

    /// Returns a percentile of the durations, in seconds.
    pub(crate) fn quantile(&self, percent: u8) -> Option<f64> {
        self.sum.quantile(quantile(percent)?)
    }

    /// Returns the share of requests that failed by the service's own fault, 0 to 1.
    pub(crate) fn error_ratio(&self) -> Option<f64> {
        divide(self.failed as f64, self.count() as f64)
    }

    /// Returns the number of observations per second of `span`.
    pub(crate) fn rate(&self, span: Duration) -> Option<f64> {
        divide(self.count() as f64, span.as_secs_f64())
    }

    /// Returns how many requests matched no route.
    pub(crate) fn unmatched(&self) -> u64 {
        self.unmatched
    }
}
