//! What one version of a service leaves for the next: the latencies of its routes.

use std::collections::BTreeMap;

use super::{
    compare::{LatencyBucket, LatencyHistogram, RouteLatency},
    durations::Verdict,
    summary::request_verdict,
};
use crate::{
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

/// Returns the latencies of every route of a window. A request that was cut short says how patient its client was, and
/// counts for none.
pub(crate) fn latencies(window: &Window) -> Vec<RouteLatency> {
    let mut routes: BTreeMap<(&str, &str), HistogramSum> = BTreeMap::new();
    for series in window.series(names::HTTP_DURATION.name) {
        let labels = series.label(names::METHOD).zip(series.label(names::ROUTE));
        let labels = labels.filter(|(_, route)| !route.is_empty() && *route != names::OTHER);
        let of_whole_requests = request_verdict(&series) != Verdict::Cancelled;
        if let Some((labels, view)) = labels.zip(series.histogram()).filter(|_| of_whole_requests) {
            view.add_to(routes.entry(labels).or_default());
        }
    }
    let latency = |((method, route), sum): ((&str, &str), HistogramSum)| RouteLatency {
        method: method.to_owned(),
        route: route.to_owned(),
        latency: LatencyHistogram {
            sum_seconds: sum.sum(),
            min_seconds: sum.min().unwrap_or(0.0),
            max_seconds: sum.max().unwrap_or(0.0),
            buckets: scaled(sum.buckets().collect(), sum.count()),
        },
    };
    routes.into_iter().filter(|(_, sum)| sum.count() > 0).map(latency).collect()
}
