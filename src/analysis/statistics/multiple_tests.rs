//! [`holm`] and [`benjamini_hochberg`]: p-values adjusted for several tests at once.

/// Returns the p-values adjusted so that the probability of even one false alarm stays below the level.
///
/// The result is in the order of the input; no adjusted value exceeds 1, and a single p-value stays what it is. Holm
/// (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6. It holds
/// whatever the tests have to do with one another.
///
/// ```
/// use pinchpoint::analysis::statistics::holm;
/// assert_eq!(holm(&[0.25, 0.0625]), [0.25, 0.125]);
/// ```
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

/// Returns the p-values adjusted so that the expected share of false alarms among all alarms stays below the level.
///
/// Finds more than [`holm`], at the price that some alarm is false more often. The result is in the order of the input,
/// and no adjusted value exceeds 1. Benjamini and Hochberg (1995), "Controlling the false discovery rate", Journal of
/// the Royal Statistical Society B 57; for tests that are independent or depend on one another positively.
///
/// ```
/// use pinchpoint::analysis::statistics::benjamini_hochberg;
/// assert_eq!(benjamini_hochberg(&[0.25, 0.0625, 0.125]), [0.25, 0.1875, 0.1875]);
/// ```
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
