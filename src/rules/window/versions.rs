//! What one version of a service leaves for the next: the latencies of its routes.

use std::collections::BTreeMap;

use super::{durations::Verdict, endpoints::request_verdict};
use crate::{
    analysis::{LatencyBucket, LatencyHistogram, RouteLatency},
    names,
    store::{HistogramSum, Window},
};

/// Returns the buckets with as many requests in them as there were: those of a window that has counted billions keep the
/// shape alone.
fn scaled(buckets: Vec<(f64, f64, u64)>, count: u64) -> Vec<LatencyBucket> {
    let counted: u64 = buckets.iter().map(|(.., count)| count).sum();
    let scale = if counted == 0 || counted == count { 1.0 } else { count as f64 / counted as f64 };
    let scaled = |(from, to, count): (f64, f64, u64)| (from, to, (count as f64 * scale).round() as u64);
    buckets.into_iter().map(scaled).map(LatencyBucket::from).collect()
}

/// Requests of one route.
#[derive(Default)]
struct Ended {
    served: HistogramSum,
    failed: u64,
    refused: u64,
}

impl Ended {
    fn requests(&self) -> u64 {
        self.served.count() + self.failed + self.refused
    }
}

/// Returns the latencies of every route of a window, of the requests that were served well, and how many were not. A
/// request that was cut short says how patient its client was, and counts for none.
pub(crate) fn latencies(window: &Window) -> Vec<RouteLatency> {
    let mut routes: BTreeMap<(&str, &str), Ended> = BTreeMap::new();
    for series in window.series(names::HTTP_DURATION.name) {
        let labels = series.label(names::METHOD).zip(series.label(names::ROUTE));
        let labels = labels.filter(|(_, route)| !route.is_empty() && *route != names::OTHER);
        let Some((labels, view)) = labels.zip(series.histogram()) else { continue };
        let ended = routes.entry(labels).or_default();
        match request_verdict(&series) {
            Verdict::Good => view.add_to(&mut ended.served),
            Verdict::Failed => ended.failed += view.count(),
            Verdict::Refused => ended.refused += view.count(),
            Verdict::Cancelled => {}
        }
    }
    let latency = |((method, route), ended): ((&str, &str), Ended)| RouteLatency {
        method: method.to_owned(),
        route: route.to_owned(),
        latency: LatencyHistogram {
            sum_seconds: ended.served.sum(),
            min_seconds: ended.served.min().unwrap_or(0.0),
            max_seconds: ended.served.max().unwrap_or(0.0),
            buckets: scaled(ended.served.buckets().collect(), ended.served.count()),
        },
        failed: ended.failed,
        refused: ended.refused,
    };
    routes.into_iter().filter(|(_, ended)| ended.requests() > 0).map(latency).collect()
}
