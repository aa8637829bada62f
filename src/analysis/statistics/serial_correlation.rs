//! [`inflation`]: by how much serial correlation widens the variance of a test.
//!
//! Owns the one formula for it: trends of minutes and comparisons of two load tests both correct by it. A wrong formula
//! shows in how often a test finds something in series in which nothing changes, so a simulation chose it. The series
//! are first-order autoregressive ones of standard deviation 1; ρ is the correlation of neighbours. The candidates are
//! no correction, the textbook factor (1 + r)/(1 − r) that load tests once used, and [`inflation`].
//!
//! Two series compared by ranks; percent called different at 5 %:
//!
//! | values of each | ρ = 0, 0.3, 0.6, 0.9: none | textbook | `inflation` | found, one is higher by 2: textbook | `inflation` |
//! |--:|---|---|---|---|---|
//! | 8 | 3, 10, 26, 62 | 1, 4, 7, 13 | 1, 3, 6, 10 | 70, 50, 35, 23 | 67, 42, 24, 15 |
//! | 12 | 4, 14, 29, 66 | 2, 4, 6, 13 | 2, 4, 5, 7 | 93, 73, 47, 26 | 92, 66, 34, 15 |
//! | 30 | 4, 14, 30, 66 | 2, 4, 4, 10 | 2, 3, 4, 5 | 100, 100, 87, 37 | 100, 100, 79, 18 |
//! | 120 | 5, 15, 31, 64 | 4, 4, 4, 6 | 4, 4, 4, 3 | 100, 100, 100, 93 | 100, 100, 100, 66 |
//!
//! One series tested for a trend (Mann–Kendall, residuals of the Theil–Sen line); percent called rising or falling at 1
//! %:
//!
//! | values | ρ = 0, 0.3, 0.6, 0.9: none | textbook | `inflation` | found, it rises by 3: textbook | `inflation` |
//! |--:|---|---|---|---|---|
//! | 8 | 1, 2, 5, 14 | 1, 1, 3, 8 | 0, 1, 2, 4 | 7, 10, 16, 40 | 5, 6, 9, 20 |
//! | 24 | 1, 4, 15, 44 | 1, 2, 4, 10 | 0, 1, 2, 3 | 77, 55, 35, 35 | 59, 31, 15, 12 |
//! | 72 | 1, 5, 18, 52 | 1, 2, 2, 5 | 0, 1, 1, 1 | 100, 99, 78, 32 | 100, 96, 55, 10 |
//!
//! The textbook factor finds more, but where neighbours correlate by 0.9 it is wrong up to three times as often as a 5
//! % level promises, and five to ten times as often as a 1 % level does. A false alarm of a monitor or of a build costs
//! trust, and a change that is missed now is found once it has lasted longer; therefore [`inflation`].
//!
//! Two series are corrected together ([`inflation_of_two`]). With a factor for each of them, of which the larger
//! counts, a difference of 2 standard deviations between twelve and twelve independent values is found in 55 % of the
//! cases instead of 92 %.
//!
//! `cargo test -p pinchpoint --lib serial_correlation -- --ignored --nocapture` prints both tables.

use super::ranks::midranks;

/// Fewest residuals whose correlation is estimated: with fewer, the correction of the bias, n/(n − 4), would more than
/// double the estimate.
const FEWEST: usize = 8;
/// Highest correlation that the factor is computed for, which keeps it below 39: a series that is more correlated is a
/// line or a step.
const HIGHEST: f64 = 0.95;

