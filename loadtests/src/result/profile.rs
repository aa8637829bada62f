//! [`Profile`]: one endpoint, measured by single requests.

use pinchpoint::analysis::statistics::tail::student_95;
use serde::{Deserialize, Serialize};

use super::{round_micros, some_micros};
use crate::record::RankedLatencies;

/// Degrees of freedom from which Student's distribution is the normal one to four digits; its series has a term for each.
const MOST_FREEDOM: u64 = 10_000;

/// The numbers of single requests, one after another; times in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Profile {
    /// Requests that were measured.
    pub(crate) iterations: u64,
    /// Requests before them, which were not.
    pub(crate) warm_up: u64,
    /// Times are `None`, which is `null`, without requests.
    pub(crate) mean: Option<f64>,
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// `None` below two requests.
    pub(crate) standard_deviation: Option<f64>,
    /// Interval that contains the true mean in 95 of 100 such profiles, by Student's t; absent below two requests.
    pub(crate) confidence_interval_95: Option<(f64, f64)>,
    pub(crate) p75: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Profile {
    /// Computes the profile of the measured requests.
    pub(crate) fn new(ranked: &RankedLatencies, warm_up: u64) -> Self {
        let at = |q| some_micros(ranked.quantile_seconds(q));
        let count = ranked.count();
        let interval = ranked.mean_seconds().zip(ranked.standard_deviation_seconds()).map(|(mean, deviation)| {
            let half = student_95((count - 1).min(MOST_FREEDOM) as u32) * deviation / (count as f64).sqrt();
            (round_micros(Some((mean - half).max(0.0))), round_micros(Some(mean + half)))
        });
        Self {
            iterations: count,
            warm_up,
            mean: some_micros(ranked.mean_seconds()),
            median: at(0.5),
            min: some_micros(ranked.min_seconds()),
            max: some_micros(ranked.max_seconds()),
            standard_deviation: some_micros(ranked.standard_deviation_seconds()),
            confidence_interval_95: interval,
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}
