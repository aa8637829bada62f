//! [`EndpointTally`]: the requests of one endpoint, or of all, added up.

use super::{
    failure::Failures,
    latency::{Latency, Precision},
    outcome::Outcome,
    ranked::RankedLatencies,
    sample::Sample,
};

/// The quantile of the quick requests.
const QUICK: f64 = 0.05;

/// The requests of one endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointTally {
    outcomes: [Option<Box<Latency>>; Outcome::ALL.len()],
    /// Times to the response head; of a request that got none, until it failed.
    heads: Option<Box<RankedLatencies>>,
    /// How many requests got a response head.
    head_count: u64,
    service: Option<Box<RankedLatencies>>,
    statuses: Vec<(u16, u64)>,
    /// Rejected requests whose status was 4xx.
    refused: u64,
    bytes: u64,
    /// Bytes of bodies that were not compressed, and of the others after decoding.
    decoded_bytes: u64,
    after_end: u64,
    never_sent: u64,
    failures: Failures,
}

impl EndpointTally {
    pub(super) fn record(&mut self, sample: Sample) {
        self.slot(sample.outcome).record(sample.latency);
        if sample.outcome != Outcome::Unsent {
            let since_sent = sample.service.unwrap_or(sample.latency);
            // A failure without a head ranks where it ranks by its whole time, or the head would seem to be the slower part.
            let head = sample.first_byte.unwrap_or(since_sent);
            self.heads.get_or_insert_default().record(sample.outcome, head);
            self.head_count += u64::from(sample.first_byte.is_some());
            if let Some(service) = sample.service {
                self.service.get_or_insert_default().record(sample.outcome, service);
            }
        }
        if let Some(status) = sample.status {
            self.count_status(status, 1);
        }
        let is_refused = sample.outcome == Outcome::Rejected && sample.status.is_some_and(|status| status / 100 == 4);
        self.refused += u64::from(is_refused);
        self.bytes += sample.bytes;
        self.decoded_bytes += sample.decoded_bytes.unwrap_or(sample.bytes);
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
        if let Some(heads) = &other.heads {
            self.heads.get_or_insert_default().add(heads);
        }
        self.head_count += other.head_count;
        if let Some(service) = &other.service {
            self.service.get_or_insert_default().add(service);
        }
        for &(status, count) in &other.statuses {
            self.count_status(status, count);
        }
        self.refused += other.refused;
        self.bytes += other.bytes;
        self.decoded_bytes += other.decoded_bytes;
        self.after_end += other.after_end;
        self.never_sent += other.never_sent;
        self.failures.add(other.failures.clone());
    }

    pub(super) fn clear(&mut self) {
        for latency in self.outcomes.iter_mut().flatten() {
            latency.clear();
        }
        for latency in [&mut self.heads, &mut self.service].into_iter().flatten() {
            latency.clear();
        }
        self.head_count = 0;
        self.statuses.clear();
        self.refused = 0;
        self.bytes = 0;
        self.decoded_bytes = 0;
        self.after_end = 0;
        self.never_sent = 0;
        self.failures.take();
    }

    /// Returns how many requests there were.
    pub(crate) fn count(&self) -> u64 {
        Outcome::ALL.into_iter().map(|outcome| self.of(outcome)).sum()
    }

    /// Returns the requests a second of a load that lasted so many seconds; `None` for 0 seconds.
    ///
    /// Requests that ended after the load are part of every other number, but not of this one: their time is not part of
    /// the load's either.
    pub(crate) fn rate(&self, seconds: f64) -> Option<f64> {
        (seconds > 0.0).then(|| (self.count() - self.after_end) as f64 / seconds)
    }

