//! Means freed from the mix of the traffic.
//!
//! When slow endpoints take a larger share of the requests, the mean over all requests rises although nothing got
//! slower. Here every bucket is given the same mix, that of the whole period: direct standardisation, as demographers
//! compare death rates of populations of different ages (Kitagawa (1955), "Components of a difference between two
//! rates", JASA 50). What it leaves out, the effect of the mix itself, is crude minus standardised. It works for any
//! ratio of a sum and a count: response time, and error rate with errors for the sum.

/// What one endpoint did in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// Requests.
    pub count: u64,
    /// Sum of what is averaged over them: seconds, or errors.
    pub sum: f64,
}

/// One bucket, averaged over all endpoints in both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedMean {
    /// Requests of all endpoints.
    pub count: u64,
    /// Mean with every endpoint at its share of the whole period.
    pub standardised: f64,
    /// Mean over the bucket's requests as they came.
    pub crude: f64,
}

/// Averages each bucket over all endpoints; `None` for a bucket without requests.
///
/// Each of `endpoints` has one cell per bucket, oldest first; shorter ones are taken as empty at the end. An endpoint
/// that was not called in a bucket keeps the mean between its neighbouring buckets (or that of the nearest one), so that
/// its absence neither speeds the bucket up nor slows it down.
pub fn standardise<'a>(buckets: usize, endpoints: impl IntoIterator<Item = &'a [Cell]>) -> Vec<Option<MixedMean>> {
    let mut counts = vec![0_u64; buckets];
    let mut sums = vec![0.0; buckets];
    let mut weighted = vec![0.0; buckets];
    let mut total = 0_u64;
    for cells in endpoints {
        let share: u64 = cells.iter().take(buckets).map(|cell| cell.count).sum();
        total += share;
        for (bucket, cell) in cells.iter().take(buckets).enumerate() {
            counts[bucket] += cell.count;
            sums[bucket] += cell.sum;
        }
        add_filled(&mut weighted, cells, share as f64);
    }
    (0..buckets)
        .map(|bucket| {
            (counts[bucket] > 0).then(|| MixedMean {
                count: counts[bucket],
                standardised: weighted[bucket] / total as f64,
                crude: sums[bucket] / counts[bucket] as f64,
            })
        })
        .collect()
}

/// Adds `weight` times the mean of each cell to `totals`, with the gaps filled from both sides.
fn add_filled(totals: &mut [f64], cells: &[Cell], weight: f64) {
    let mut known: Option<(usize, f64)> = None;
    for (bucket, cell) in cells.iter().take(totals.len()).enumerate().filter(|(_, cell)| cell.count > 0) {
        let mean = cell.sum / cell.count as f64;
        let (from, start) = known.map_or((0, mean), |(last, value)| (last + 1, value));
        let steps = (bucket + 1 - from) as f64;
        for (offset, slot) in totals[from..=bucket].iter_mut().enumerate() {
            *slot += weight * (start + (mean - start) * (offset + 1) as f64 / steps);
        }
        known = Some((bucket, mean));
    }
    if let Some((last, mean)) = known {
        totals[last + 1..].iter_mut().for_each(|slot| *slot += weight * mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(counts: &[u64], means: &[f64]) -> Vec<Cell> {
        counts.iter().zip(means).map(|(&count, &mean)| Cell { count, sum: count as f64 * mean }).collect()
    }

    #[test]
    fn change_of_mix_moves_the_crude_mean_only() {
        let fast = cells(&[90, 50, 10], &[0.1, 0.1, 0.1]);
        let slow = cells(&[10, 50, 90], &[1.0, 1.0, 1.0]);
        let mixed: Vec<MixedMean> = standardise(3, [&fast[..], &slow[..]]).into_iter().flatten().collect();
        assert!(mixed.iter().all(|bucket| (bucket.standardised - 0.55).abs() < 1e-12), "{mixed:?}");
        assert!(mixed[0].crude < 0.2 && mixed[2].crude > 0.9);
    }

    #[test]
    fn slower_endpoint_moves_both() {
        let one = cells(&[10, 10], &[0.1, 0.2]);
        let other = cells(&[10, 10], &[0.5, 0.5]);
        let mixed: Vec<MixedMean> = standardise(2, [&one[..], &other[..]]).into_iter().flatten().collect();
        assert!((mixed[1].standardised - mixed[0].standardised - 0.05).abs() < 1e-12);
    }

    #[test]
    fn absent_endpoint_keeps_its_neighbours_mean() {
        let steady = cells(&[10; 5], &[0.1; 5]);
        let absent = cells(&[0, 10, 0, 10, 0], &[0.0, 1.0, 0.0, 3.0, 0.0]);
        let levels: Vec<f64> = standardise(5, [&steady[..], &absent[..]])
            .into_iter()
            .flatten()
            .map(|bucket| bucket.standardised)
            .collect();
        let expected = [1.0, 1.0, 2.0, 3.0, 3.0].map(|slow| (50.0 * 0.1 + 20.0 * slow) / 70.0);
        for (level, expected) in levels.iter().zip(expected) {
            assert!((level - expected).abs() < 1e-12, "{levels:?}");
        }
    }

    #[test]
    fn bucket_without_requests_has_no_mean() {
        assert_eq!(standardise(2, [&cells(&[1, 0], &[1.0, 0.0])[..]])[1], None);
        assert_eq!(standardise(1, []), [None]);
    }
}
