//! [`RankSum`]: two distributions compared by ranks, with Mann–Whitney's test and Cliff's delta.
//!
//! Mann and Whitney (1947), "On a test of whether one of two random variables is stochastically larger than the other",
//! Annals of Mathematical Statistics 18; Cliff (1993), "Dominance statistics: ordinal analyses to answer ordinal
//! questions", Psychological Bulletin 114. Equal values, and all observations of one bucket of a histogram, are ties,
//! which the variance accounts for.

use super::tail;

/// The result of comparing two distributions.
///
/// ```
/// use pinchpoint::analysis::statistics::RankSum;
///
/// let before = [10.0, 12.0, 11.0, 13.0, 10.5, 12.5];
/// let after = [14.0, 15.0, 13.5, 16.0, 14.5, 15.5];
/// let test = RankSum::of_values(&before, &after).expect("neither is empty");
/// assert_eq!(test.delta, 1.0, "every value after is above every one before");
/// assert!(test.p_value(1.0) < 0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankSum {
    /// Pairs in which the second distribution's observation is the larger one, a tie counting half: from 0 to the
    /// product of the two sizes.
    pub u: f64,
    /// Standardised U, with continuity correction; positive when the second is larger, 0 where all values are equal.
    pub z: f64,
    /// Cliff's delta: the probability that a random observation of the second is larger than one of the first, less the
    /// probability that it is smaller. From −1 to 1.
    pub delta: f64,
}

impl RankSum {
    /// Compares two histograms with the same buckets by their counts, the lowest bucket first; `None` when one of them
    /// is empty.
    ///
    /// Counts may be fractions, as those of a bucket that was divided. Both slices must have the same length: a bucket
    /// that only one of them has would count in its size alone.
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

    /// Compares two samples, in any order; `None` when one of them is empty.
    ///
    /// ```
    /// use pinchpoint::analysis::statistics::RankSum;
    /// let test = RankSum::of_values(&[1.0, 2.0], &[2.0, 3.0]).expect("neither is empty");
    /// assert_eq!((test.u, test.delta), (3.5, 0.75));
    /// ```
    pub fn of_values(first: &[f64], second: &[f64]) -> Option<Self> {
        let mut values: Vec<(f64, bool)> =
            first.iter().map(|value| (*value, true)).chain(second.iter().map(|value| (*value, false))).collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // Each distinct value is a bucket of two histograms.
        let counts = values.chunk_by(|a, b| a.0 == b.0).map(|tied| {
            let of_first = tied.iter().filter(|(_, is_first)| *is_first).count();
            (of_first as f64, (tied.len() - of_first) as f64)
        });
        let (first, second): (Vec<f64>, Vec<f64>) = counts.unzip();
        Self::of(&first, &second)
    }

    /// Returns the probability of a difference this large between two samples of one distribution.
    ///
    /// `inflation` is 1 for independent observations, and what [`super::inflation_of_two`] returns for series in time.
    /// By the normal approximation with continuity correction: with at least four values on either side it is within
    /// 0.006 of the exact p-value where that is below 0.05 and there are no ties. 1 where all values are equal.
    pub fn p_value(&self, inflation: f64) -> f64 {
        tail::normal_two_sided(self.z / inflation.sqrt())
    }
}

/// Returns the p-value of `first` values that are all below, or all above, `second` others; 1 where either is 0.
///
/// No two samples of those sizes without ties have a smaller one, so that a caller can distinguish "no difference" from
/// "too few values to show one".
///
/// ```
/// use pinchpoint::analysis::statistics::rank_sum::least_p_value;
/// assert!(least_p_value(3, 3) > 0.05, "three and three values never differ at 5 %");
/// assert!(least_p_value(5, 5) < 0.05);
/// ```
pub fn least_p_value(first: usize, second: usize) -> f64 {
    let (m, n) = (first as f64, second as f64);
    let variance = m * n * (m + n + 1.0) / 12.0;
    if variance > 0.0 { tail::normal_two_sided((m * n / 2.0 - 0.5) / variance.sqrt()) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disjoint_histograms_have_a_delta_of_one() {
        let found = RankSum::of(&[10.0, 0.0], &[0.0, 20.0]).expect("both have observations");
        assert_eq!((found.u, found.delta), (200.0, 1.0));
        assert!(found.p_value(1.0) < 1e-4);
    }

    #[test]
    fn equal_histograms_do_not_differ() {
        let found = RankSum::of(&[10.0, 5.0], &[10.0, 5.0]).expect("both have observations");
        assert_eq!((found.delta, found.p_value(1.0)), (0.0, 1.0));
        assert_eq!(RankSum::of(&[0.0], &[1.0]), None);
    }

    #[test]
    fn samples_agree_with_scipy() {
        // scipy.stats.mannwhitneyu(first, second, method="asymptotic"), SciPy 1.x.
        let check = |first: &[f64], second: &[f64], p_value: f64| {
            let found = RankSum::of_values(first, second).expect("neither is empty");
            assert!((found.p_value(1.0) - p_value).abs() < 1e-8, "{}", found.p_value(1.0));
            assert!(found.p_value(2.0) > p_value);
        };
        check(&[1.1, 2.9, 1.3, 3.1, 1.2, 3.0], &[3.5, 2.0, 4.1, 2.2, 4.0, 3.3], 0.065_552_16);
        check(&[1.0, 5.0, 1.0, 5.0, 2.0, 5.0, 1.0], &[3.0, 6.0, 3.0, 6.0, 2.0, 6.0, 3.0], 0.134_221_42);
        assert_eq!(RankSum::of_values(&[], &[1.0]), None);
    }

    #[test]
    fn values_and_their_histogram_have_the_same_result() {
        let found = RankSum::of_values(&[1.0, 1.0, 3.0], &[1.0, 2.0, 3.0, 3.0]);
        assert_eq!(found, RankSum::of(&[2.0, 0.0, 1.0], &[1.0, 1.0, 2.0]));
    }

    #[test]
    fn no_p_value_is_below_the_least() {
        let (low, high) = ([1.0, 3.0, 2.0, 4.0, 1.5], [11.0, 13.0, 12.0, 14.0, 11.5, 12.5]);
        let found = RankSum::of_values(&low, &high).expect("neither is empty");
        assert!((found.p_value(1.0) - least_p_value(5, 6)).abs() < 1e-12);
        assert!(least_p_value(5, 5) > 0.01 && least_p_value(6, 6) < 0.006);
        assert_eq!(least_p_value(0, 9), 1.0);
    }
}
