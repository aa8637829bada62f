//! A small random generator. The choices of a load test must be fast and repeatable, not secret.

/// SplitMix64 (Steele, Lea and Flood, 2014). Each user has a generator of its own, so that its choices do not depend on
/// the timing of other users.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Returns a generator whose sequence depends only on the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    /// Returns the next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
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
    fn same_seed_same_sequence() {
        let (mut a, mut b) = (Random::new(3), Random::new(3));
        assert_eq!(a.bits(), b.bits());
        assert!((0..100).all(|_| (0.0..1.0).contains(&a.unit())));
    }
}
