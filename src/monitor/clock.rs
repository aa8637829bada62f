//! [`WallClock`]: the time of day for what outlives the process.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// The wall clock as the monitor sees it: that of the process's first monitor, carried on by the monotonic one, so that a
/// clock that is set back writes no minute a second time. Where the machine slept, or its clock was set forward, it
/// follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallClock {
    started: Instant,
    wall: Duration,
}

impl WallClock {
    pub(super) fn starting(started: Instant) -> Self {
        static FIRST: OnceLock<WallClock> = OnceLock::new();
        *FIRST.get_or_init(|| Self { started, wall: system() })
    }

    /// Returns the time since the Unix epoch.
    pub(super) fn at(&self, now: Instant) -> Duration {
        (self.wall + now.saturating_duration_since(self.started)).max(system())
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
        let clock = WallClock { started, wall: system() };
        let (first, later) = (clock.at(started), clock.at(started + Duration::from_secs(3600)));
        assert!((first.abs_diff(system())) < Duration::from_secs(5));
        assert!((later - first).abs_diff(Duration::from_secs(3600)) < Duration::from_secs(5));
    }

    #[test]
    fn the_clock_catches_up_after_a_sleep() {
        let clock = WallClock { started: Instant::now(), wall: Duration::from_secs(1) };
        assert!(clock.at(Instant::now()).abs_diff(system()) < Duration::from_secs(5));
    }
}
