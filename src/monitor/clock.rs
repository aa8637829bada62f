//! [`WallClock`]: the time of day, for what is kept longer than the process lives.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// The wall clock at the start of the process's first monitor, advanced by the monotonic clock.
///
/// It never goes back by a little, so that no minute of the trends is written twice. It follows the system's clock where
/// that is ahead, since the machine slept or the clock was set forward; and where that is behind by more than [`DRIFT`],
/// since the clock was then wrong when the process began.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    started: Instant,
    /// The same moment by the real clock and not tokio's, whose time a test may let leap; `None` where the time is made up.
    really_started: Option<std::time::Instant>,
    wall: Duration,
}

/// How far the system's clock may be set back without being followed: NTP corrects by seconds at most, a person who sets a
/// clock by hours.
const DRIFT: Duration = Duration::from_secs(5 * 60);

impl WallClock {
    pub(super) fn starting(started: Instant) -> Self {
        static FIRST: OnceLock<WallClock> = OnceLock::new();
        *FIRST.get_or_init(|| Self::of(started, system()))
    }

    fn of(started: Instant, wall: Duration) -> Self {
        Self { started, really_started: Some(std::time::Instant::now()), wall }
    }

    /// Returns a clock that shows `wall` at `started` and follows no other.
    #[cfg(feature = "replay")]
    pub(super) fn made_up(started: Instant, wall: Duration) -> Self {
        Self { started, really_started: None, wall }
    }

    /// Returns the time since the Unix epoch. `now` is the present: for the past it is the present, too.
    pub(super) fn at(&self, now: Instant) -> Duration {
        let carried = self.wall + now.saturating_duration_since(self.started);
        let Some(really_started) = self.really_started else { return carried };
        let system = system();
        let ahead = (self.wall + really_started.elapsed()).saturating_sub(system);
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
