//! [`HistogramCell`]: the atomics that the request path adds to most.
//!
//! Histograms are striped by thread, because every request writes some, and two cores that write one cache line slow each
//! other down. Readers sum the stripes. The first threads have a stripe each to themselves, which they write without
//! locked instructions. The picture of writers and readers, with the order of their steps, is in [`store`](super). The
//! invariant that a change could break: that order, each step a release.

use std::{
    hint::black_box,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
            compiler_fence,
        },
    },
};

use metrics::HistogramFn;

use super::{
    exemplars::Exemplars,
    layout::{GROUP, Layout},
    stripe::{HALF, Stripe},
};
use crate::{
    context::{
        SampledTrace, sampled_trace,
        stripe::{LANES, Lane},
    },
    lock::lock,
};

/// Whether a read begins the next interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// The tick's and `clear`'s read: marks and extremes start again.
    Take,
    /// Any other read: changes nothing.
    Peek,
}

/// A histogram. The fields that every observation reads come first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct HistogramCell {
    layout: Arc<Layout>,
    /// One bit for each lane that has a stripe.
    present: AtomicU32,
    /// Whether `carried` was ever added to: the tick takes the lock only then.
    has_carried: AtomicBool,
    /// One for each lane, allocated when a thread of the lane first records: most series are not recorded on every core.
    stripes: [OnceLock<Box<Stripe>>; LANES],
    /// Counts that were moved here from buckets that were half full; empty for almost every series. A reader that
    /// sums stripes and `carried` holds the lock, so that it never sees a count in both places.
    carried: Mutex<Vec<u64>>,
    /// `None` for a series of the windows, which `/metrics` does not show as a histogram.
    exemplars: Option<Exemplars>,
}

