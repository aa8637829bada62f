//! [`Slot`]: what happened in one minute or half hour, in as few bytes as it takes.
//!
//! A slot is its own bytes: it is kept, written to the archive and read as it is. Numbers are variable-length integers
//! and 32-bit floats; a histogram is a list of the buckets that hold something. Each entry says how long its histogram
//! is, so that whoever needs counts and sums alone does not decode it. The invariant that a change could break: slots of
//! the archive were written in this [`FORMAT`], and a histogram's counts add up to its entry's.

use std::{sync::Arc, time::Duration};

use super::grid::{self, BUCKETS};

/// Version of the bytes and of the grid behind them.
#[cfg(feature = "archive")]
pub(crate) const FORMAT: u64 = 1;

/// What happened in one minute or half hour. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot(Arc<[u8]>);

/// Resident memory in a slot, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SlotMemory {
    pub(crate) mean: f64,
    pub(crate) max: f64,
    pub(crate) samples: u64,
}

/// The requests of one endpoint, or of all, in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotEntry<'a> {
    /// Place of the endpoint among the [`EndpointNames`](super::EndpointNames).
    pub(crate) endpoint: u32,
    pub(crate) count: u64,
    /// Those that failed by the service's own fault.
    pub(crate) errors: u64,
    /// Sum of their durations.
    pub(crate) seconds: f64,
    /// Longest duration.
    pub(crate) max: f64,
    buckets: &'a [u8],
}

impl SlotEntry<'_> {
    /// Returns the buckets of the grid that hold something, and how much.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        let mut reader = Reader(self.buckets);
        let mut next = 0;
        std::iter::from_fn(move || {
            let bucket = next + reader.varint()? as usize;
            next = bucket + 1;
            Some((bucket, reader.varint()?))
        })
    }

    #[cfg(feature = "archive")]
    fn is_sound(&self) -> bool {
        let mut counted = 0_u64;
        for (bucket, count) in self.buckets() {
            if bucket >= BUCKETS {
                return false;
            }
            counted = counted.saturating_add(count);
        }
        counted == self.count && self.errors <= self.count && self.seconds.is_finite() && self.max.is_finite()
    }
}

impl Slot {
    /// Reads a slot of the archive; `None` when these bytes are none.
    #[cfg(feature = "archive")]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let slot = Self(bytes.into());
        let (_, mut reader) = slot.head()?;
        let all = reader.entry(0)?;
        let mut before = None;
        while !reader.0.is_empty() {
            let entry = reader.endpoint(before)?;
            if !entry.is_sound() {
                return None;
            }
            before = Some(entry.endpoint);
        }
        all.is_sound().then_some(slot)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns for how long requests were measured.
    pub(crate) fn measured(&self) -> Duration {
        self.head().map_or(Duration::ZERO, |(head, _)| head.measured)
    }

    /// Returns the resident memory; `None` where it was not read.
    pub(crate) fn memory(&self) -> Option<SlotMemory> {
        self.head()?.0.memory
    }

    /// Returns all requests, those of no endpoint included.
    pub(crate) fn all(&self) -> Option<SlotEntry<'_>> {
        self.head()?.1.entry(0)
    }

    /// Returns the endpoints that had requests, by their place among the names. Requests that matched no route are an
    /// entry too.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = SlotEntry<'_>> {
        let mut reader = self.head().map_or(Reader(&[]), |(_, reader)| reader);
        let _ = reader.entry(0);
        let mut before = None;
        std::iter::from_fn(move || {
            let entry = reader.endpoint(before)?;
            before = Some(entry.endpoint);
            Some(entry)
        })
    }

    fn head(&self) -> Option<(Head, Reader<'_>)> {
        let mut reader = Reader(&self.0);
        let measured = Duration::from_millis(reader.varint()?);
        let samples = reader.varint()?;
        let memory = match samples {
            0 => None,
            samples => Some(SlotMemory { mean: reader.float()?, max: reader.float()?, samples }),
        };
        Some((Head { measured, memory }, reader))
    }
}

