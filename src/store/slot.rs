//! [`Slot`]: the requests of one minute or half hour, in as few bytes as possible.
//!
//! A slot is its encoded bytes: it is kept in memory, written to the archive and read in that form. Numbers are
//! variable-length integers and 32-bit floats; a histogram is a list of the buckets that are not empty. The length
//! of each histogram stands before it, so that a reader of counts and sums skips it. The invariants that a change could
//! break: the archive's slots were written in this [`FORMAT`], and the counts of a histogram add up to its entry's.

use std::{sync::Arc, time::Duration};

use super::grid::{self, BUCKETS};

/// Version of the encoding and of the grid.
#[cfg(feature = "archive")]
pub(crate) const FORMAT: u64 = 1;

/// The requests and the memory of one minute or half hour. Cheap to clone.
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
    /// Requests that failed through the service's own fault.
    pub(crate) errors: u64,
    /// Sum of their durations.
    pub(crate) seconds: f64,
    /// Longest duration.
    pub(crate) max: f64,
    buckets: &'a [u8],
}

impl SlotEntry<'_> {
    /// Returns the buckets of the grid that are not empty, each with its count.
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
    /// Decodes a slot of the archive; `None` if the bytes are not a slot or its counts do not add up.
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

    /// Takes bytes that [`SlotSums`](super::slot_sums::SlotSums) has encoded.
    pub(super) fn encoded(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns for how long requests were measured.
    pub(crate) fn measured(&self) -> Duration {
        self.head().map_or(Duration::ZERO, |(head, _)| head.measured)
    }

    /// Returns the resident memory; `None` if it was not sampled.
    pub(crate) fn memory(&self) -> Option<SlotMemory> {
        self.head()?.0.memory
    }

    /// Returns the sums over all requests, with those that matched no route.
    pub(crate) fn all(&self) -> Option<SlotEntry<'_>> {
        self.head()?.1.entry(0)
    }

    /// Returns an entry for each endpoint that had requests, sorted by its place among the names. Requests that matched
    /// no route are an entry too.
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

/// Decodes numbers from the front of the bytes that are left.
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

/// The histograms of several entries, merged.
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

    /// Adds observations of one bucket, whose maximum is not known.
    #[cfg(feature = "page")]
    pub(crate) fn add_count(&mut self, bucket: u8, count: u64) {
        let bucket = usize::from(bucket).min(BUCKETS - 1);
        self.max = self.max.max(grid::ceiling(bucket));
        self.counts[bucket] += count;
    }

    /// Returns the duration that a share `q` of the observations does not exceed; `None` without observations. See
    /// [`grid::quantile`].
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        grid::quantile(&self.counts, self.max, q)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::slot_sums::SlotSums, *};

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
                    entry.count(grid::bucket_of(*seconds), 1, *failed);
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
    fn taking_a_slot_empties_the_sums() {
        let mut sums = sums(&vec![(3, vec![0.1], true)]);
        assert_eq!(sums.take().endpoints().count(), 1);
        assert!(sums.is_empty());
        assert_eq!(sums.take().endpoints().count(), 0);
    }

    #[cfg(feature = "archive")]
    #[test]
    fn bytes_that_are_not_a_slot_are_rejected() {
        let good = sums(&vec![(3, vec![0.1, 0.2], true), (7, vec![1.0], false)]).take();
        assert_eq!(Slot::read(good.as_bytes()), Some(good.clone()));
        for cut in 0..good.as_bytes().len() {
            // Must not panic. A cut between two entries leaves a valid slot; the archive's checksums detect that.
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
        fn a_slot_is_decoded_as_it_was_encoded(requests in requests()) {
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

        /// Merged slots equal the slot of all their requests.
        #[test]
        fn merged_slots_equal_the_slot_of_all_requests(one in requests(), other in requests()) {
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
