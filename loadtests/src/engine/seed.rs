//! The seed of everything random in a test.
//!
//! A test without `--seed` draws other values than the one before it: a second registration with the same address would
//! fail. The seed is written into the result, and `--seed` repeats the values.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::scenario::Random;

/// Every program reads whole numbers of so many bits exactly; JavaScript does not read longer ones.
const DRAWN_BITS: u32 = 48;

/// The seed of a test, and how many runs it has had. Clones share the count, so that the steps of a search differ.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    value: u64,
    runs: Arc<AtomicU64>,
}

impl Seed {
    /// Returns the seed of that value.
    pub(crate) fn new(value: u64) -> Self {
        Self { value, runs: Arc::default() }
    }

    /// Draws a seed that is hardly ever drawn again.
    pub(crate) fn draw() -> Self {
        let keys = RandomState::new();
        Self::new(keys.hash_one(std::process::id()) >> (u64::BITS - DRAWN_BITS))
    }

    /// Returns its value.
    pub(crate) fn value(&self) -> u64 {
        self.value
    }

    /// Returns the seed of the next run of this test.
    pub(super) fn next_run(&self) -> RunSeed {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        RunSeed(Random::stream(self.value, run).bits())
    }
}

/// The seed of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunSeed(u64);

impl RunSeed {
    /// Returns the generator of the user or iteration of that number.
    pub(super) fn random(self, number: u64) -> Random {
        Random::stream(self.0, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_users_differ_and_a_seed_repeats_them() {
        let first = |seed: &Seed| {
            let run = seed.next_run();
            [1, 2].map(|number| run.random(number).bits())
        };
        let (one, again) = (Seed::new(7), Seed::new(7));
        let (step, next) = (first(&one), first(&one.clone()));
        assert_eq!([step, next], [first(&again), first(&again)]);
        let mut all = [step, next, first(&Seed::new(8))].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
        assert!(Seed::draw().value() < 1 << DRAWN_BITS);
        assert_ne!(Seed::draw().value(), Seed::draw().value());
    }
}