struct Head {
    measured: Duration,
    memory: Option<SlotMemory>,
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn float(&mut self) -> Option<f64> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(f64::from(f32::from_le_bytes(bytes)))
    }

    fn endpoint(&mut self, before: Option<u32>) -> Option<SlotEntry<'a>> {
        let step = self.varint()?;
        let endpoint = before.map_or(0, |before| u64::from(before) + 1).checked_add(step)?;
        self.entry(u32::try_from(endpoint).ok()?)
    }

    fn entry(&mut self, endpoint: u32) -> Option<SlotEntry<'a>> {
        let (count, errors) = (self.varint()?, self.varint()?);
        let (seconds, max) = (self.float()?, self.float()?);
        let length = self.varint()? as usize;
        Some(SlotEntry { endpoint, count, errors, seconds, max, buckets: self.take(length)? })
    }
}

/// The requests of one endpoint while they are summed.
#[derive(Clone, Debug)]
pub(super) struct EntrySums {
    count: u64,
    errors: u64,
    seconds: f64,
    max: f64,
    buckets: [u32; BUCKETS],
}

impl Default for EntrySums {
    fn default() -> Self {
        Self { count: 0, errors: 0, seconds: 0.0, max: 0.0, buckets: [0; BUCKETS] }
    }
}

impl EntrySums {
    /// Adds one observation's worth of a series: `seconds` over the counts that follow by [`count`](Self::count).
    pub(super) fn add(&mut self, seconds: f64, max: f64) {
        self.seconds += seconds;
        self.max = self.max.max(max);
    }

    /// Adds to a bucket.
    pub(super) fn count(&mut self, bucket: u8, count: u32, failed: bool) {
        self.count += u64::from(count);
        self.errors += if failed { u64::from(count) } else { 0 };
        let slot = &mut self.buckets[usize::from(bucket)];
        *slot = slot.saturating_add(count);
    }

