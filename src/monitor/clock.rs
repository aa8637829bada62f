//! [`WallClock`]: the time of day for what outlives the process.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// The wall clock as the monitor sees it: that of the process's first monitor, carried on by the monotonic one, so that a
/// clock that is set back a little writes no minute a second time. Where the machine slept, or its clock was set forward,
/// it follows, and also where the clock was set back by more than it drifts: then it was wrong when the process began.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    started: Instant,
    /// The same by the machine's clock, not tokio's: how far the wall clock is off is real where a test's time leaps.
    really_started: std::time::Instant,
    wall: Duration,
}

/// How far a clock may be set back without being followed.
const DRIFT: Duration = Duration::from_secs(5 * 60);

impl WallClock {
    pub(super) fn starting(started: Instant) -> Self {
        static FIRST: OnceLock<WallClock> = OnceLock::new();
        *FIRST.get_or_init(|| Self::of(started, system()))
    }

    fn of(started: Instant, wall: Duration) -> Self {
        Self { started, really_started: std::time::Instant::now(), wall }
    }

    /// Returns the time since the Unix epoch.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let (carried, system) = (self.wall + now.saturating_duration_since(self.started), system());
        let ahead = (self.wall + self.really_started.elapsed()).saturating_sub(system);
        if ahead > DRIFT { carried.saturating_sub(ahead) } else { carried.max(system) }
    }
}

fn system() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_the_monotonic_one() {
        let started = Instant::now();
        let clock = WallClock::of(started, system());
        let (first, later) = (clock.at(started), clock.at(started + Duration::from_secs(3600)));
        assert!((first.abs_diff(system())) < Duration::from_secs(5));
        assert!((later - first).abs_diff(Duration::from_secs(3600)) < Duration::from_secs(5));
    }

    #[test]
    fn a_clock_that_was_wrong_at_the_start_is_followed_when_it_is_put_right() {
        let ahead = |seconds| WallClock::of(Instant::now(), system() + Duration::from_secs(seconds));
        assert!(ahead(2 * 3600).at(Instant::now()).abs_diff(system()) < Duration::from_secs(5));
        let carried = ahead(60).at(Instant::now()).saturating_sub(system());
        assert!(carried > Duration::from_secs(50), "a second of this minute would be a second time: {carried:?}");
    }

    #[test]
    fn the_clock_catches_up_after_a_sleep() {
        let clock = WallClock::of(Instant::now(), Duration::from_secs(1));
        assert!(clock.at(Instant::now()).abs_diff(system()) < Duration::from_secs(5));
    }
}
