//! [`median`] and [`hodges_lehmann`]: the middle of a sample, and of the distance between two.

/// Returns the median of `values`, or `None` when there are none.
///
/// Of an even number of values it is the mean of the middle two. Reorders `values` in place, in linear time, so that no
/// copy is made.
///
/// ```
/// use pinchpoint::analysis::statistics::median;
/// assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
/// ```
pub fn median(values: &mut [f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).expect("an even, positive length has a lower half");
    Some(f64::midpoint(lower, upper))
}

/// Returns how far `second` lies above `first`, in the unit of the values; `None` when one of them is empty.
///
/// It is the median of the differences of all pairs: negative where `second` lies below. Hodges and Lehmann (1963),
/// "Estimates of location based on rank tests", Annals of Mathematical Statistics 34. The estimate belongs to
/// Mann–Whitney's test ([`super::RankSum`]), and unlike the difference of the two medians it uses every value. Keeps
/// one number for each pair, so it suits samples of up to a few thousand values.
///
/// ```
/// use pinchpoint::analysis::statistics::hodges_lehmann;
/// assert_eq!(hodges_lehmann(&[1.0, 2.0, 3.0], &[2.0, 6.0, 11.0]), Some(4.0));
/// ```
pub fn hodges_lehmann(first: &[f64], second: &[f64]) -> Option<f64> {
    let mut differences: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| b - a)).collect();
    median(&mut differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&mut [9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn distance_of_two_samples_is_the_median_of_all_pairs() {
        // The nine differences are -1, 0, 1, 3, 4, 5, 8, 9 and 10.
        assert_eq!(hodges_lehmann(&[1.0, 2.0, 3.0], &[2.0, 6.0, 11.0]), Some(4.0));
        assert_eq!(hodges_lehmann(&[1.0, 5.0], &[101.0, 105.0]), Some(100.0));
        assert_eq!(hodges_lehmann(&[], &[1.0]), None);
    }
}
