//! A profile of one endpoint, as it is written.

use serde::{Deserialize, Serialize};

use crate::record::RankedLatencies;

/// What a number of single requests says; times in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Profile {
    /// Requests that count.
    pub(crate) iterations: u64,
    /// Requests before them.
    pub(crate) warm_up: u64,
    pub(crate) mean: f64,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) standard_deviation: f64,
    /// The mean of such profiles lies in it 95 times of 100; absent below two requests.
    pub(crate) confidence_interval_95: Option<(f64, f64)>,
    pub(crate) p75: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
}

impl Profile {
    /// From the latencies of the requests.
    pub(crate) fn new(ranked: &RankedLatencies, warm_up: u64) -> Self {
        let at = |q| super::round_micros(ranked.quantile_seconds(q));
        let count = ranked.count();
        let interval = ranked.mean_seconds().zip(ranked.standard_deviation_seconds()).map(|(mean, deviation)| {
            let half = student_t_975(count - 1) * deviation / (count as f64).sqrt();
            (super::round_micros(Some((mean - half).max(0.0))), super::round_micros(Some(mean + half)))
        });
        Self {
            iterations: count,
            warm_up,
            mean: super::round_micros(ranked.mean_seconds()),
            median: at(0.5),
            min: super::round_micros(ranked.min_seconds()),
            max: super::round_micros(ranked.max_seconds()),
            standard_deviation: super::round_micros(ranked.standard_deviation_seconds()),
            confidence_interval_95: interval,
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// The 97.5 % quantile of Student's distribution.
fn student_t_975(degrees: u64) -> f64 {
    const SMALL: [f64; 7] = [12.706_2, 4.302_65, 3.182_45, 2.776_45, 2.570_58, 2.446_91, 2.364_62];
    let n = degrees as f64;
    match usize::try_from(degrees) {
        Ok(0) => f64::INFINITY,
        Ok(small @ 1..=7) => SMALL[small - 1],
        _ => {
            // Expansion around the normal quantile (Abramowitz and Stegun 26.7.5): within 0.001 from eight degrees on.
            let z: f64 = 1.959_964;
            z + (z.powi(3) + z) / (4.0 * n)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
                + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [(1, 12.706), (5, 2.571), (6, 2.447), (10, 2.228), (30, 2.042), (100, 1.984)] {
            assert!((student_t_975(degrees) - expected).abs() < 0.001, "{degrees}: {}", student_t_975(degrees));
        }
    }
}