/// Returns by how much positive serial correlation of `residuals` inflates the variance of a test on their series.
///
/// `residuals` are what is left of a series without its trend, step or mean, in the order of time. The factor is at
/// least 1, and below both 39 and the number of residuals; 1 for fewer than eight residuals, where all are equal, and
/// where neighbours alternate. It is that of a first-order autoregressive process, 1 + 2·Σ(1 − k/n)·ρᵏ (Bayley and
/// Hammersley (1946), "The 'effective' number of independent observations in an autocorrelated time series"; applied to
/// the Mann–Kendall test by Yue and Wang (2004), "The Mann-Kendall test modified by effective sample size to detect
/// trend in serially correlated hydrological series").
///
/// ρ is the lag-one correlation of ranks, corrected for its bias (Kendall (1954), "Note on bias in the estimation of
/// autocorrelation"), plus one standard error, 1/√n: residuals of a fitted shape look less correlated than they are,
/// and a correction that is made only where the estimate is significant took waves for trends in up to 10 % of the
/// short series. The correction of Hamed and Rao (1998) sums over all lags; such a noisy sum can fall below zero and
/// shrink the variance, so that on 12 to 48 independent values it gives 3.5 % of false alarms at a level of 1 %.
///
/// ```
/// use pinchpoint::analysis::statistics::inflation;
///
/// let wave: Vec<f64> = (0..48).map(|i| (f64::from(i) / 8.0).sin()).collect();
/// assert!(inflation(&wave) > 5.0, "48 values of a slow wave count for fewer than ten");
/// let alternating: Vec<f64> = (0..48).map(|i| f64::from(i % 2)).collect();
/// assert_eq!(inflation(&alternating), 1.0);
/// ```
pub fn inflation(residuals: &[f64]) -> f64 {
    let n = residuals.len() as f64;
    if residuals.len() < FEWEST {
        return 1.0;
    }
    let ranks = midranks(residuals);
    let mean = (n + 1.0) / 2.0;
    let spread: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    if spread == 0.0 {
        return 1.0;
    }
    let lagged: f64 = ranks.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = ((1.0 + n * lagged / spread) / (n - 4.0) + 1.0 / n.sqrt()).clamp(0.0, HIGHEST);
    let (mut sum, mut power) = (0.0, 1.0);
    for lag in 1..residuals.len() {
        power *= correlation;
        sum += (1.0 - lag as f64 / n) * power;
    }
    1.0 + 2.0 * sum
}