/// Sum and extremes of a histogram, over all stripes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HistogramTotals {
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl HistogramCell {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        let cell = Self {
            layout,
            present: AtomicU32::new(0),
            has_carried: AtomicBool::new(false),
            stripes: Default::default(),
            carried: Mutex::default(),
            exemplars: None,
        };
        // The thread that registers a series usually records in it next, so its stripe is allocated here and not there.
        cell.make_stripe(Lane::of_this_thread());
        cell
    }

    /// Keeps exemplars.
    pub(super) fn with_exemplars(self) -> Self {
        Self { exemplars: Some(Exemplars::default()), ..self }
    }

    pub(super) fn exemplars(&self) -> Option<&Exemplars> {
        self.exemplars.as_ref()
    }

    /// Looks for the trace first: most requests have none, and then the cell is not read again.
    #[inline(always)]
    fn offer_exemplar(&self, value: f64) {
        if let Some(trace) = sampled_trace() {
            self.keep_exemplar(value, trace);
        }
    }

    #[cold]
    fn keep_exemplar(&self, value: f64, trace: SampledTrace) {
        if let Some(exemplars) = &self.exemplars {
            exemplars.offer(&self.layout, value, trace);
        }
    }

    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Makes the stripe of a lane. Sets its bit first, so that the bit is set wherever the stripe is found.
    #[cold]
    fn make_stripe(&self, lane: Lane) -> &Stripe {
        self.present.fetch_or(1 << lane.number(), AcqRel);
        self.stripes[lane.number()].get_or_init(|| Stripe::new(self.layout.buckets()))
    }

    fn stripes(&self) -> impl Iterator<Item = &Stripe> {
        let mut present = self.present.load(Acquire);
        let lanes = std::iter::from_fn(move || {
            let lane = (present != 0).then(|| present.trailing_zeros() as usize)?;
            present &= present - 1;
            Some(lane)
        });
        lanes.filter_map(|lane| self.stripes[lane].get()).map(|stripe| &**stripe)
    }

    /// Returns the count of every bucket. Relaxed: the buckets alone are one consistent answer, since each of them only
    /// grows while the lock is held.
    pub(super) fn buckets(&self) -> Vec<u64> {
        let carried = self.carried();
        let mut buckets = if carried.is_empty() { vec![0; self.layout.buckets()] } else { carried.clone() };
        for stripe in self.stripes() {
            for (total, bucket) in buckets.iter_mut().zip(&stripe.buckets) {
                *total += u64::from(bucket.load(Relaxed));
            }
        }
        buckets
    }

    fn carried(&self) -> MutexGuard<'_, Vec<u64>> {
        lock(&self.carried)
    }

    fn add_carried(&self, carried: &mut Vec<u64>, bucket: usize, count: u64) {
        carried.resize(self.layout.buckets(), 0);
        carried[bucket] += count;
        self.has_carried.store(true, Release);
    }

    /// Moves half of a bucket out of a stripe, unless another thread of the lane just did. Lowers the bucket last: a reader
    /// that finds it lowered also finds `has_carried` set.
    #[cold]
    fn carry(&self, stripe: &Stripe, bucket: usize, is_exclusive: bool) {
        let mut carried = self.carried();
        let counted = stripe.buckets[bucket].load(Relaxed);
        if counted < HALF {
            return;
        }
        self.add_carried(&mut carried, bucket, u64::from(HALF));
        if is_exclusive {
            stripe.buckets[bucket].store(counted - HALF, Release);
        } else {
            stripe.buckets[bucket].fetch_sub(HALF, AcqRel);
        }
    }

    /// Returns sum and extremes; with [`ReadMode::Take`] the extremes start again.
    pub(super) fn totals(&self, mode: ReadMode) -> HistogramTotals {
        let mut totals = HistogramTotals { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
        for stripe in self.stripes() {
            let (min, max) = match mode {
                ReadMode::Take => (stripe.min.swap(f64::INFINITY), stripe.max.swap(f64::NEG_INFINITY)),
                ReadMode::Peek => (stripe.min.load(), stripe.max.load()),
            };
            totals.sum += stripe.sum.load();
            totals.min = totals.min.min(min);
            totals.max = totals.max.max(max);
        }
        totals
    }

    /// Reads what a tick is about to read, and does nothing with it: its memory is then near.
    pub(super) fn read_ahead(&self) {
        let shift = self.layout.group_shift();
        for stripe in self.stripes() {
            let marked = stripe.touched.load(Relaxed).trailing_zeros().min(63) as usize;
            black_box(stripe.buckets.get(marked << shift).map(|bucket| bucket.load(Relaxed)));
        }
    }

    /// Returns the groups of buckets that grew since the last tick, one bit each; with [`ReadMode::Take`] the marks
    /// start again.
    pub(super) fn touched(&self, mode: ReadMode) -> u64 {
        self.stripes().fold(0, |touched, stripe| {
            touched
                | match mode {
                    // Loaded first: a swap would take the lines of idle stripes from the threads that write them.
                    ReadMode::Take if stripe.touched.load(Acquire) != 0 => stripe.touched.swap(0, AcqRel),
                    ReadMode::Take | ReadMode::Peek => stripe.touched.load(Acquire),
                }
        })
    }

    /// Returns the buckets of a group, each with the low half of its count.
    pub(super) fn group(&self, group: u32) -> impl Iterator<Item = (usize, u32)> {
        let shift = self.layout.group_shift();
        let first = (group as usize) << shift;
        let buckets = first..(first + (1 << shift)).min(self.layout.buckets());
        let add_stripes = |counts: &mut [u32; GROUP]| {
            for stripe in self.stripes() {
                let each = counts.iter_mut().zip(&stripe.buckets[buckets.clone()]);
                each.for_each(|(count, bucket)| *count = count.wrapping_add(bucket.load(Acquire)));
            }
        };
        let mut counts = [0; GROUP];
        add_stripes(&mut counts);
        // Read after the buckets: `carry` sets it before it lowers one.
        if self.has_carried.load(Acquire) {
            let carried = self.carried();
            counts = std::array::from_fn(|place| carried.get(buckets.start + place).map_or(0, |count| *count as u32));
            add_stripes(&mut counts);
        }
        buckets.zip(counts)
    }

    fn add(&self, value: f64, count: u64) {
        if !is_measurement(value) || count == 0 {
            return;
        }
        let lane = Lane::of_this_thread();
        let stripe = match self.stripes[lane.number()].get() {
            Some(stripe) => stripe,
            None => self.make_stripe(lane),
        };
        self.add_to(stripe, value, count, lane.is_exclusive());
    }

    /// Adds to the stripe of this thread's lane.
    #[inline(always)]
    fn add_to(&self, stripe: &Stripe, value: f64, count: u64, is_exclusive: bool) {
        let bucket = self.layout.bucket(value);
        let group = 1 << (bucket >> self.layout.group_shift());
        // The steps 1 to 5 of the picture in `store/mod.rs`, which has the reasons for their order; the tick's steps are in
        // `delta::histogram`.
        match u32::try_from(count) {
            Ok(count) if count < HALF => {
                if stripe.count(bucket, count, is_exclusive) >= HALF {
                    self.carry(stripe, bucket, is_exclusive);
                }
            }
            _ => self.add_carried(&mut self.carried(), bucket, count),
        }
        stripe.mark(group, is_exclusive);
        stripe.add(value, count as f64, is_exclusive);
        // Keeps the compiler from taking both calls of `mark` for one.
        compiler_fence(SeqCst);
        stripe.mark(group, is_exclusive);
    }
}

