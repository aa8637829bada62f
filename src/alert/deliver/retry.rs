//! [`Retry`]: when a receiver that failed is tried again.

use std::time::Duration;

use tokio::time::Instant;

/// Time after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time that doubling leads to.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest `Retry-After` that is obeyed: a receiver that asks for a week is as good as gone.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The failures of one receiver since its last success.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

impl Retry {
    /// Notes a failure. `jitter`, from 0 to 1, spreads the attempts of many processes over half of the time; `asked` is the
    /// receiver's `Retry-After`.
    pub(super) fn failed(&mut self, asked: Option<Duration>, now: Instant, jitter: f64) {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let delay = doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        self.not_before = Some(now + delay.max(asked.unwrap_or_default().min(LONGEST_ASKED)));
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Returns when the next attempt may begin; `None` where nothing holds it back.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(super) fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|time| time <= now)
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the delays after failures in a row, in milliseconds.
    fn delays(failures: usize, asked: Option<u64>, jitter: f64) -> Vec<u128> {
        let (now, mut retry) = (Instant::now(), Retry::default());
        let mut delay = || {
            retry.failed(asked.map(Duration::from_secs), now, jitter);
            (retry.not_before().expect("a time") - now).as_millis()
        };
        (0..failures).map(|_| delay()).collect()
    }

    #[test]
    fn delays_double_up_to_five_minutes() {
        assert_eq!(delays(5, None, 1.0), [1_000, 2_000, 4_000, 8_000, 16_000]);
        assert_eq!(delays(5, None, 0.0), [500, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!(delays(40, None, 1.0).last(), Some(&300_000));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_an_hour() {
        assert_eq!(delays(2, Some(30), 1.0), [30_000, 30_000]);
        assert_eq!(delays(1, Some(0), 1.0), [1_000]);
        assert_eq!(delays(1, Some(999_999), 1.0), [3_600_000]);
    }

    #[test]
    fn a_success_begins_anew() {
        let (now, mut retry) = (Instant::now(), Retry::default());
        assert!(retry.allows(now));
        retry.failed(None, now, 1.0);
        assert!(!retry.allows(now + Duration::from_millis(999)) && retry.allows(now + Duration::from_secs(1)));
        retry.succeeded();
        assert!(retry.allows(now) && retry.failures() == 0);
    }
}
