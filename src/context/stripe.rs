//! Stripes: which of a few copies of a hot value this thread writes.
//!
//! Two cores that add to one cache line slow each other down several times. A few copies, which a reader sums, keep
//! them apart; more copies would cost memory in every series.
//!
//! Histograms and gauges go further, since every request writes some: the first threads have a [`Lane`] each to themselves, where
//! they add with plain loads and stores. A locked instruction costs as much as twenty others, and waits for all stores
//! before it. The invariant that a change could break: an exclusive lane has one writer at a time, in threads that
//! come and go as well.

use std::{
    cell::Cell,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// Copies of every striped value. A power of two.
pub(crate) const COUNT: usize = 4;

/// Lanes that belong to one thread each. Services with more workers are rare; the others share.
const EXCLUSIVE: usize = 8;
/// Lanes of a histogram or gauge.
pub(crate) const LANES: usize = EXCLUSIVE + COUNT;
const UNKNOWN: usize = usize::MAX;

static NEXT: AtomicUsize = AtomicUsize::new(0);
/// One bit for each exclusive lane that a thread has.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(UNKNOWN) };
    /// Without a destructor, so that it is there to the thread's end.
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static TENURE: Tenure = Tenure::begin();
}

/// Returns this thread's stripe, below [`COUNT`]. Threads take stripes in turn, in the order of their first call. While
/// a thread's locals are being destroyed it is stripe 0, which is as right as any other: a stripe is shared anyway.
pub(crate) fn index() -> usize {
    INDEX
        .try_with(|index| {
            if index.get() == UNKNOWN {
                index.set(NEXT.fetch_add(1, Relaxed) & (COUNT - 1));
            }
            index.get()
        })
        .unwrap_or(0)
}

/// Where a thread adds to histograms and gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(usize);

impl Lane {
    /// Returns this thread's lane.
    pub(crate) fn of_this_thread() -> Self {
        Self(LANE.try_with(|lane| if lane.get() == UNKNOWN { assign(lane) } else { lane.get() }).unwrap_or(EXCLUSIVE))
    }

    /// Returns its number, below [`LANES`].
    pub(crate) fn number(self) -> usize {
        self.0
    }

    /// Returns whether no other thread writes there.
    pub(crate) fn is_exclusive(self) -> bool {
        self.0 < EXCLUSIVE
    }
}

#[cold]
fn assign(lane: &Cell<usize>) -> usize {
    // In a thread whose locals are being destroyed nothing would give an exclusive lane back.
    lane.set(TENURE.try_with(|tenure| tenure.0).ok().flatten().unwrap_or_else(shared));
    lane.get()
}

fn shared() -> usize {
    EXCLUSIVE + index()
}

/// That a thread has an exclusive lane, until it ends.
struct Tenure(Option<usize>);

impl Tenure {
    /// Takes a free lane. Acquire, with the Release in `drop`: what the thread before wrote there is seen.
    fn begin() -> Self {
        let mut lane = None;
        let _ = TAKEN.fetch_update(AcqRel, Acquire, |taken| {
            let free = (!taken).trailing_zeros() as usize;
            lane = (free < EXCLUSIVE).then_some(free);
            lane.map(|lane| taken | 1 << lane)
        });
        Self(lane)
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        if let Some(lane) = self.0 {
            // First: what this thread still records while it ends.
            LANE.set(shared());
            TAKEN.fetch_and(!(1 << lane), Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier};

    use super::*;

    #[test]
    fn no_two_threads_have_an_exclusive_place_at_once() {
        let barrier = Barrier::new(2 * EXCLUSIVE);
        let lanes: Vec<Lane> = std::thread::scope(|scope| {
            let thread = || {
                let lane = Lane::of_this_thread();
                barrier.wait();
                lane
            };
            let threads: Vec<_> = (0..2 * EXCLUSIVE).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let exclusive: Vec<usize> = lanes.iter().filter(|lane| lane.is_exclusive()).map(|lane| lane.0).collect();
        assert_eq!(exclusive.iter().collect::<BTreeSet<_>>().len(), exclusive.len());
        assert!(lanes.iter().all(|lane| lane.number() < LANES));
    }

    #[test]
    fn a_thread_that_ends_gives_its_lane_back() {
        for _ in 0..10 * LANES {
            let lane = std::thread::spawn(Lane::of_this_thread).join().expect("no panic");
            assert!(lane.number() < LANES);
        }
        // Other tests hold some; had these threads kept theirs, all would be taken for ever.
        let is_free = || TAKEN.load(Relaxed) != (1 << EXCLUSIVE) - 1;
        while !is_free() {
            std::thread::yield_now();
        }
    }
}
