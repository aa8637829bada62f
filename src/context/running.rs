//! [`Runs`]: since when the runs of a task that are in progress are.
//!
//! A fixed array of atomics for each task name: a run takes a free place with one exchange and gives it back with one
//! store, so that following every run locks and allocates nothing. The invariant that a change could break: a place is
//! freed by the run that took it and by nobody else.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Runs of one task followed at a time, in 2 KiB. A run that starts when all places are taken is not followed; it
/// counts in `task_active` like any other.
const FOLLOWED: usize = 256;
/// Places looked at before a run is left alone: with nine in ten taken, one of these is free all but surely.
const PROBES: usize = 64;

/// The runs of one task that are in progress.
#[derive(Debug)]
pub(crate) struct Runs {
    epoch: Instant,
    /// Nanoseconds from the epoch to the start of a run, plus one; zero where there is none.
    places: Box<[AtomicU64]>,
}

/// The place of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

impl Runs {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, places: (0..FOLLOWED).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Follows a run, where there is room.
    pub(crate) fn begin(&self, began: Instant) -> Option<Place> {
        let since = began.saturating_duration_since(self.epoch);
        let mark = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        // Anywhere will do, but not always at the front: there the places are taken.
        let first = (mark >> 6) as usize;
        (first..first + PROBES).map(|place| place % FOLLOWED).find_map(|place| {
            let free = &self.places[place];
            let taken = free.load(Relaxed) == 0 && free.compare_exchange(0, mark, Relaxed, Relaxed).is_ok();
            taken.then_some(Place(place))
        })
    }

    /// Follows a run no longer.
    pub(crate) fn end(&self, place: Place) {
        self.places[place.0].store(0, Relaxed);
    }

    /// Returns when the oldest run began.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.marks().min().map(|mark| self.began_at(mark))
    }

    /// Returns when each run began, the oldest first.
    pub(super) fn began(&self) -> Vec<Instant> {
        let mut marks: Vec<u64> = self.marks().collect();
        marks.sort_unstable();
        marks.into_iter().map(|mark| self.began_at(mark)).collect()
    }

    fn marks(&self) -> impl Iterator<Item = u64> + '_ {
        self.places.iter().map(|place| place.load(Relaxed)).filter(|mark| *mark != 0)
    }

    fn began_at(&self, mark: u64) -> Instant {
        self.epoch + Duration::from_nanos(mark - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_followed_until_they_end() {
        let epoch = Instant::now();
        let runs = Runs::new(epoch);
        let second = Duration::from_secs(1);
        let (young, old) = (runs.begin(epoch + 5 * second), runs.begin(epoch + second));
        assert_eq!(runs.began(), [epoch + second, epoch + 5 * second]);
        runs.end(old.expect("room"));
        assert_eq!(runs.oldest(), Some(epoch + 5 * second));
        runs.end(young.expect("room"));
        assert_eq!(runs.oldest(), None);
    }

    #[test]
    fn a_run_from_before_the_first_is_followed_too() {
        let epoch = Instant::now();
        let runs = Runs::new(epoch + Duration::from_secs(1));
        runs.begin(epoch).expect("room");
        assert_eq!(runs.oldest(), Some(epoch + Duration::from_secs(1)), "to the precision that there is");
    }

    #[test]
    fn more_runs_than_places_are_let_be() {
        let epoch = Instant::now();
        let runs = Runs::new(epoch);
        let places: Vec<_> = (0..1000).filter_map(|_| runs.begin(epoch)).collect();
        assert!((PROBES..=FOLLOWED).contains(&places.len()), "{}", places.len());
        places.into_iter().for_each(|place| runs.end(place));
        assert_eq!(runs.began(), []);
    }
}
