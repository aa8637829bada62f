//! [`Ring`]: counts by the number of a time slot, of the newest slots.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Slots by which a ring grows. Every endpoint has one of hundreds of slots, which are filled in days.
const STEP: usize = 24;

/// Counts of the newest `N` slots, as many as are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ring<const N: usize> {
    newest: u64,
    /// Up to the newest.
    counts: VecDeque<u32>,
}

impl<const N: usize> Ring<N> {
    /// Adds to the count of a slot, unless it is older than all that are kept.
    pub(crate) fn add(&mut self, slot: u64, count: u32) {
        // None is known, or none of those that are known is kept.
        if self.counts.is_empty() || slot.saturating_sub(self.newest) >= N as u64 {
            self.counts.clear();
            self.newest = slot;
        }
        while self.newest < slot {
            self.make_room();
            self.counts.push_back(0);
            self.newest += 1;
        }
        let back = self.newest - slot;
        if back >= N as u64 {
            return;
        }
        while self.counts.len() as u64 <= back {
            self.make_room();
            self.counts.push_front(0);
        }
        // What a file holds may be longer.
        while self.counts.len() > N {
            self.counts.pop_front();
        }
        let place = self.counts.len() - 1 - back as usize;
        self.counts[place] = self.counts[place].saturating_add(count);
    }

    /// Returns the count of a slot; 0 where nothing was counted or it is no longer kept.
    pub(crate) fn get(&self, slot: u64) -> u32 {
        let back = self.newest.checked_sub(slot).filter(|back| *back < N as u64);
        let place = back.and_then(|back| self.counts.len().checked_sub(1 + usize::try_from(back).ok()?));
        place.map_or(0, |place| self.counts[place])
    }

    fn make_room(&mut self) {
        if self.counts.len() == self.counts.capacity() {
            self.counts.reserve_exact(STEP);
        }
    }
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
    fn a_file_may_hold_more_slots_than_are_kept() {
        let mut ring: Ring<2> = serde_json::from_str(r#"{"newest":5,"counts":[7,8,9]}"#).expect("JSON");
        assert_eq!([3, 4, 5, 6].map(|slot| ring.get(slot)), [0, 8, 9, 0]);
        ring.add(6, 1);
        assert_eq!([4, 5, 6].map(|slot| ring.get(slot)), [0, 9, 1]);
        assert_eq!(ring.counts.len(), 2);
    }
}
