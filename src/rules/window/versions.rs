//! [`latencies`]: the latencies of every route, which one version of a service stores for the next.

use std::collections::BTreeMap;

use super::endpoints::labels_of;
use crate::{
    analysis::{LatencyBucket, LatencyHistogram, RouteLatency},
    names,
    store::{HistogramSum, OutcomeClass, Window},
};

/// Returns the buckets with their counts scaled to add up to `count`: after billions of requests a window's buckets
/// hold only the proportions.
fn scaled(buckets: Vec<(f64, f64, u64)>, count: u64) -> Vec<LatencyBucket> {
    let counted: u64 = buckets.iter().map(|(.., count)| count).sum();
    let scale = if counted == 0 || counted == count { 1.0 } else { count as f64 / counted as f64 };
    let scaled = |(from, to, count): (f64, f64, u64)| (from, to, (count as f64 * scale).round() as u64);
    buckets.into_iter().map(scaled).map(LatencyBucket::from).collect()
}

/// The requests of one route.
#[derive(Default)]
struct RouteTally {
    succeeded: HistogramSum,
    failed: u64,
    refused: u64,
}

impl RouteTally {
    fn requests(&self) -> u64 {
        self.succeeded.count() + self.failed + self.refused
    }
}

/// Returns the latencies of the successful requests of every route of a window, and the numbers of failed and refused
/// ones. Cancelled requests are left out: their durations show the patience of the client.
pub(crate) fn latencies(window: &Window) -> Vec<RouteLatency> {
    let mut routes: BTreeMap<(&str, &str), RouteTally> = BTreeMap::new();
    for series in window.series(names::HTTP_DURATION.name) {
        let Some((labels, view)) = labels_of(&series).zip(series.histogram()) else { continue };
        let tally = routes.entry(labels).or_default();
        match series.facts.class {
            OutcomeClass::Success => view.add_to(&mut tally.succeeded),
            OutcomeClass::Failure => tally.failed += view.count(),
            OutcomeClass::Refusal => tally.refused += view.count(),
            OutcomeClass::Cancellation => {}
        }
    }
    let latency = |((method, route), tally): ((&str, &str), RouteTally)| RouteLatency {
        method: method.to_owned(),
        route: route.to_owned(),
        latency: LatencyHistogram {
            sum_seconds: tally.succeeded.sum(),
            min_seconds: tally.succeeded.min().unwrap_or(0.0),
            max_seconds: tally.succeeded.max().unwrap_or(0.0),
            buckets: scaled(tally.succeeded.buckets().collect(), tally.succeeded.count()),
        },
        failed: tally.failed,
        refused: tally.refused,
    };
    routes.into_iter().filter(|(_, tally)| tally.requests() > 0).map(latency).collect()
}