    /// Returns how many requests ended with this outcome.
    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.latency(outcome).map_or(0, Latency::count)
    }

    /// Returns how many requests never reached the target, which should have seen all others.
    pub(crate) fn never_sent(&self) -> u64 {
        self.never_sent
    }

    /// Returns how many requests did not succeed.
    pub(crate) fn failed(&self) -> u64 {
        self.count() - self.of(Outcome::Success)
    }

    /// Returns how many requests were rejected because of a 4xx status.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the share of requests that failed, 0 to 1; `None` without requests.
    pub(crate) fn error_ratio(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.failed() as f64 / count as f64)
    }

    /// Returns the latencies of the requests with this outcome; `None` without any.
    pub(crate) fn latency(&self, outcome: Outcome) -> Option<&Latency> {
        self.outcomes[outcome as usize].as_deref().filter(|latency| latency.count() > 0)
    }

    /// Returns the times to the response head, of a request without one until it failed; `None` where none got a head.
    pub(crate) fn first_byte(&self) -> Option<&RankedLatencies> {
        self.heads.as_deref().filter(|_| self.head_count > 0)
    }

    /// Returns the latencies from when requests were sent, in an open model.
    pub(crate) fn service(&self) -> Option<&RankedLatencies> {
        self.service.as_deref().filter(|latencies| latencies.count() > 0)
    }

    /// Returns the sum of all latencies in seconds, from when a request was sent also in an open model.
    pub(crate) fn since_sent_seconds(&self) -> f64 {
        self.service().map_or_else(|| self.ranked().sum_seconds(), RankedLatencies::sum_seconds)
    }

    /// Returns what one request in twenty takes at most, in seconds from when it was sent; `None` without requests.
    pub(super) fn quick_request_seconds(&self) -> Option<f64> {
        match self.service() {
            Some(service) => service.quantile_seconds(QUICK),
            None => self.ranked().quantile_seconds(QUICK),
        }
    }

    /// Returns the number of responses of each status, ascending.
    pub(crate) fn statuses(&self) -> Vec<(u16, u64)> {
        let mut statuses = self.statuses.clone();
        statuses.sort_unstable();
        statuses
    }

    /// Returns the body bytes received, compressed ones as they are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the bytes of all bodies after decoding.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Returns the failures by kind.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Returns the latencies of everything that could be sent, failures ranked behind every success.
    pub(crate) fn ranked(&self) -> RankedLatencies {
        let success = self.latency(Outcome::Success).cloned().unwrap_or_else(|| Latency::new(Precision::Fine));
        let mut failed = Latency::new(Precision::Coarse);
        for outcome in [Outcome::Rejected, Outcome::TimedOut, Outcome::Broken, Outcome::Cancelled] {
            if let Some(latency) = self.latency(outcome) {
                failed.add(latency);
            }
        }
        RankedLatencies::new(success, failed)
    }

    fn slot(&mut self, outcome: Outcome) -> &mut Latency {
        self.outcomes[outcome as usize].get_or_insert_with(|| {
            Box::new(Latency::new(match outcome {
                Outcome::Success => Precision::Fine,
                Outcome::Rejected | Outcome::TimedOut | Outcome::Broken | Outcome::Cancelled | Outcome::Unsent => {
                    Precision::Coarse
                }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::record::EndpointId;

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

    /// A request: how it ended, the microseconds until it was sent, then to its head, then to its end, and whether it got a
    /// head.
    type Request = (usize, u64, u64, u64, bool);

    fn of_requests(requests: &[Request]) -> EndpointTally {
        let mut tally = EndpointTally::default();
        for &(outcome, until_sent, until_head, until_end, has_head) in requests {
            let outcome = Outcome::ALL[outcome];
            let [sent, head, end] = [until_sent, until_head, until_head + until_end].map(Duration::from_micros);
            tally.record(Sample {
                endpoint: EndpointId(0),
                outcome,
                latency: sent + end,
                service: Some(end),
                first_byte: (has_head || outcome == Outcome::Success).then_some(head),
                status: None,
                bytes: 0,
                decoded_bytes: None,
                after_end: false,
                never_sent: false,
                exhausted: None,
                failure: None,
            });
        }
        tally
    }

    #[test]
    fn a_head_before_many_quick_refusals_is_not_slower_than_the_last_byte() {
        // One answer, one error whose head came late, and many refusals without a head.
        let mut requests = vec![(0, 0, 900, 100, true), (1, 0, 9_900_000, 100_000, true)];
        requests.extend([(3, 0, 0, 500, false); 98]);
        let tally = of_requests(&requests);
        assert!(tally.first_byte().unwrap().quantile_seconds(0.95) <= tally.ranked().quantile_seconds(0.95));
        assert!(of_requests(&requests[2..]).first_byte().is_none(), "no head at all");
    }

    proptest! {
        #[test]
        fn no_percentile_of_the_head_exceeds_that_of_the_last_byte(
            requests in prop::collection::vec(
                (0usize..Outcome::ALL.len(), 0u64..50_000, 0u64..3_000_000, 0u64..2_000, any::<bool>()), 1..80),
            split in 0usize..80,
        ) {
            // Also where the parts of several threads are added.
            let (left, right) = requests.split_at(split.min(requests.len()));
            let mut tally = of_requests(left);
            tally.add(&of_requests(right));
            let last_byte = tally.ranked();
            for q in [0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
                let since_sent = tally.service().and_then(|service| service.quantile_seconds(q));
                prop_assert!(since_sent <= last_byte.quantile_seconds(q), "q{q}: {since_sent:?} since it was sent");
                if let Some(heads) = tally.first_byte() {
                    prop_assert!(heads.quantile_seconds(q) <= since_sent, "q{q}: {heads:?}");
                }
            }
        }

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
