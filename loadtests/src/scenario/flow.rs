//! What one kind of user does, again and again.

use std::time::Duration;

use super::data::DataSet;
use super::random::Random;
use super::step::Step;
use super::template::Names;

/// A pause between two requests of a user: uniformly distributed between both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Shortest.
    pub(crate) least: Duration,
    /// Longest.
    pub(crate) most: Duration,
}

impl Pause {
    /// No pause.
    pub(crate) const NONE: Self = Self { least: Duration::ZERO, most: Duration::ZERO };

    /// A pause's length.
    pub(crate) fn draw(self, random: &mut Random) -> Duration {
        if self.most <= self.least {
            return self.least;
        }
        self.least + (self.most - self.least).mul_f64(random.unit())
    }
}

/// What an iteration consists of.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// All steps, one after another.
    InOrder(Vec<Step>),
    /// One of the steps, each as often as its weight says.
    ByWeight(Vec<(Step, usize)>),
}

impl Body {
    /// The steps.
    pub(crate) fn steps(&self) -> Vec<&Step> {
        match self {
            Self::InOrder(steps) => steps.iter().collect(),
            Self::ByWeight(steps) => steps.iter().map(|(step, _)| step).collect(),
        }
    }
}

/// One kind of user.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// What it is called.
    pub(crate) name: String,
    /// Share of the users that are of this kind, against the other kinds' weights.
    pub(crate) weight: usize,
    /// Steps that each user does once, before its first iteration.
    pub(crate) start: Vec<Step>,
    /// The iteration.
    pub(crate) body: Body,
    /// Pause after each step.
    pub(crate) pause: Pause,
    /// Whether each user keeps cookies.
    pub(crate) cookies: bool,
    /// Rows that iterations draw.
    pub(crate) data: Option<DataSet>,
    /// Names of captured values and data.
    pub(crate) names: Names,
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
