//! [`midranks`] and [`tie_sizes`]: ranks with ties, from which every rank test here is computed.

/// Returns the rank of each value, from 1, in the order of the input; equal values share the mean of their ranks.
///
/// ```
/// use pinchpoint::analysis::statistics::midranks;
/// assert_eq!(midranks(&[10.0, 5.0, 10.0, 7.0]), [3.5, 1.0, 3.5, 2.0]);
/// ```
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        before += tied.len();
        for &index in tied {
            ranks[index] = shared;
        }
    }
    ranks
}

/// Returns the size of each group of equal values, the lowest values first; a value without an equal is a group of 1.
///
/// The sizes add up to the number of values.
pub fn tie_sizes(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(midranks(&[10.0, 5.0, 10.0, 7.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(tie_sizes(&[1.0, 2.0, 1.0]), [2, 1]);
    }
}