/// Returns whether a value can be one that was measured. A NaN or an infinity would stay in the sum for ever, and so would the
/// infinity that a few of the largest floats add up to. Of values below this bound a sum is finite for 10^38 observations.
pub(super) fn is_measurement(value: f64) -> bool {
    // False for a NaN; as cheap as `is_finite`, which compares with infinity.
    value.abs() < 1e270
}

impl HistogramFn for HistogramCell {
    /// Most values come one by one, in a lane that has a stripe and belongs to one thread: for them the compiler decides what
    /// [`add`](Self::add) would.
    fn record(&self, value: f64) {
        let lane = Lane::of_this_thread();
        match self.stripes[lane.number()].get() {
            Some(stripe) if lane.is_exclusive() && is_measurement(value) => self.add_to(stripe, value, 1, true),
            Some(_) | None => self.add(value, 1),
        }
        self.offer_exemplar(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        if count > 0 {
            self.add(value, count as u64);
            self.offer_exemplar(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{DURATION_BUCKETS, Resolution};

    fn histogram() -> HistogramCell {
        HistogramCell::new(Arc::new(Layout::new(Resolution::Fine, DURATION_BUCKETS, &[])))
    }

    fn read(cell: &HistogramCell, mode: ReadMode) -> (u64, HistogramTotals) {
        (cell.buckets().iter().sum(), cell.totals(mode))
    }

    /// Returns the low half of the count of a bucket.
    fn low(cell: &HistogramCell, bucket: usize) -> u32 {
        let group = (bucket >> cell.layout.group_shift()) as u32;
        cell.group(group).find(|(other, _)| *other == bucket).map_or(0, |(_, count)| count)
    }

    #[test]
    fn threads_lose_nothing() {
        let histogram = histogram();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        histogram.record(0.5);
                    }
                });
            }
        });
        let (count, totals) = read(&histogram, ReadMode::Peek);
        assert_eq!((count, totals.sum), (8000, 4000.0));
    }

    #[test]
    fn a_full_bucket_is_carried_and_counted_once() {
        let cell = histogram();
        let bucket = cell.layout.bucket(0.5);
        let mut expected = 0_u64;
        for count in [1, u64::from(HALF) - 1, 5, u64::from(HALF) - 1, 7, 3 << 32, u64::from(HALF) - 2, 9] {
            cell.add(0.5, count);
            expected += count;
            assert_eq!(low(&cell, bucket), expected as u32);
            assert_eq!(cell.buckets()[bucket], expected);
            assert_eq!(cell.buckets().iter().sum::<u64>(), expected);
        }
    }

    #[test]
    fn taking_the_extremes_starts_the_next_interval() {
        let cell = histogram();
        cell.record(2.0);
        cell.record(1.0);
        let taken = read(&cell, ReadMode::Take).1;
        assert_eq!((taken.min, taken.max), (1.0, 2.0));
        cell.record(1.5);
        let next = read(&cell, ReadMode::Peek).1;
        assert_eq!((next.min, next.max, next.sum), (1.5, 1.5, 4.5));
    }

    #[test]
    fn values_that_are_no_measurements_are_dropped_and_no_sum_is_infinite() {
        let cell = histogram();
        for value in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, 1e300, -1e290] {
            cell.record(value);
            cell.record_many(value, 3);
        }
        assert_eq!(read(&cell, ReadMode::Peek).0, 0);
        cell.record_many(1e269, usize::MAX);
        assert!(cell.totals(ReadMode::Peek).sum.is_finite());
    }

    #[test]
    fn an_observation_marks_the_group_of_its_bucket_until_the_tick_takes_it() {
        let cell = histogram();
        assert_eq!(cell.touched(ReadMode::Take), 0);
        for value in [0.0, 0.1, 1e9] {
            cell.record(value);
            let bucket = cell.layout.bucket(value);
            let mark = 1 << (bucket >> cell.layout.group_shift());
            assert_eq!(cell.touched(ReadMode::Peek), mark);
            assert_eq!((cell.touched(ReadMode::Take), low(&cell, bucket)), (mark, 1));
            assert_eq!(cell.touched(ReadMode::Peek), 0);
        }
    }
}
