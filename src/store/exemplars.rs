//! [`Exemplars`]: for each classic bucket of a histogram, a request that is an example of it.
//!
//! Of the requests with a sampled trace since the last scrape it is the slowest, and before the first one the last known. So a
//! scrape takes nothing away: of several scrapers each sees an exemplar. The invariant that a change could break: neither a
//! request nor a scrape waits here. A thread that finds a slot being written leaves it alone, and a reader that finds one tries
//! again a few times.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use super::{cells::is_measurement, layout::Layout};
use crate::context::{SampledTrace, now_millis};

/// How often a reader reads a slot that is being written before it goes without.
const READS: u32 = 8;

/// An observation with the trace that it was made in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) value: f64,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) trace: SampledTrace,
}

/// A slot for each classic bucket, the one without an upper edge included. Made when a sampled trace is first recorded, so that a
/// series without any takes no memory for them.
#[derive(Debug, Default)]
pub(super) struct Exemplars(OnceLock<Box<[Slot]>>);

impl Exemplars {
    /// Offers an observation of a sampled trace.
    pub(super) fn offer(&self, layout: &Layout, value: f64, trace: SampledTrace) {
        if is_measurement(value) {
            self.offer_at(layout, value, trace, now_millis);
        }
    }

    fn offer_at(&self, layout: &Layout, value: f64, trace: SampledTrace, now: impl FnOnce() -> u64) {
        let slots = self.0.get_or_init(|| (0..=layout.exposed().count()).map(|_| Slot::default()).collect());
        let bucket = layout.bucket(value);
        let place = layout.exposed().take_while(|(last, _)| *last < bucket).count();
        slots[place].offer(value, trace, now);
    }

    /// Returns the exemplar of each classic bucket, and lets the next observation of each take its place. Empty if there never
    /// was one.
    pub(super) fn scrape(&self) -> Vec<Option<Exemplar>> {
        self.0.get().into_iter().flatten().map(Slot::scrape).collect()
    }
}

/// One exemplar. SeqCst throughout: in one total order of all steps, a reader that finds the same even version before and after
/// has read what one writer wrote.
#[derive(Debug, Default)]
struct Slot {
    /// Even, and odd while a thread writes; 0 before the first exemplar.
    version: AtomicU64,
    /// Whether it was shown: the next observation takes its place, whatever its value. Relaxed: a hint.
    is_shown: AtomicBool,
    value: AtomicU64,
    at: AtomicU64,
    trace: [AtomicU64; 3],
}

impl Slot {
    fn offer(&self, value: f64, trace: SampledTrace, now: impl FnOnce() -> u64) {
        let version = self.version.load(SeqCst);
        let is_slower = || self.is_shown.load(Relaxed) || value > f64::from_bits(self.value.load(SeqCst));
        if !version.is_multiple_of(2) || version > 0 && !is_slower() {
            return;
        }
        if self.version.compare_exchange(version, version + 1, SeqCst, SeqCst).is_err() {
            return;
        }
        self.value.store(value.to_bits(), SeqCst);
        self.at.store(now(), SeqCst);
        self.trace.iter().zip(trace.to_numbers()).for_each(|(slot, number)| slot.store(number, SeqCst));
        self.is_shown.store(false, Relaxed);
        self.version.store(version + 2, SeqCst);
    }

    fn scrape(&self) -> Option<Exemplar> {
        for _ in 0..READS {
            let version = self.version.load(SeqCst);
            if version == 0 {
                return None;
            }
            let (value, at) = (f64::from_bits(self.value.load(SeqCst)), self.at.load(SeqCst));
            let trace = self.trace.each_ref().map(|number| number.load(SeqCst));
            if version.is_multiple_of(2) && self.version.load(SeqCst) == version {
                self.is_shown.store(true, Relaxed);
                return Some(Exemplar { value, at, trace: SampledTrace::from_numbers(trace)? });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{DURATION_BUCKETS, Resolution};

    fn trace(number: u64) -> SampledTrace {
        SampledTrace::from_numbers([number, number, number]).expect("not zero")
    }

    fn shown(exemplars: &Exemplars) -> Vec<(usize, f64, u64)> {
        let shown = exemplars.scrape().into_iter().enumerate();
        shown.filter_map(|(bucket, one)| one.map(|one| (bucket, one.value, one.trace.span))).collect()
    }

    #[test]
    fn each_bucket_shows_its_slowest_since_the_last_scrape_or_else_the_last_known() {
        let (layout, exemplars) = (Layout::new(Resolution::Fine, DURATION_BUCKETS, &[]), Exemplars::default());
        assert_eq!(shown(&exemplars), []);
        let offer = |value, number| exemplars.offer_at(&layout, value, trace(number), || number);
        // The buckets up to 0.005, from 0.25 to 0.5, and above 10.
        for (value, number) in [(0.005, 1), (0.3, 2), (0.5, 3), (0.4, 4), (99.0, 5)] {
            offer(value, number);
        }
        let first = [(0, 0.005, 1), (7, 0.5, 3), (15, 99.0, 5)];
        assert_eq!(shown(&exemplars), first);
        assert_eq!(shown(&exemplars), first, "a second scraper sees them too");
        offer(0.26, 6);
        offer(0.255, 7);
        assert_eq!(shown(&exemplars), [(0, 0.005, 1), (7, 0.26, 6), (15, 99.0, 5)]);
    }

    #[test]
    fn no_reader_sees_parts_of_two_exemplars() {
        let (layout, exemplars) = (Layout::new(Resolution::Fine, DURATION_BUCKETS, &[]), Exemplars::default());
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (layout, exemplars) = (&layout, &exemplars);
                scope.spawn(move || {
                    for round in 0..5_000 {
                        let number = 1 + round * 3 + thread;
                        exemplars.offer_at(layout, 20.0 + number as f64, trace(number), || number);
                    }
                });
            }
            for _ in 0..5_000 {
                for one in exemplars.scrape().into_iter().flatten() {
                    assert_eq!(one.trace.to_numbers(), [one.at; 3]);
                    assert_eq!(one.value, 20.0 + one.at as f64);
                }
            }
        });
    }
}
