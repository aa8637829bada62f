//! Two distributions compared by ranks: Mann–Whitney's test and Cliff's delta, on histograms.
//!
//! Mann and Whitney (1947), "On a test of whether one of two random variables is stochastically larger than the other",
//! Annals of Mathematical Statistics 18; Cliff (1993), "Dominance statistics: ordinal analyses to answer ordinal
//! questions", Psychological Bulletin 114. Observations of one bucket are ties, which the variance accounts for.

use super::tail;

/// What the comparison found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankSum {
    /// Pairs in which the second distribution's observation is the larger one; a tie is half a pair.
    pub u: f64,
    /// Standardised U, with continuity correction; positive when the second is larger.
    pub z: f64,
    /// Probability that a random observation of the second is larger than one of the first, less the contrary: −1 to 1.
    pub delta: f64,
}

impl RankSum {
    /// Compares the counts of two histograms with the same buckets; `None` when one of them is empty.
    pub fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        let (m, n): (f64, f64) = (first.iter().sum(), second.iter().sum());
        if m <= 0.0 || n <= 0.0 {
            return None;
        }
        let (mut u, mut below, mut ties) = (0.0, 0.0, 0.0);
        for (&a, &b) in first.iter().zip(second) {
            u += b * (below + a / 2.0);
            below += a;
            ties += (a + b).powi(3) - (a + b);
        }
        let total = m + n;
        let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
        let distance = u - m * n / 2.0;
        let z =
            if variance > 0.0 { distance.signum() * (distance.abs() - 0.5).max(0.0) / variance.sqrt() } else { 0.0 };
        Some(Self { u, z, delta: 2.0 * u / (m * n) - 1.0 })
    }

    /// Returns the probability of a difference this large between two samples of one distribution.
    pub fn p_value(&self) -> f64 {
        tail::normal_two_sided(self.z)
    }
}

/// Adjusts p-values for having asked several questions at once, so that the chance of even one false answer stays
/// at the level: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
/// Statistics 6.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (done, &index) in order.iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - done) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// Adjusts p-values so that a chosen share of the answers, not the chance of one, may be false: Benjamini and
/// Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (done, &index) in order.iter().enumerate() {
        let rank = p_values.len() - done;
        smallest = smallest.min(p_values[index] * p_values.len() as f64 / rank as f64);
        adjusted[index] = smallest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disjoint_histograms_are_as_far_apart_as_can_be() {
        let found = RankSum::of(&[10.0, 0.0], &[0.0, 20.0]).expect("both have observations");
        assert_eq!((found.u, found.delta), (200.0, 1.0));
        assert!(found.p_value() < 1e-4);
    }

    #[test]
    fn equal_histograms_do_not_differ() {
        let found = RankSum::of(&[10.0, 5.0], &[10.0, 5.0]).expect("both have observations");
        assert_eq!((found.delta, found.p_value()), (0.0, 1.0));
        assert_eq!(RankSum::of(&[0.0], &[1.0]), None);
    }
}
