//! Two samples of points, compared by ranks.

/// What a comparison of two samples says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RankTest {
    /// Typical difference, second sample minus first: the median of all pairwise ones (Hodges–Lehmann).
    pub(super) shift: f64,
    /// Chance of a difference as large as this if there is none (Mann–Whitney, two-sided).
    pub(super) p_value: f64,
}

/// Compares two samples that are series in time; `None` with fewer than [`FEWEST`] values in either.
pub(super) fn rank_test(first: &[f64], second: &[f64]) -> Option<RankTest> {
    if first.len() < FEWEST || second.len() < FEWEST {
        return None;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|value| (*value, false)).chain(second.iter().map(|value| (*value, true))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties) = (0.0, 0.0);
    let mut start = 0;
    while start < all.len() {
        let end = start + all[start..].iter().take_while(|(value, _)| *value == all[start].0).count();
        let count = (end - start) as f64;
        let rank = (start + 1 + end) as f64 / 2.0;
        rank_sum += rank * all[start..end].iter().filter(|(_, is_second)| *is_second).count() as f64;
        ties += count.powi(3) - count;
        start = end;
    }
    let u = rank_sum - m * (m + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let p_value = if variance <= 0.0 {
        1.0
    } else {
        let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
        // Values that follow their neighbours carry less than so many independent ones.
        let inflation = inflation(first).max(inflation(second));
        2.0 * upper_tail(distance / (variance * inflation).sqrt())
    };
    Some(RankTest { shift: shift(first, second), p_value: p_value.min(1.0) })
}

/// Fewer points than this tell nothing.
pub(super) const FEWEST: usize = 5;

/// The p-value of so many values that are all above so many others: no test of them says less.
pub(super) fn least_p_value(first: usize, second: usize) -> f64 {
    let (n, m) = (first as f64, second as f64);
    let distance = (n * m / 2.0 - 0.5).max(0.0);
    let variance = n * m * (n + m + 1.0) / 12.0;
    if variance <= 0.0 { 1.0 } else { 2.0 * upper_tail(distance / variance.sqrt()) }
}

fn shift(first: &[f64], second: &[f64]) -> f64 {
    let mut differences: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| b - a)).collect();
    median(&mut differences)
}

/// The median; 0 without values.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// By how much the variance of a mean grows when each value resembles the one before it: (1 + r) / (1 − r).
fn inflation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if variance <= 0.0 {
        return 1.0;
    }
    let products: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    // The estimate from a short series is too low by about 1/n.
    let correlation = (products / variance + 1.0 / n).clamp(0.0, 0.9);
    (1.0 + correlation) / (1.0 - correlation)
}

/// Chance that a standard normal value is above `z`, by the continued-fraction form of the error function.
fn upper_tail(z: f64) -> f64 {
    // Abramowitz and Stegun 7.1.26 on erfc(z / √2): absolute error below 1.5e-7.
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    0.5 * poly * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_that_of_the_normal_distribution() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.158_655), (1.959_964, 0.025), (3.0, 0.001_349_9)] {
            assert!((upper_tail(z) - expected).abs() < 1e-6, "{z}: {}", upper_tail(z));
        }
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.mannwhitneyu(first, second, method="asymptotic"), SciPy 1.x. Neighbours are unlike here, so that the
        // correction for drifts, which SciPy does not have, is none.
        let check = |first: &[f64], second: &[f64], p_value: f64, shift: f64| {
            let test = rank_test(first, second).unwrap();
            assert!((test.p_value - p_value).abs() < 1e-5, "{}", test.p_value);
            assert!((test.shift - shift).abs() < 1e-9, "{}", test.shift);
        };
        check(&[1.1, 2.9, 1.3, 3.1, 1.2, 3.0], &[3.5, 2.0, 4.1, 2.2, 4.0, 3.3], 0.065_552_16, 1.0);
        check(&[1.0, 5.0, 1.0, 5.0, 2.0, 5.0, 1.0], &[3.0, 6.0, 3.0, 6.0, 2.0, 6.0, 3.0], 0.134_221_42, 1.0);
    }

    #[test]
    fn no_p_value_is_below_the_least() {
        let (low, high) = ([1.0, 3.0, 2.0, 4.0, 1.5], [11.0, 13.0, 12.0, 14.0, 11.5, 12.5]);
        let test = rank_test(&low, &high).unwrap();
        let least = least_p_value(low.len(), high.len());
        assert!(test.p_value >= least && least < 0.01, "{} {least}", test.p_value);
        // Two endpoints make six comparisons, and five points cannot show anything in them.
        assert!(least_p_value(5, 5) * 6.0 > 0.05 && least_p_value(6, 6) * 6.0 < 0.05);
        assert_eq!(least_p_value(0, 9), 1.0);
    }

    #[test]
    fn equal_values_are_no_difference() {
        let test = rank_test(&[1.0; 10], &[1.0; 10]).unwrap();
        assert_eq!((test.shift, test.p_value), (0.0, 1.0));
        assert_eq!(rank_test(&[1.0; 4], &[1.0; 10]), None);
    }

    #[test]
    fn a_drift_is_less_evidence_than_independent_values() {
        let drifting: Vec<f64> = (0..30).map(f64::from).collect();
        let jumping: Vec<f64> = (0..30).map(|n| f64::from((n * 7) % 30)).collect();
        let other: Vec<f64> = jumping.iter().map(|value| value + 12.0).collect();
        let p = |first: &[f64]| rank_test(first, &other).unwrap().p_value;
        assert!(p(&drifting) > p(&jumping));
    }
}