/// Returns by how much serial correlation inflates the variance of a test that compares two series.
///
/// It is the [`inflation`] of both, one after the other, each without its own median, so that a difference between them
/// does not count as correlation. Both are in the order of time; 1 for fewer than eight values together.
pub fn inflation_of_two(first: &[f64], second: &[f64]) -> f64 {
    let around_median = |values: &[f64]| {
        let middle = super::median(&mut values.to_vec()).unwrap_or(0.0);
        values.iter().map(|value| value - middle).collect::<Vec<f64>>()
    };
    inflation(&[around_median(first), around_median(second)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::statistics::{MannKendall, RankSum, TheilSen};

    #[test]
    fn slow_waves_inflate_the_variance_and_alternating_values_do_not() {
        let smooth: Vec<f64> = (0..48).map(|i| (f64::from(i) / 8.0).sin()).collect();
        assert!(inflation(&smooth) > 5.0);
        let alternating: Vec<f64> = (0..48).map(|i| f64::from(i % 2)).collect();
        assert_eq!(inflation(&alternating), 1.0);
        assert_eq!(inflation(&[1.0; 48]), 1.0);
        assert_eq!(inflation(&smooth[..7]), 1.0);
    }

    #[test]
    fn a_difference_between_two_series_does_not_count_as_correlation() {
        let jumping: Vec<f64> = (0..30).map(|i| f64::from((i * 7) % 30)).collect();
        let higher: Vec<f64> = jumping.iter().map(|value| value + 1000.0).collect();
        assert_eq!(inflation_of_two(&jumping, &higher), inflation_of_two(&jumping, &jumping));
        assert!(inflation(&[&jumping[..], &higher[..]].concat()) > 10.0);
    }

    /// Numbers that are the same on every run (SplitMix64), nearly normal: the sum of twelve uniform ones.
    struct Normal(u64);

    impl Normal {
        fn next(&mut self) -> f64 {
            let uniform = |state: &mut u64| {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
            };
            (0..12).map(|_| uniform(&mut self.0)).sum::<f64>() - 6.0
        }

        /// A first-order autoregressive series of standard deviation 1.
        fn series(&mut self, length: usize, correlation: f64) -> Vec<f64> {
            let innovation = (1.0 - correlation * correlation).sqrt();
            let mut value = self.next();
            std::iter::repeat_with(|| {
                value = correlation * value + innovation * self.next();
                value
            })
            .take(length)
            .collect()
        }
    }

    /// The factor that load tests once used: (1 + r)/(1 − r), r corrected for the bias of a short series.
    fn textbook(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let lagged: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        let correlation = (lagged / spread + 1.0 / n).clamp(0.0, 0.9);
        (1.0 + correlation) / (1.0 - correlation)
    }

    /// P-values without a correction, with the textbook's and with [`inflation`].
    type PValues = [f64; 3];

    fn compared(random: &mut Normal, length: usize, correlation: f64, difference: f64) -> PValues {
        let first = random.series(length, correlation);
        let second: Vec<f64> = random.series(length, correlation).iter().map(|value| value + difference).collect();
        let test = RankSum::of_values(&first, &second).expect("neither is empty");
        let factors = [1.0, textbook(&first).max(textbook(&second)), inflation_of_two(&first, &second)];
        factors.map(|factor| test.p_value(factor))
    }

    fn trend(random: &mut Normal, length: usize, correlation: f64, rise: f64) -> PValues {
        let x: Vec<f64> = (0..length).map(|i| i as f64 / length as f64).collect();
        let y: Vec<f64> = random.series(length, correlation).iter().zip(&x).map(|(y, x)| y + rise * x).collect();
        let test = MannKendall::of(&y);
        let line = TheilSen::fit(&x, &y, &test, 1.0).expect("times differ");
        let residuals: Vec<f64> = x.iter().zip(&y).map(|(&x, y)| y - line.at(x)).collect();
        [1.0, textbook(&residuals), inflation(&residuals)].map(|factor| test.p_value(factor))
    }

    type Simulated = fn(&mut Normal, usize, f64, f64) -> PValues;

    /// Returns in how many percent of `count` cases each p-value is below `level`.
    fn percent(count: usize, level: f64, mut simulated: impl FnMut(&mut Normal) -> PValues) -> [f64; 3] {
        let mut random = Normal(42);
        let mut below = [0.0; 3];
        for _ in 0..count {
            for (below, p_value) in below.iter_mut().zip(simulated(&mut random)) {
                *below += if p_value < level { 100.0 / count as f64 } else { 0.0 };
            }
        }
        below
    }

    /// Fails unless [`inflation`] gives at most `most` percent of false alarms at `level`.
    #[track_caller]
    fn check(simulated: Simulated, level: f64, length: usize, correlation: f64, most: f64) {
        let [_, _, ours] = percent(400, level, |random| simulated(random, length, correlation, 0.0));
        assert!(ours <= most, "{length} values, correlation {correlation}: {ours} %");
    }

    #[test]
    fn two_series_of_one_process_are_rarely_called_different() {
        for length in [12, 30, 120] {
            check(compared, 0.05, length, 0.0, 5.0);
            check(compared, 0.05, length, 0.3, 6.0);
            check(compared, 0.05, length, 0.6, 7.0);
        }
        check(compared, 0.05, 12, 0.9, 11.0);
        check(compared, 0.05, 30, 0.9, 7.0);
        check(compared, 0.05, 120, 0.9, 5.0);
    }

    #[test]
    fn a_series_without_a_trend_rarely_has_one() {
        for length in [8, 24, 48] {
            check(trend, 0.01, length, 0.0, 2.0);
            check(trend, 0.01, length, 0.3, 2.0);
            check(trend, 0.01, length, 0.6, 3.0);
            check(trend, 0.01, length, 0.9, 6.0);
        }
    }

    #[test]
    #[ignore = "prints the tables of the module's documentation; takes two minutes"]
    #[expect(clippy::print_stdout, reason = "the output is what the test is for")]
    fn print_the_tables_of_the_documentation() {
        let print = |simulated: Simulated, level: f64, length: usize, change: f64| {
            let cell = |change: f64, which: usize| {
                let at = |correlation| percent(2000, level, |random| simulated(random, length, correlation, change));
                [0.0, 0.3, 0.6, 0.9].map(|correlation| format!("{:.0}", at(correlation)[which])).join(", ")
            };
            let cells = [cell(0.0, 0), cell(0.0, 1), cell(0.0, 2), cell(change, 1), cell(change, 2)];
            println!("| {length} | {} |", cells.join(" | "));
        };
        for length in [8, 12, 30, 120] {
            print(compared, 0.05, length, 2.0);
        }
        for length in [8, 24, 72] {
            print(trend, 0.01, length, 3.0);
        }
    }
}
