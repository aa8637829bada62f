//! Computes when the iterations of an open model are due.

use std::time::Duration;

/// A constant rate, reached by a linear ramp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    rate: f64,
    ramp_up: f64,
}

impl Pace {
    pub(super) fn new(rate: f64, ramp_up: Duration) -> Self {
        Self { rate, ramp_up: ramp_up.as_secs_f64() }
    }

    /// Returns how many iterations are due in a span at the full rate.
    pub(super) fn per(self, span: Duration) -> usize {
        (self.rate * span.as_secs_f64()).ceil() as usize
    }

    /// Returns how many iterations are due within a span from the start, without those due at its end.
    pub(super) fn before(self, span: Duration) -> u64 {
        let seconds = span.as_secs_f64();
        let due = if seconds < self.ramp_up {
            self.rate * seconds * seconds / (2.0 * self.ramp_up)
        } else {
            self.rate * (self.ramp_up / 2.0 + (seconds - self.ramp_up))
        };
        // An iteration that only rounding puts before the end is due at the end.
        (due - 1e-6).max(0.0).ceil() as u64
    }

    /// Returns how long after the start the `n`-th iteration is due, counted from 0.
    pub(super) fn due(self, n: u64) -> Duration {
        let n = n as f64;
        // While the rate grows, n(t) = rate * t² / (2 * ramp_up).
        let in_ramp = self.rate * self.ramp_up / 2.0;
        let seconds = if n < in_ramp {
            (2.0 * n * self.ramp_up / self.rate).sqrt()
        } else {
            self.ramp_up + (n - in_ramp) / self.rate
        };
        Duration::from_secs_f64(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_rate_is_constant() {
        let pace = Pace::new(200.0, Duration::ZERO);
        assert_eq!(pace.due(0), Duration::ZERO);
        assert_eq!(pace.due(200), Duration::from_secs(1));
        assert_eq!(pace.due(1), Duration::from_millis(5));
    }

    #[test]
    fn ramp_reaches_the_rate_without_a_jump() {
        let pace = Pace::new(100.0, Duration::from_secs(10));
        assert_eq!(pace.due(500), Duration::from_secs(10));
        assert!(pace.due(499) < pace.due(500));
        assert!((pace.due(600) - pace.due(500)).abs_diff(Duration::from_secs(1)) < Duration::from_micros(1));
        assert!(pace.due(125).abs_diff(Duration::from_secs(5)) < Duration::from_micros(1));
    }

    #[test]
    fn what_is_due_at_the_end_is_not_due_within() {
        let constant = Pace::new(50.0, Duration::ZERO);
        assert_eq!(constant.before(Duration::ZERO), 0);
        assert_eq!(constant.before(Duration::from_millis(1)), 1);
        assert_eq!(constant.before(Duration::from_secs(5)), 250);
        assert_eq!(Pace::new(30.0, Duration::ZERO).before(Duration::from_millis(100)), 3);
        let ramped = Pace::new(100.0, Duration::from_secs(10));
        for n in [1, 7, 124, 499, 500, 501, 12345] {
            assert_eq!(ramped.before(ramped.due(n)), n);
            assert_eq!(ramped.before(ramped.due(n) + Duration::from_micros(1)), n + 1);
        }
    }
}
