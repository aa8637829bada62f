//! Samples added up: per endpoint, overall, and over time.

use super::endpoint::{EndpointId, EndpointName};
use super::failure::Failures;
use super::latency::{Latency, Precision, rank_of};
use super::outcome::Outcome;
use super::recorder::{Recorder, Sample};
use super::series::{Point, Series};

/// Everything known of the requests of one endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointTally {
    outcomes: [Option<Box<Latency>>; Outcome::ALL.len()],
    first_byte: Option<Box<Latency>>,
    service: Option<Box<Latency>>,
    statuses: Vec<(u16, u64)>,
    /// Rejected ones whose status was 4xx.
    refused: u64,
    bytes: u64,
    after_end: u64,
    never_sent: u64,
    failures: Failures,
}

impl EndpointTally {
    pub(super) fn record(&mut self, sample: Sample) {
        self.slot(sample.outcome).record(sample.latency);
        if let Some(first_byte) = sample.first_byte {
            self.first_byte.get_or_insert_with(coarse).record(first_byte);
        }
        if let Some(service) = sample.service {
            self.service.get_or_insert_with(coarse).record(service);
        }
        if let Some(status) = sample.status {
            self.count_status(status, 1);
        }
        let is_refused = sample.outcome == Outcome::Rejected && sample.status.is_some_and(|status| status / 100 == 4);
        self.refused += u64::from(is_refused);
        self.bytes += sample.bytes;
        self.after_end += u64::from(sample.after_end);
        self.never_sent += u64::from(sample.never_sent);
        if let Some((kind, example)) = sample.failure {
            self.failures.record(kind, example);
        }
    }

    /// Adds the samples of another part of the run.
    pub(crate) fn add(&mut self, other: &Self) {
        for outcome in Outcome::ALL {
            if let Some(latency) = &other.outcomes[outcome as usize] {
                self.slot(outcome).add(latency);
            }
        }
        if let Some(first_byte) = &other.first_byte {
            self.first_byte.get_or_insert_with(coarse).add(first_byte);
        }
        if let Some(service) = &other.service {
            self.service.get_or_insert_with(coarse).add(service);
        }
        for &(status, count) in &other.statuses {
            self.count_status(status, count);
        }
        self.refused += other.refused;
        self.bytes += other.bytes;
        self.after_end += other.after_end;
        self.never_sent += other.never_sent;
        self.failures.add(other.failures.clone());
    }

    pub(super) fn clear(&mut self) {
        for latency in self.outcomes.iter_mut().flatten() {
            latency.clear();
        }
        for latency in [&mut self.first_byte, &mut self.service].into_iter().flatten() {
            latency.clear();
        }
        self.statuses.clear();
        self.refused = 0;
        self.bytes = 0;
        self.after_end = 0;
        self.never_sent = 0;
        self.failures.take();
    }

    /// All requests.
    pub(crate) fn count(&self) -> u64 {
        Outcome::ALL.into_iter().map(|outcome| self.of(outcome)).sum()
    }

    /// Requests a second, of a load that lasted so many seconds.
    ///
    /// What ends after the load is part of every other number, but not of this one: its time is not either.
    pub(crate) fn rate(&self, seconds: f64) -> Option<f64> {
        (seconds > 0.0).then(|| (self.count() - self.after_end) as f64 / seconds)
    }

