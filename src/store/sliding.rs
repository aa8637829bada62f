//! [`SlidingCounts`]: good and bad requests of a window that slides over the wall clock.
//!
//! A window is [`STEPS`] steps of equal length, the last of which is the present one: it is up to a sixtieth shorter than its name says,
//! whatever its length, and takes half a kilobyte. Invariant: the sum is that of the steps, so that what enters a window leaves it again.

use std::time::Duration;

/// Steps of a window.
const STEPS: usize = 60;

/// Requests, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) bad: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.bad += other.bad;
    }
}

/// The counts of one window.
#[derive(Clone, Debug)]
pub(crate) struct SlidingCounts {
    /// Length of a step in milliseconds; never 0.
    step: u64,
    /// Number of the present step since the Unix epoch.
    newest: u64,
    /// By the step's number, modulo their count: all, and the bad ones.
    steps: Box<[(u32, u32); STEPS]>,
    sum: Counts,
}

impl SlidingCounts {
    /// Returns an empty window of a length.
    pub(crate) fn new(length: Duration) -> Self {
        let step = u64::try_from(length.as_millis()).unwrap_or(u64::MAX) / STEPS as u64;
        Self { step: step.max(1), newest: 0, steps: Box::new([(0, 0); STEPS]), sum: Counts::default() }
    }

    /// Moves the window up to a time since the Unix epoch; never back.
    pub(crate) fn advance(&mut self, wall: Duration) {
        let now = self.number(wall);
        if now <= self.newest {
            return;
        }
        let passed = (now - self.newest).min(STEPS as u64);
        self.newest = now;
        for number in now + 1 - passed..=now {
            let (total, bad) = std::mem::take(&mut self.steps[Self::place(number)]);
            self.sum.total -= u64::from(total);
            self.sum.bad -= u64::from(bad);
        }
    }

    /// Adds requests that ended at a time. What ended before the window began is not in it.
    pub(crate) fn add(&mut self, wall: Duration, counts: Counts) {
        self.advance(wall);
        let number = self.number(wall);
        if number + STEPS as u64 <= self.newest {
            return;
        }
        let (total, bad) = &mut self.steps[Self::place(number)];
        for (step, sum, more) in [(total, &mut self.sum.total, counts.total), (bad, &mut self.sum.bad, counts.bad)] {
            let after = step.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            *sum += u64::from(after - *step);
            *step = after;
        }
    }

    /// Returns the counts of the window.
    pub(crate) fn sum(&self) -> Counts {
        self.sum
    }

    fn number(&self, wall: Duration) -> u64 {
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) / self.step
    }

    fn place(number: u64) -> usize {
        (number % STEPS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn counts(total: u64, bad: u64) -> Counts {
        Counts { total, bad }
    }

    #[test]
    fn what_is_older_than_the_window_is_gone() {
        let (mut window, start) = (SlidingCounts::new(HOUR), HOUR * 1000);
        window.add(start, counts(10, 1));
        window.add(start + HOUR / 2, counts(5, 0));
        assert_eq!(window.sum(), counts(15, 1));
        window.advance(start + HOUR - HOUR / 60);
        assert_eq!(window.sum(), counts(15, 1));
        window.advance(start + HOUR);
        assert_eq!(window.sum(), counts(5, 0));
        window.advance(start + HOUR * 9);
        assert_eq!(window.sum(), counts(0, 0));
    }

    #[test]
    fn the_past_is_added_where_it_belongs() {
        let (mut window, now) = (SlidingCounts::new(HOUR), HOUR * 1000);
        window.advance(now);
        window.add(now - HOUR / 2, counts(7, 7));
        window.add(now - HOUR, counts(9, 9));
        assert_eq!(window.sum(), counts(7, 7), "what is older is not in the window");
        window.advance(now + HOUR / 2);
        assert_eq!(window.sum(), counts(0, 0));
    }

    #[test]
    fn a_step_that_overflows_does_not_break_the_sum() {
        let (mut window, now) = (SlidingCounts::new(HOUR), HOUR * 1000);
        window.add(now, counts(u64::MAX, 1));
        window.add(now, counts(u64::MAX, 1));
        assert_eq!(window.sum(), counts(u64::from(u32::MAX), 2));
        window.advance(now + HOUR * 2);
        assert_eq!(window.sum(), counts(0, 0));
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_a_list(
            entries in prop::collection::vec((0..400_u64, 0..100_u64, 0..100_u64), 1..200),
            length in 60..4000_u64,
        ) {
            let (length, mut now) = (Duration::from_secs(length), Duration::from_secs(1_700_000_000));
            let mut window = SlidingCounts::new(length);
            let mut list = Vec::new();
            for (pause, total, bad) in entries {
                now += Duration::from_secs(pause);
                let bad = bad.min(total);
                window.add(now, counts(total, bad));
                list.push((now, total, bad));
            }
            let number = |at: Duration| at.as_millis() as u64 / window.step;
            let inside = |at: Duration| number(at) + STEPS as u64 > number(now);
            let mut expected = Counts::default();
            list.iter().filter(|(at, ..)| inside(*at)).for_each(|(_, total, bad)| expected += counts(*total, *bad));
            prop_assert_eq!(window.sum(), expected);
        }
    }
}
