//! A small random generator. The choices of a load test must be fast and repeatable, not secret.

/// SplitMix64 with a step of its own for each stream (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
///
/// Each user has a stream of its own, so that its choices do not depend on the timing of other users. With one step for all,
/// two users would sooner or later draw the same numbers, and register with the same addresses.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
    /// Odd, so that the sequence has its full length.
    step: u64,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// Returns a generator for tests.
    #[cfg(test)]
    pub(crate) fn new(seed: u64) -> Self {
        Self::stream(seed, 0)
    }

    /// Returns one of the many generators of a seed.
    pub(crate) fn stream(seed: u64, number: u64) -> Self {
        let state = mix(mix(seed.wrapping_add(GOLDEN)) ^ number.wrapping_mul(GOLDEN));
        let step = mix_step(mix(state ^ number));
        Self { state, step }
    }

    /// Returns the next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(self.step);
        mix(self.state)
    }

    /// Returns a number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a whole number in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.wrapping_sub(low) as u64;
        match span.checked_add(1) {
            Some(count) => low.wrapping_add((self.bits() % count) as i64),
            None => self.bits() as i64,
        }
    }

    /// Returns an index below `count`; 0 if `count` is 0.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        if count == 0 { 0 } else { (self.bits() % count as u64) as usize }
    }
}

/// The finalizer of SplitMix64 (David Stafford's variant 13).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes a step whose bits change often enough, as in the paper.
fn mix_step(z: u64) -> u64 {
    let odd = z | 1;
    if (odd ^ (odd >> 1)).count_ones() < 24 { odd ^ 0xAAAA_AAAA_AAAA_AAAA } else { odd }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_stays_in_its_range_and_reaches_both_ends() {
        let mut random = Random::new(7);
        let seen: Vec<i64> = (0..1000).map(|_| random.between(-2, 2)).collect();
        assert!(seen.iter().all(|n| (-2..=2).contains(n)));
        for n in -2..=2 {
            assert!(seen.contains(&n));
        }
        random.between(i64::MIN, i64::MAX);
    }

    #[test]
    fn streams_of_a_seed_share_no_number() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..20 {
            for number in 0..50 {
                let mut random = Random::stream(seed, number);
                assert!((0..50).all(|_| seen.insert(random.bits())), "seed {seed}, stream {number}");
            }
        }
    }

    #[test]
    fn same_seed_same_sequence() {
        let (mut a, mut b) = (Random::new(3), Random::new(3));
        assert_eq!(a.bits(), b.bits());
        assert!((0..100).all(|_| (0.0..1.0).contains(&a.unit())));
    }
}