    /// Requests that ended so.
    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.latency(outcome).map_or(0, Latency::count)
    }

    /// Requests that never reached the target: the rest is what the target should have seen.
    pub(crate) fn never_sent(&self) -> u64 {
        self.never_sent
    }

    /// Requests that did not end well.
    pub(crate) fn failed(&self) -> u64 {
        self.count() - self.of(Outcome::Success)
    }

    /// Requests that were rejected since their status was a 4xx that nobody wanted.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Share of requests that failed, 0 to 1; `None` without requests.
    pub(crate) fn error_ratio(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.failed() as f64 / count as f64)
    }

    /// Latencies of the requests that ended so.
    pub(crate) fn latency(&self, outcome: Outcome) -> Option<&Latency> {
        self.outcomes[outcome as usize].as_deref().filter(|latency| latency.count() > 0)
    }

    /// Times to the response head.
    pub(crate) fn first_byte(&self) -> Option<&Latency> {
        self.first_byte.as_deref().filter(|latency| latency.count() > 0)
    }

    /// Latencies since the real start, in an open model.
    pub(crate) fn service(&self) -> Option<&Latency> {
        self.service.as_deref().filter(|latency| latency.count() > 0)
    }

    /// Sum of all latencies, counted from when a request was really sent also in an open model.
    pub(crate) fn since_sent_seconds(&self) -> f64 {
        self.service().map_or_else(|| self.ranked().sum_seconds(), Latency::sum_seconds)
    }

    /// Responses by status, ascending.
    pub(crate) fn statuses(&self) -> Vec<(u16, u64)> {
        let mut statuses = self.statuses.clone();
        statuses.sort_unstable();
        statuses
    }

    /// Body bytes received.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Failures by kind.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Latencies of everything sent, failures ranked behind every success.
    pub(crate) fn ranked(&self) -> RankedLatencies {
        let success = self.latency(Outcome::Success).cloned().unwrap_or_else(|| Latency::new(Precision::Fine));
        let mut failed = Latency::new(Precision::Coarse);
        for outcome in Outcome::ALL.into_iter().skip(1) {
            if let Some(latency) = self.latency(outcome) {
                failed.add(latency);
            }
        }
        RankedLatencies { success, failed }
    }

    fn slot(&mut self, outcome: Outcome) -> &mut Latency {
        self.outcomes[outcome as usize].get_or_insert_with(|| {
            Box::new(Latency::new(match outcome {
                Outcome::Success => Precision::Fine,
                Outcome::Rejected | Outcome::TimedOut | Outcome::Broken | Outcome::Cancelled => Precision::Coarse,
            }))
        })
    }

    fn count_status(&mut self, status: u16, count: u64) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, total)) => *total += count,
            None => self.statuses.push((status, count)),
        }
    }
}

/// Latencies of everything sent, with failures ranked behind every success.
///
/// A refused connection after 0.2 ms would otherwise improve every percentile, so a failure never counts as faster than
/// the slowest success.
#[derive(Clone, Debug)]
pub(crate) struct RankedLatencies {
    success: Latency,
    failed: Latency,
}

impl RankedLatencies {
    /// All requests.
    pub(crate) fn count(&self) -> u64 {
        self.success.count() + self.failed.count()
    }

    /// The value at or below which a share `q` (0 to 1) of everything sent lies; `None` without requests.
    pub(crate) fn quantile_seconds(&self, q: f64) -> Option<f64> {
        if self.count() == 0 {
            return None;
        }
        let rank = rank_of(q, self.count());
        let slowest = self.success.max_seconds();
        self.success
            .at_rank(rank)
            .or_else(|| self.failed.at_rank(rank - self.success.count()).map(|time| time.max(slowest.unwrap_or(0.0))))
    }

    /// Arithmetic mean of everything sent; `None` without requests.
    pub(crate) fn mean_seconds(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_seconds() / self.count() as f64)
    }

    /// Sum of all latencies.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.success.sum_seconds() + self.failed.sum_seconds()
    }

    /// Standard deviation of everything sent; `None` below two requests.
    pub(crate) fn standard_deviation_seconds(&self) -> Option<f64> {
        let count = self.count() as f64;
        let squares = self.success.sum_of_squares_seconds() + self.failed.sum_of_squares_seconds();
        (count > 1.0).then(|| ((squares - self.sum_seconds().powi(2) / count) / (count - 1.0)).max(0.0).sqrt())
    }

    /// Least latency of everything sent.
    pub(crate) fn min_seconds(&self) -> Option<f64> {
        [self.success.min_seconds(), self.failed.min_seconds()].into_iter().flatten().reduce(f64::min)
    }

    /// Greatest latency of everything sent.
    pub(crate) fn max_seconds(&self) -> Option<f64> {
        [self.success.max_seconds(), self.failed.max_seconds()].into_iter().flatten().reduce(f64::max)
    }
}