    fn add_entry(&mut self, entry: &SlotEntry<'_>) {
        self.count += entry.count;
        self.errors += entry.errors;
        self.add(entry.seconds, entry.max);
        for (bucket, count) in entry.buckets() {
            let slot = &mut self.buckets[bucket.min(BUCKETS - 1)];
            *slot = slot.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    fn write(&self, bytes: &mut Vec<u8>, histogram: &mut Vec<u8>) {
        histogram.clear();
        let mut next = 0;
        for (bucket, &count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            varint(histogram, (bucket - next) as u64);
            varint(histogram, u64::from(count));
            next = bucket + 1;
        }
        // What the buckets hold is the count, even past the 2^32 that one of them can.
        varint(bytes, self.buckets.iter().map(|count| u64::from(*count)).sum());
        varint(bytes, self.errors.min(self.count));
        float(bytes, self.seconds);
        float(bytes, self.max);
        varint(bytes, histogram.len() as u64);
        bytes.extend_from_slice(histogram);
    }
}

/// A slot while it is summed: from observations, or from shorter slots.
#[derive(Debug, Default)]
pub(super) struct SlotSums {
    measured: Duration,
    memory_sum: f64,
    memory_max: f64,
    memory_samples: u64,
    all: EntrySums,
    /// By the endpoint's place among the names. What is there is kept from slot to slot, so that a minute's beginning
    /// allocates nothing.
    endpoints: Vec<EntrySums>,
}

impl SlotSums {
    /// Adds a time in which requests were measured.
    pub(super) fn add_time(&mut self, measured: Duration) {
        self.measured += measured;
    }

    /// Adds a sample of the resident memory.
    pub(super) fn add_memory(&mut self, bytes: f64) {
        self.memory_sum += bytes;
        self.memory_max = self.memory_max.max(bytes);
        self.memory_samples += 1;
    }

    /// Returns the sums of all requests and of one endpoint's.
    pub(super) fn of(&mut self, endpoint: u32) -> (&mut EntrySums, &mut EntrySums) {
        let at = endpoint as usize;
        if self.endpoints.len() <= at {
            self.endpoints.resize_with(at + 1, EntrySums::default);
        }
        (&mut self.all, &mut self.endpoints[at])
    }

    /// Adds a slot, whose endpoints have the places that `place` says.
    pub(super) fn add_slot(&mut self, slot: &Slot, place: impl Fn(u32) -> u32) {
        self.measured += slot.measured();
        if let Some(memory) = slot.memory() {
            self.memory_sum += memory.mean * memory.samples as f64;
            self.memory_max = self.memory_max.max(memory.max);
            self.memory_samples += memory.samples;
        }
        if let Some(all) = slot.all() {
            self.all.add_entry(&all);
        }
        for entry in slot.endpoints() {
            self.of(place(entry.endpoint)).1.add_entry(&entry);
        }
    }

    /// Returns whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.all.count == 0 && self.memory_samples == 0 && self.measured.is_zero()
    }

    /// Returns the slot so far.
    pub(super) fn slot(&self) -> Slot {
        let (mut bytes, mut histogram) = (Vec::with_capacity(64 * (self.endpoints.len() + 1)), Vec::new());
        varint(&mut bytes, u64::try_from(self.measured.as_millis()).unwrap_or(u64::MAX));
        varint(&mut bytes, self.memory_samples);
        if self.memory_samples > 0 {
            float(&mut bytes, self.memory_sum / self.memory_samples as f64);
            float(&mut bytes, self.memory_max);
        }
        self.all.write(&mut bytes, &mut histogram);
        let mut next = 0;
        for (place, entry) in self.endpoints.iter().enumerate().filter(|(_, entry)| entry.count > 0) {
            varint(&mut bytes, (place - next) as u64);
            entry.write(&mut bytes, &mut histogram);
            next = place + 1;
        }
        Slot(bytes.into())
    }

    /// Returns the slot and starts anew.
    pub(super) fn take(&mut self) -> Slot {
        let slot = self.slot();
        let mut endpoints = std::mem::take(&mut self.endpoints);
        endpoints.iter_mut().filter(|entry| entry.count > 0).for_each(|entry| *entry = EntrySums::default());
        *self = Self { endpoints, ..Self::default() };
        slot
    }

    /// Returns the heap it takes.
    pub(super) fn bytes(&self) -> usize {
        self.endpoints.capacity() * size_of::<EntrySums>()
    }
}

/// Returns the quantile of merged entries; see [`grid::quantile`].
#[derive(Clone, Debug)]
pub(crate) struct GridSum {
    counts: [u64; BUCKETS],
    max: f64,
}

impl Default for GridSum {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], max: 0.0 }
    }
}

impl GridSum {
    /// Adds the histogram of an entry.
    pub(crate) fn add(&mut self, entry: &SlotEntry<'_>) {
        self.max = self.max.max(entry.max);
        for (bucket, count) in entry.buckets() {
            self.counts[bucket.min(BUCKETS - 1)] += count;
        }
    }

