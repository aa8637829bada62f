//! Think time: the pause of a user between two requests.

use std::time::Duration;

use super::random::Random;

/// A pause, uniformly distributed between both bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The shortest.
    pub(crate) least: Duration,
    /// The longest.
    pub(crate) most: Duration,
}

impl Pause {
    /// No pause.
    pub(crate) const NONE: Self = Self { least: Duration::ZERO, most: Duration::ZERO };

    /// Draws the length of one pause.
    pub(crate) fn draw(self, random: &mut Random) -> Duration {
        if self.most <= self.least {
            return self.least;
        }
        self.least + (self.most - self.least).mul_f64(random.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_stays_between_its_ends() {
        let pause = Pause { least: Duration::from_millis(10), most: Duration::from_millis(20) };
        let mut random = Random::new(1);
        assert!((0..500).map(|_| pause.draw(&mut random)).all(|p| pause.least <= p && p <= pause.most));
        assert_eq!(Pause::NONE.draw(&mut random), Duration::ZERO);
    }
}
