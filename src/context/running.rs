//! [`Runs`]: when the runs of a task that are in progress began.
//!
//! A fixed array of atomics for each task name: a run takes a free place with one exchange and frees it with one store,
//! so that following a run takes no lock and no allocation. The invariant that a change could break: only the run that
//! took a place frees it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Runs of one task that are followed at a time, in 2 KiB. A run that starts when all places are taken is not followed;
/// it counts in `pinchpoint_task_active` like any other.
const FOLLOWED: usize = 256;
/// Places that a run tries before it is not followed: with nine in ten taken, all 64 are taken once in 850 times.
const PROBES: usize = 64;

/// The runs of one task that are in progress.
#[derive(Debug)]
pub(crate) struct Runs {
    epoch: Instant,
    /// One more than the nanoseconds from the epoch to the start of a run; zero in a free place. Relaxed: a place holds
    /// nothing but its own value.
    places: Box<[AtomicU64]>,
}

/// The place of a run that is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunPlace(usize);

impl Runs {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, places: (0..FOLLOWED).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Follows a run; `None` if it finds no free place.
    pub(crate) fn begin(&self, began: Instant) -> Option<RunPlace> {
        let since = began.saturating_duration_since(self.epoch);
        let mark = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        // Any place will do, but a search that always begins at the front finds the places there taken.
        let first = (mark >> 6) as usize;
        (first..first + PROBES).map(|place| place % FOLLOWED).find_map(|place| {
            let free = &self.places[place];
            let taken = free.load(Relaxed) == 0 && free.compare_exchange(0, mark, Relaxed, Relaxed).is_ok();
            taken.then_some(RunPlace(place))
        })
    }

    /// Frees the place of a run that ended.
    pub(crate) fn end(&self, place: RunPlace) {
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
    fn a_run_from_before_the_epoch_counts_from_the_epoch() {
        let epoch = Instant::now();
        let runs = Runs::new(epoch + Duration::from_secs(1));
        runs.begin(epoch).expect("room");
        assert_eq!(runs.oldest(), Some(epoch + Duration::from_secs(1)), "no earlier time can be stored");
    }

    #[test]
    fn runs_past_the_last_place_are_not_followed() {
        let epoch = Instant::now();
        let runs = Runs::new(epoch);
        let places: Vec<_> = (0..1000).filter_map(|_| runs.begin(epoch)).collect();
        assert!((PROBES..=FOLLOWED).contains(&places.len()), "{}", places.len());
        places.into_iter().for_each(|place| runs.end(place));
        assert_eq!(runs.began(), []);
    }
}
