//! [`standardise`]: means that do not depend on the mix of the traffic.
//!
//! When slow endpoints take a larger share of the requests, the mean over all requests rises although nothing got
//! slower. Here every bucket gets the same mix, that of the whole period: direct standardisation, by which demographers
//! compare death rates of populations of different ages (Kitagawa (1955), "Components of a difference between two
//! rates", JASA 50). The effect of the mix itself is crude minus standardised. It works for any ratio of a sum and a
//! count: response time, and error rate with errors for the sum.

/// The requests of one endpoint in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// Number of requests.
    pub count: u64,
    /// Sum of what is averaged over them: seconds, or number of errors.
    pub sum: f64,
}

/// The mean of one bucket over all endpoints, in both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedMean {
    /// Number of requests of all endpoints.
    pub count: u64,
    /// Mean with every endpoint at its share of the whole period.
    pub standardised: f64,
    /// Mean over the bucket's requests as they came.
    pub crude: f64,
}

/// Returns the mean of each of `buckets` over all endpoints; `None` for a bucket without requests.
///
/// Each of `endpoints` has one cell per bucket, oldest first; missing ones at the end count as empty. In a bucket in
/// which an endpoint was not called its mean over the whole period stands in, so that its absence changes nothing. A
/// value taken from the neighbouring buckets instead would count one call in all buckets around it, and interpolating
/// between two calls would make a trend out of two measurements.
///
/// ```
/// use pinchpoint::analysis::{Cell, standardise};
///
/// // Each endpoint is as fast as before, but the slow one is called more often.
/// let fast = [Cell { count: 90, sum: 9.0 }, Cell { count: 10, sum: 1.0 }];
/// let slow = [Cell { count: 10, sum: 10.0 }, Cell { count: 90, sum: 90.0 }];
/// let means = standardise(2, [&fast[..], &slow[..]]).into_iter().flatten();
/// let means: Vec<_> = means.map(|mean| (mean.crude, mean.standardised)).collect();
/// assert_eq!(means, [(0.19, 0.55), (0.91, 0.55)]);
/// ```
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

