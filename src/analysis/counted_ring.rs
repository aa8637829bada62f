//! [`Ring`]: counts by the number of a time slot, of the newest slots.

use serde::{Deserialize, Serialize};

/// Counts of the newest `N` slots. Empty until something is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring<const N: usize> {
    newest: u64,
    /// By slot modulo `N`.
    counts: Vec<u32>,
}

impl<const N: usize> Ring<N> {
    /// Adds to the count of a slot, unless it is older than all that are kept.
    pub(crate) fn add(&mut self, slot: u64, count: u32) {
        // What a file holds may have another length.
        if self.counts.len() != N {
            (self.counts, self.newest) = (vec![0; N], slot);
        }
        if slot > self.newest {
            let passed = (slot - self.newest).min(N as u64);
            (0..passed).for_each(|back| self.counts[place::<N>(slot - back)] = 0);
            self.newest = slot;
        }
        if self.newest - slot < N as u64 {
            let known = &mut self.counts[place::<N>(slot)];
            *known = known.saturating_add(count);
        }
    }

    /// Returns the count of a slot; 0 where nothing was counted or it is no longer kept.
    pub(crate) fn get(&self, slot: u64) -> u32 {
        let is_kept = slot <= self.newest && self.newest - slot < N as u64;
        self.counts.get(place::<N>(slot)).copied().filter(|_| is_kept).unwrap_or(0)
    }
}

fn place<const N: usize>(slot: u64) -> usize {
    (slot % N as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_newest_slots_are_kept_and_no_others(added in prop::collection::vec((100_u64..160, 1_u32..9), 1..60)) {
            let (mut ring, mut naive, mut newest) = (Ring::<8>::default(), BTreeMap::new(), 0);
            for (slot, count) in added {
                newest = newest.max(slot);
                ring.add(slot, count);
                if newest - slot < 8 {
                    *naive.entry(slot).or_insert(0) += count;
                }
                naive.retain(|slot, _| newest - slot < 8);
            }
            for slot in 90..170 {
                prop_assert_eq!(ring.get(slot), naive.get(&slot).copied().unwrap_or(0));
            }
        }
    }

    #[test]
    fn counts_of_another_length_are_dropped() {
        let mut ring: Ring<8> = serde_json::from_str(r#"{"newest":5,"counts":[1,2]}"#).expect("JSON");
        assert_eq!(ring.get(7), 0);
        ring.add(6, 1);
        assert_eq!((ring.get(5), ring.get(6)), (0, 1));
    }
}
