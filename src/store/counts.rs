//! [`Counts`]: the counts of a histogram's buckets, as many as it uses.
//!
//! A layout has two hundred buckets, and most series use a dozen neighbours of them. Three or more windows keep the counts of
//! every series, and each tick goes through them: what is not kept is not read either.

use std::hint::black_box;

/// Series that are read ahead together. The memory of each is a chain of places far apart; a CPU that follows many such chains
/// at once waits about as long as for one.
pub(super) const AHEAD: usize = 32;

/// Buckets by which the range grows at least: 32 bytes of small counts.
const STEP: usize = 8;

/// The counts of neighbouring buckets; those of all others are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts<T> {
    first: usize,
    counts: Box<[T]>,
}

impl<T> Default for Counts<T> {
    fn default() -> Self {
        Self { first: 0, counts: Box::default() }
    }
}

impl<T: Copy + Default> Counts<T> {
    pub(super) fn get(&self, bucket: usize) -> T {
        bucket.checked_sub(self.first).and_then(|place| self.counts.get(place)).copied().unwrap_or_default()
    }

    /// Reads the first count, and does nothing with it: see [`AHEAD`].
    pub(super) fn read_ahead(&self) {
        black_box(self.counts.first().copied());
    }

    /// Returns the count of a bucket, which may then be changed.
    pub(super) fn get_mut(&mut self, bucket: usize) -> &mut T {
        if bucket < self.first || bucket >= self.first + self.counts.len() {
            self.reach(bucket);
        }
        &mut self.counts[bucket - self.first]
    }

    /// Extends the range to a bucket.
    #[cold]
    fn reach(&mut self, bucket: usize) {
        let is_empty = self.counts.is_empty();
        let start = bucket / STEP * STEP;
        let first = if is_empty { start } else { self.first.min(start) };
        let end = (self.first + self.counts.len()).max(start + STEP);
        let mut counts = vec![T::default(); end - first];
        if !is_empty {
            counts[self.first - first..][..self.counts.len()].copy_from_slice(&self.counts);
        }
        (self.first, self.counts) = (first, counts.into());
    }

    /// Returns the buckets of the range with their counts, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, T)> + Clone + '_ {
        (self.first..).zip(self.counts.iter().copied())
    }

    /// Returns every count of the range.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.counts.iter_mut()
    }

    /// Returns the heap bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.counts)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(added in proptest::collection::vec((0..400_usize, 1..9_u32), 0..30)) {
            let (mut counts, mut map) = (Counts::default(), BTreeMap::new());
            for (bucket, count) in added {
                *counts.get_mut(bucket) += count;
                *map.entry(bucket).or_insert(0) += count;
            }
            for bucket in 0..410 {
                prop_assert_eq!(counts.get(bucket), map.get(&bucket).copied().unwrap_or_default());
            }
            let counted: BTreeMap<usize, u32> = counts.iter().filter(|(_, count)| *count > 0).collect();
            prop_assert_eq!(counted, map);
        }
    }

    #[test]
    fn neighbours_take_no_more_than_their_range() {
        let mut counts = Counts::<u32>::default();
        for bucket in 100..110 {
            *counts.get_mut(bucket) += 1;
        }
        assert_eq!(counts.bytes(), 16 * size_of::<u32>());
    }
}