/// Adds `weight` times the mean of each cell to `totals`, and of an empty cell the mean of all `weight` requests.
fn add_filled(totals: &mut [f64], cells: &[Cell], weight: f64) {
    if weight == 0.0 {
        return;
    }
    let cells = &cells[..cells.len().min(totals.len())];
    let overall = cells.iter().map(|cell| cell.sum).sum::<f64>() / weight;
    for (bucket, total) in totals.iter_mut().enumerate() {
        let cell = cells.get(bucket).copied().unwrap_or_default();
        *total += weight * if cell.count > 0 { cell.sum / cell.count as f64 } else { overall };
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::trend::{Direction, Measure, Point, Trend},
        *,
    };

    fn cells(counts: &[u64], means: &[f64]) -> Vec<Cell> {
        counts.iter().zip(means).map(|(&count, &mean)| Cell { count, sum: count as f64 * mean }).collect()
    }

    #[test]
    fn changed_mix_moves_only_the_crude_mean() {
        let fast = cells(&[90, 50, 10], &[0.1, 0.1, 0.1]);
        let slow = cells(&[10, 50, 90], &[1.0, 1.0, 1.0]);
        let mixed: Vec<MixedMean> = standardise(3, [&fast[..], &slow[..]]).into_iter().flatten().collect();
        assert!(mixed.iter().all(|bucket| (bucket.standardised - 0.55).abs() < 1e-12), "{mixed:?}");
        assert!(mixed[0].crude < 0.2 && mixed[2].crude > 0.9);
    }

    #[test]
    fn slower_endpoint_moves_the_standardised_mean() {
        let one = cells(&[10, 10], &[0.1, 0.2]);
        let other = cells(&[10, 10], &[0.5, 0.5]);
        let mixed: Vec<MixedMean> = standardise(2, [&one[..], &other[..]]).into_iter().flatten().collect();
        assert!((mixed[1].standardised - mixed[0].standardised - 0.05).abs() < 1e-12);
    }

    #[test]
    fn endpoint_that_is_not_called_counts_with_its_mean() {
        let steady = cells(&[10; 5], &[0.1; 5]);
        let absent = cells(&[0, 10, 0, 10], &[0.0, 1.0, 0.0, 3.0]);
        let levels: Vec<f64> = standardise(5, [&steady[..], &absent[..]])
            .into_iter()
            .flatten()
            .map(|bucket| bucket.standardised)
            .collect();
        let expected = [2.0, 1.0, 2.0, 3.0, 2.0].map(|slow| (50.0 * 0.1 + 20.0 * slow) / 70.0);
        for (level, expected) in levels.iter().zip(expected) {
            assert!((level - expected).abs() < 1e-12, "{levels:?}");
        }
    }

    /// Judges 48 half hours: an endpoint of a hundred requests each at about 50 ms, and a rare one.
    fn beside_a_busy_endpoint(seed: u64, rare: &[Cell]) -> Trend {
        let mut state = seed.wrapping_mul(2) | 1;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        let busy: Vec<f64> = (0..48).map(|_| 0.05 * (1.0 + 0.1 * noise())).collect();
        let buckets = standardise(48, [&cells(&[100; 48], &busy)[..], rare]);
        let points: Vec<Point> = buckets
            .into_iter()
            .flatten()
            .zip(0_u32..)
            .map(|(mixed, i)| Point {
                at_seconds: f64::from(i) * 1800.0,
                value: mixed.standardised,
                weight: mixed.count as f64,
            })
            .collect();
        Trend::of(Measure::ResponseTime, &points)
    }

    fn called_at(times: &[(usize, u64, f64)]) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); 48];
        for &(bucket, count, mean) in times {
            cells[bucket] = Cell { count, sum: count as f64 * mean };
        }
        cells
    }

    #[test]
    fn one_slow_call_of_a_rare_endpoint_is_stable() {
        for slow in [0.5, 5.0, 60.0] {
            for rare in [vec![(0, 1, 0.3), (47, 1, slow)], vec![(0, 1, slow), (24, 1, 0.3)], vec![(20, 1, slow)]] {
                let direction = |seed: &u64| beside_a_busy_endpoint(*seed, &called_at(&rare)).direction();
                let wrong = (0..40).filter(|seed| direction(seed) != Direction::Stable).count();
                assert!(wrong <= 1, "{wrong} of 40, {rare:?}");
            }
        }
    }

    #[test]
    fn noise_of_a_job_of_three_calls_a_day_is_stable() {
        let calls = |seed: usize| {
            let at = [seed * 7 % 16, 16 + seed * 5 % 16, 32 + seed * 11 % 16];
            let durations = [[3.0, 5.0, 12.0], [9.0, 4.0, 2.0], [2.0, 14.0, 5.0]][seed % 3];
            at.into_iter().zip(durations).map(|(bucket, seconds)| (bucket, 1, seconds)).collect::<Vec<_>>()
        };
        let direction = |seed: &usize| beside_a_busy_endpoint(*seed as u64, &called_at(&calls(*seed))).direction();
        let wrong = (0..120).filter(|seed| direction(seed) != Direction::Stable).count();
        assert!(wrong <= 1, "{wrong} of 120");
    }

    #[test]
    fn rare_endpoint_that_gets_slower_is_degrading() {
        let step = |every: usize| {
            let calls: Vec<_> = (0..48).step_by(every).map(|at| (at, 5, if at < 24 { 0.3 } else { 3.0 })).collect();
            beside_a_busy_endpoint(1, &called_at(&calls)).direction()
        };
        assert_eq!([1, 2, 3].map(step), [Direction::Degrading; 3]);
    }

    #[test]
    fn bucket_without_requests_has_no_mean() {
        assert_eq!(standardise(2, [&cells(&[1, 0], &[1.0, 0.0])[..]])[1], None);
        assert_eq!(standardise(1, []), [None]);
    }
}
