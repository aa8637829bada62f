//! [`SlotSums`]: the sums that become a [`Slot`].
//!
//! Writes the encoding that [`Slot`] reads.

use std::time::Duration;

use super::{
    grid::BUCKETS,
    slot::{Slot, SlotEntry},
};

/// Sums over the requests of one endpoint.
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
    /// Adds the duration and the longest of some requests; [`count`](Self::count) adds how many they were.
    pub(super) fn add(&mut self, seconds: f64, max: f64) {
        self.seconds += seconds;
        self.max = self.max.max(max);
    }

    /// Adds `count` requests of a bucket.
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
        // The count that is written is that of the buckets, which stop at 2^32 each: a reader checks that they add up.
        varint(bytes, self.buckets.iter().map(|count| u64::from(*count)).sum());
        varint(bytes, self.errors.min(self.count));
        float(bytes, self.seconds);
        float(bytes, self.max);
        varint(bytes, histogram.len() as u64);
        bytes.extend_from_slice(histogram);
    }
}

/// Sums that become a slot: of observations, or of shorter slots.
#[derive(Debug, Default)]
pub(super) struct SlotSums {
    measured: Duration,
    memory_sum: f64,
    memory_max: f64,
    memory_samples: u64,
    all: EntrySums,
    /// By the endpoint's place among the names. Reused from slot to slot, so that a new minute allocates nothing.
    endpoints: Vec<EntrySums>,
}

impl SlotSums {
    /// Adds time in which requests were measured.
    pub(super) fn add_time(&mut self, measured: Duration) {
        self.measured += measured;
    }

    /// Adds a sample of the resident memory.
    pub(super) fn add_memory(&mut self, bytes: f64) {
        self.memory_sum += bytes;
        self.memory_max = self.memory_max.max(bytes);
        self.memory_samples += 1;
    }

    /// Returns the sums of all requests, and those of one endpoint.
    pub(super) fn of(&mut self, endpoint: u32) -> (&mut EntrySums, &mut EntrySums) {
        let at = endpoint as usize;
        if self.endpoints.len() <= at {
            self.endpoints.resize_with(at + 1, EntrySums::default);
        }
        (&mut self.all, &mut self.endpoints[at])
    }

    /// Adds a slot. `place` returns an endpoint's place here from its place in the slot.
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
        Slot::encoded(bytes)
    }

    /// Returns the slot and empties the sums.
    pub(super) fn take(&mut self) -> Slot {
        let slot = self.slot();
        let mut endpoints = std::mem::take(&mut self.endpoints);
        endpoints.iter_mut().filter(|entry| entry.count > 0).for_each(|entry| *entry = EntrySums::default());
        *self = Self { endpoints, ..Self::default() };
        slot
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.endpoints.capacity() * size_of::<EntrySums>()
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
