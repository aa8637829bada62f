//! P-values adjusted for having asked several questions at once.

/// Adjusts p-values so that the chance of even one false answer stays at the level.
///
/// Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6. The
/// result is in the order of the input, and no adjusted value exceeds 1.
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

/// Adjusts p-values so that a chosen share of the answers, not the chance of one, may be false.
///
/// Benjamini and Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57.
/// The result is in the order of the input.
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
