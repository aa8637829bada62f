//! [`Step`]: the split of a series into a before and an after that differ most.
//!
//! The scan of rank sums is that of Pettitt (1979), "A non-parametric approach to the change-point problem", Applied
//! Statistics 28, except that each split is judged by its own standardised Mann–Whitney statistic, with Bonferroni's
//! correction for the number of splits, instead of by the unstandardised maximum. That finds a step near the end, which
//! is the one that matters: it has just happened. The test for a trend does not find it: of 48 values the last 4, ten
//! times as high, leave it at p = 0.2.

use super::{median, midranks, tail, tie_sizes};

/// Fewest values on each side of a step: one, two or three outliers are not a step.
pub const SHORTEST_SIDE: usize = 4;

/// The split of a series with the smallest p-value.
///
/// ```
/// use pinchpoint::analysis::statistics::Step;
///
/// let values = [1.0, 1.2, 1.1, 0.9, 1.0, 1.1, 3.0, 3.1, 2.9, 3.2, 3.0, 3.1];
/// let step = Step::locate(&values).expect("twelve values, not all equal");
/// assert_eq!((step.index, step.after), (6, 3.05));
/// assert!(step.p_value(&values, 1.0) < 0.02);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Number of values before the step: the index of the first value after it.
    pub index: usize,
    /// Median of the values before.
    pub before: f64,
    /// Median of the values after.
    pub after: f64,
    log_p: f64,
    separated: bool,
    splits: usize,
}

impl Step {
    /// Finds the split of `values`, which stand in the order of time.
    ///
    /// `None` for fewer than twice [`SHORTEST_SIDE`] values and where all are equal. Of splits with equal p-values it
    /// is the first.
    pub fn locate(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let splits = (n + 1).checked_sub(2 * SHORTEST_SIDE).filter(|&splits| splits > 0)?;
        let ranks = midranks(values);
        let tied: f64 = tie_sizes(values).iter().map(|&t| (t as f64).powi(3) - t as f64).sum();
        let n_f = n as f64;
        let spread = (n_f + 1.0 - tied / (n_f * (n_f - 1.0))) / 12.0;
        if spread <= 0.0 {
            return None;
        }
        let mut rank_sum: f64 = ranks[..SHORTEST_SIDE - 1].iter().sum();
        let mut best: Option<(f64, usize, bool)> = None;
        for first in SHORTEST_SIDE..=n - SHORTEST_SIDE {
            rank_sum += ranks[first - 1];
            let (k, rest) = (first as f64, (n - first) as f64);
            let u = rank_sum - k * (k + 1.0) / 2.0;
            let z = ((u - k * rest / 2.0).abs() - 0.5).max(0.0) / (k * rest * spread).sqrt();
            let separated = u == 0.0 || u == k * rest;
            let mut log_p = tail::normal_two_sided(z).ln();
            if separated {
                // Exact for two sides that do not overlap: two of the n-over-k ways to choose the values before.
                log_p = log_p.min(std::f64::consts::LN_2 - log_choose(n, first));
            }
            if best.is_none_or(|(smallest, ..)| log_p < smallest) {
                best = Some((log_p, first, separated));
            }
        }
        let (log_p, index, separated) = best?;
        let before = median(&mut values[..index].to_vec())?;
        let after = median(&mut values[index..].to_vec())?;
        Some(Self { index, before, after, log_p, separated, splits })
    }

    /// Returns the median of the side on which the value at `index` lies.
    pub fn at(&self, index: usize) -> f64 {
        if index < self.index { self.before } else { self.after }
    }

    /// Returns the probability that a series without a step shows one as clear at any of its splits.
    ///
    /// `values` are those that were given to [`Step::locate`]. With `inflation` above 1 (see [`super::inflation()`])
    /// ranks prove little about a short side: therefore the size of a step whose sides do not overlap is tested against
    /// the spread about it as well, by Student's t on medians, and the smaller p-value counts.
    pub fn p_value(&self, values: &[f64], inflation: f64) -> f64 {
        let mut log_p = self.log_p / inflation;
        if self.separated {
            log_p = log_p.min(self.log_p_of_size(values, inflation));
        }
        (log_p + (self.splits as f64).ln()).exp().min(1.0)
    }

    /// Returns the logarithm of the p-value of the step's height, given the spread about it.
    ///
    /// The spread is measured about two medians that were fitted to few values, at the split that makes it look small.
    /// `FITTED` widens it for that. It and `LEAST_FREEDOM` are calibrated by simulation: at a level of 0.005, on 8 to
    /// 48 values without a step, at most 0.8 % of the series show one where neighbours correlate by 0.6, and 1.3 % at
    /// 0.8.
    fn log_p_of_size(&self, values: &[f64], inflation: f64) -> f64 {
        const FITTED: f64 = 8.0;
        const LEAST_FREEDOM: f64 = 3.0;
        // Of a normal distribution: standard deviation by median absolute deviation, 1/Φ⁻¹(3/4), and standard error of
        // a median by that of a mean, √(π/2).
        const FROM_MAD: f64 = 1.482_602_218_505_602;
        const OF_MEDIAN: f64 = 1.253_314_137_315_500_3;
        let mut distances: Vec<f64> = values.iter().enumerate().map(|(i, value)| (value - self.at(i)).abs()).collect();
        let spread = FROM_MAD * median(&mut distances).unwrap_or(0.0);
        if spread <= 0.0 {
            return 0.0;
        }
        let (k, rest) = (self.index as f64, (values.len() - self.index) as f64);
        let widened = spread * (1.0 + FITTED / (k + rest));
        let error = widened * OF_MEDIAN * (inflation * (1.0 / k + 1.0 / rest)).sqrt();
        let freedom = ((k + rest - 2.0) / inflation).max(LEAST_FREEDOM) as u32;
        tail::student_two_sided((self.after - self.before) / error, freedom).max(f64::MIN_POSITIVE).ln()
    }
}

/// Returns the logarithm of the number of ways to choose `k` of `n`.
fn log_choose(n: usize, k: usize) -> f64 {
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jitter(i: usize) -> f64 {
        ((i * 7919) % 101) as f64 / 1000.0
    }

    fn series(n: usize, level: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..n).map(|i| level(i) * (1.0 + jitter(i))).collect()
    }

    #[test]
    fn step_near_the_end_is_located() {
        let values = series(48, |i| if i < 44 { 1.0 } else { 10.0 });
        let step = Step::locate(&values).expect("48 values have splits");
        assert_eq!(step.index, 44);
        assert!(step.p_value(&values, 1.0) < 1e-3);
        assert!(step.p_value(&values, 4.0) < 1e-3, "a tenfold step is beyond any correlation");
    }

    #[test]
    fn three_outliers_are_not_a_step() {
        let values = series(48, |i| if i < 45 { 1.0 } else { 10.0 });
        let step = Step::locate(&values).expect("48 values have splits");
        assert!(step.p_value(&values, 1.0) > 0.01);
    }

    #[test]
    fn too_few_or_equal_values_have_no_step() {
        assert_eq!(Step::locate(&[1.0; 7]), None);
        assert_eq!(Step::locate(&[1.0; 20]), None);
    }
}
