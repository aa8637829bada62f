//! [`Bucket`]: how often something may be sent.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket that holds a minute's messages.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: u32,
    /// Messages that may go at once, at `since`.
    tokens: f64,
    since: Instant,
}

impl Bucket {
    /// Returns one that holds a minute's messages.
    pub(super) fn full(per_minute: u32, now: Instant) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, tokens: f64::from(per_minute), since: now }
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(self.since).as_secs_f64() * f64::from(self.per_minute) / 60.0;
        (self.tokens + gained).min(f64::from(self.per_minute))
    }

    /// Takes a token, where there is one now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        // A token that is full but for a rounding error is full: otherwise the time of the next one comes in vain.
        let tokens = self.tokens_at(now) + 1e-6;
        if tokens < 1.0 {
            return false;
        }
        (self.tokens, self.since) = ((tokens - 1.0).max(0.0), now);
        true
    }

    /// Returns when a message may go.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let missing = (1.0 - self.tokens_at(now)).max(0.0);
        now + Duration::from_secs_f64(missing * 60.0 / f64::from(self.per_minute))
    }
}