/// One endpoint's name, numbers and course.
#[derive(Clone, Debug)]
pub(crate) struct EndpointCourse {
    /// What it is called.
    pub(crate) name: EndpointName,
    /// Its path, by which the server's route is found.
    pub(crate) route: String,
    /// Its numbers over the whole run.
    pub(crate) tally: EndpointTally,
    /// Its numbers over time.
    pub(crate) series: Series,
}

/// All samples of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    endpoints: Vec<EndpointCourse>,
    total: EndpointTally,
    series: Series,
    /// Intervals so far.
    ticks: u64,
}

impl Tally {
    /// Takes what was recorded since the last call as the interval that ends at `end` and lasted `span` seconds, and
    /// returns that interval's numbers.
    pub(crate) fn drain(&mut self, recorder: &Recorder, end: f64, span: f64) -> Interval {
        self.grow(recorder);
        let mut parts: Vec<(EndpointId, EndpointTally)> = Vec::new();
        recorder.drain(|id, tally| match parts.iter_mut().find(|(known, _)| *known == id) {
            Some((_, part)) => part.add(tally),
            None => parts.push((id, tally.clone())),
        });
        // Endpoints registered while draining.
        self.grow(recorder);
        let mut overall = EndpointTally::default();
        for (id, part) in &parts {
            let course = &mut self.endpoints[id.index()];
            course.tally.add(part);
            course.series.push(self.ticks, Point::of(part, end - span, span));
            self.total.add(part);
            overall.add(part);
        }
        self.series.push(self.ticks, Point::of(&overall, end - span, span));
        self.ticks += 1;
        Interval { overall, endpoints: parts }
    }

    /// Endpoints by id.
    pub(crate) fn endpoints(&self) -> &[EndpointCourse] {
        &self.endpoints
    }

    /// All endpoints together.
    pub(crate) fn total(&self) -> &EndpointTally {
        &self.total
    }

    /// All endpoints together over time.
    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    fn grow(&mut self, recorder: &Recorder) {
        for (name, route) in recorder.endpoints().into_iter().skip(self.endpoints.len()) {
            self.endpoints.push(EndpointCourse {
                name,
                route,
                tally: EndpointTally::default(),
                series: Series::default(),
            });
        }
    }
}

/// The numbers of one interval.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// All endpoints together.
    pub(crate) overall: EndpointTally,
    /// Each endpoint that had requests.
    pub(crate) endpoints: Vec<(EndpointId, EndpointTally)>,
}

fn coarse() -> Box<Latency> {
    Box::new(Latency::new(Precision::Coarse))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn tally(success_ms: &[u64], failed_ms: &[u64]) -> EndpointTally {
        let mut tally = EndpointTally::default();
        for (outcome, values) in [(Outcome::Success, success_ms), (Outcome::Broken, failed_ms)] {
            for &value in values {
                tally.slot(outcome).record(Duration::from_millis(value));
            }
        }
        tally
    }

    #[test]
    fn fast_failures_do_not_lower_percentiles() {
        let good = tally(&[100; 50], &[]).ranked();
        let bad = tally(&[100; 50], &[1; 50]).ranked();
        assert_eq!(bad.quantile_seconds(0.5), good.quantile_seconds(0.5));
        assert_eq!(bad.quantile_seconds(0.99), good.max_seconds());
        assert_eq!(bad.min_seconds(), Some(0.001));
    }

    #[test]
    fn only_failures_still_have_percentiles() {
        assert_eq!(tally(&[], &[7]).ranked().quantile_seconds(0.5), Some(0.007));
        assert_eq!(tally(&[], &[]).ranked().quantile_seconds(0.5), None);
    }

    proptest! {
        #[test]
        fn percentiles_are_ordered(success in prop::collection::vec(1u64..5000, 0..60),
                                   failed in prop::collection::vec(1u64..5000, 0..60)) {
            prop_assume!(!success.is_empty() || !failed.is_empty());
            let ranked = tally(&success, &failed).ranked();
            let values: Vec<f64> =
                [0.5, 0.9, 0.95, 0.99, 0.999].iter().map(|q| ranked.quantile_seconds(*q).unwrap()).collect();
            prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
            prop_assert!(values[4] <= ranked.max_seconds().unwrap());
            prop_assert!(values[0] >= ranked.min_seconds().unwrap());
        }
    }
}