    /// Returns the duration that a share `q` of the observations does not exceed; `None` without any.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        grid::quantile(&self.counts, self.max, q)
    }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn float(bytes: &mut Vec<u8>, number: f64) {
    bytes.extend_from_slice(&(number as f32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Endpoint, durations, and whether they failed.
    type Requests = Vec<(u32, Vec<f64>, bool)>;

    fn requests() -> impl Strategy<Value = Requests> {
        prop::collection::vec((0..40_u32, prop::collection::vec(1e-6..200.0_f64, 1..20), any::<bool>()), 0..30)
    }

    fn sums(requests: &Requests) -> SlotSums {
        let mut sums = SlotSums::default();
        sums.add_time(Duration::from_secs(60));
        sums.add_memory(1e8);
        for (endpoint, durations, failed) in requests {
            for seconds in durations {
                let (all, own) = sums.of(*endpoint);
                for entry in [all, own] {
                    entry.add(*seconds, *seconds);
                    entry.count(grid::place(*seconds), 1, *failed);
                }
            }
        }
        sums
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-6 * expected.abs()
    }

    #[test]
    fn an_empty_slot_is_a_few_bytes() {
        let slot = SlotSums::default().take();
        assert_eq!((slot.endpoints().count(), slot.memory(), slot.measured()), (0, None, Duration::ZERO));
        assert!(slot.as_bytes().len() < 16);
    }

    #[test]
    fn a_slot_begins_empty_after_another() {
        let mut sums = sums(&vec![(3, vec![0.1], true)]);
        assert_eq!(sums.take().endpoints().count(), 1);
        assert!(sums.is_empty());
        assert_eq!(sums.take().endpoints().count(), 0);
    }

    #[cfg(feature = "archive")]
    #[test]
    fn bytes_that_are_no_slot_are_refused() {
        let good = sums(&vec![(3, vec![0.1, 0.2], true), (7, vec![1.0], false)]).take();
        assert_eq!(Slot::read(good.as_bytes()), Some(good.clone()));
        for cut in 0..good.as_bytes().len() {
            // A cut between two entries leaves a slot that lacks one; the archive's checksums are there for that.
            let _ = Slot::read(&good.as_bytes()[..cut]);
        }
        assert_eq!(Slot::read(&[]), None);
        assert_eq!(Slot::read(&[0xFF; 40]), None);
        let mut wrong = good.as_bytes().to_vec();
        *wrong.last_mut().expect("not empty") += 1;
        assert_eq!(Slot::read(&wrong), None, "a count that does not add up");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(requests in requests()) {
            let slot = sums(&requests).take();
            #[cfg(feature = "archive")]
            prop_assert_eq!(Slot::read(slot.as_bytes()), Some(slot.clone()));
            let all: Vec<f64> = requests.iter().flat_map(|(_, durations, _)| durations.clone()).collect();
            let total = slot.all().expect("just written");
            prop_assert_eq!(total.count, all.len() as u64);
            prop_assert!(near(total.seconds, all.iter().sum()));
            prop_assert!(slot.endpoints().map(|entry| entry.endpoint).is_sorted());
            for entry in slot.endpoints() {
                let own = || requests.iter().filter(|(endpoint, ..)| *endpoint == entry.endpoint);
                let durations: Vec<f64> = own().flat_map(|(_, durations, _)| durations.clone()).collect();
                let failed: usize = own().filter(|(.., failed)| *failed).map(|(_, durations, _)| durations.len()).sum();
                prop_assert_eq!((entry.count, entry.errors), (durations.len() as u64, failed as u64));
                prop_assert!(near(entry.seconds, durations.iter().sum()));
                prop_assert!(near(entry.max, durations.iter().copied().fold(0.0, f64::max)));
            }
        }

        /// Slots merged are the slot of all their requests.
        #[test]
        fn merged_slots_are_the_slot_of_all(one in requests(), other in requests()) {
            let mut merged = SlotSums::default();
            for part in [&one, &other] {
                merged.add_slot(&sums(part).take(), |endpoint| endpoint + 1);
            }
            let merged = merged.take();
            let together: Requests = one.iter().chain(&other).cloned().collect();
            let expected = sums(&together).take();
            prop_assert_eq!(merged.measured(), Duration::from_secs(120));
            prop_assert_eq!(merged.memory(), Some(SlotMemory { mean: 1e8, max: 1e8, samples: 2 }));
            prop_assert_eq!(merged.endpoints().count(), expected.endpoints().count());
            for (found, expected) in merged.endpoints().zip(expected.endpoints()) {
                prop_assert_eq!(found.endpoint, expected.endpoint + 1);
                prop_assert_eq!((found.count, found.errors), (expected.count, expected.errors));
                prop_assert!(near(found.seconds, expected.seconds) && near(found.max, expected.max));
                prop_assert_eq!(found.buckets().collect::<Vec<_>>(), expected.buckets().collect::<Vec<_>>());
            }
        }
    }
}
