//! [`EndpointResult`]: the numbers of one endpoint, or of all together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{Distribution, EndpointTally, Latency, Outcome, Point, RankedLatencies, Series};

/// The brief's fields first, then further ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct EndpointResult {
    /// Path, or `*` for all together.
    pub(crate) endpoint: String,
    /// Method, or `*`.
    pub(crate) method: String,
    /// Everything sent.
    pub(crate) total_requests: u64,
    /// What succeeded.
    pub(crate) successful_requests: u64,
    /// What did not: rejected, timed out, broken or cancelled.
    pub(crate) failed_requests: u64,
    /// The failed requests that never reached the server: no connection was made for them, or they cannot be sent.
    #[serde(default)]
    pub(crate) never_sent: u64,
    /// Mean of everything sent, in seconds to the last byte, as all times here; `None`, which is `null`, without requests.
    pub(crate) avg_response_time: Option<f64>,
    /// Percentiles of everything sent, failures ranked behind every success; `None` without requests, as the extremes.
    pub(crate) p50_response_time: Option<f64>,
    pub(crate) p90_response_time: Option<f64>,
    pub(crate) p95_response_time: Option<f64>,
    pub(crate) p99_response_time: Option<f64>,
    pub(crate) p999_response_time: Option<f64>,
    pub(crate) min_response_time: Option<f64>,
    pub(crate) max_response_time: Option<f64>,
    /// `None` below two requests.
    pub(crate) standard_deviation: Option<f64>,
    pub(crate) requests_per_second: f64,
    /// In percent; `None` without requests.
    pub(crate) error_rate: Option<f64>,
    /// Responses by status.
    pub(crate) status_codes: BTreeMap<String, u64>,
    /// Body bytes received, compressed ones as they are.
    pub(crate) bytes_received: u64,
    /// Body bytes after decoding, if any were compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_decoded: Option<u64>,
    /// The latencies of each outcome that occurred.
    pub(crate) outcomes: BTreeMap<String, LatencyResult>,
    /// Time to the response head; of a request that got none, until it failed. Ranked as the times to the last byte are, so
    /// that no percentile of it exceeds theirs.
    pub(crate) first_byte: Option<LatencyResult>,
    /// Open model: latency from when a request was sent, instead of when it was due.
    pub(crate) since_sent: Option<LatencyResult>,
    /// Failures by kind.
    pub(crate) failures: Vec<FailureResult>,
    /// Successes on a logarithmic grid: upper edge in seconds, count.
    pub(crate) distribution: Vec<(f64, u64)>,
    /// Course over time.
    pub(crate) series: Vec<PointResult>,
}

/// One distribution of latencies.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct LatencyResult {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// One kind of failure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct FailureResult {
    pub(crate) kind: String,
    pub(crate) count: u64,
    /// Start of a response's body.
    pub(crate) example: Option<String>,
}

/// Numbers of one interval.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct PointResult {
    /// Seconds since the start.
    pub(crate) start: f64,
    /// Length in seconds.
    pub(crate) span: f64,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Sum of latencies.
    pub(crate) sum: f64,
    /// `None`, which is `null`, without requests, as the following.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
    /// All latencies, as `cell:count` on a grid of 1 %, failures behind a slash. Endpoints have it, since comparisons read
    /// it; all requests together do not.
    #[serde(default, with = "as_text", skip_serializing_if = "is_empty")]
    pub(crate) distribution: Distribution,
}

impl EndpointResult {
    /// The numbers of a tally over `elapsed` seconds.
    pub(crate) fn new(method: &str, path: &str, tally: &EndpointTally, series: &Series, elapsed: f64) -> Self {
        let ranked = tally.ranked();
        let at = |q| some_micros(ranked.quantile_seconds(q));
        let outcome = |outcome: Outcome| {
            let latency = tally.latency(outcome)?;
            Some((outcome.name().to_owned(), LatencyResult::new(latency)))
        };
        Self {
            endpoint: path.to_owned(),
            method: method.to_owned(),
            total_requests: tally.count(),
            successful_requests: tally.of(Outcome::Success),
            failed_requests: tally.failed(),
            never_sent: tally.never_sent(),
            avg_response_time: some_micros(ranked.mean_seconds()),
            p50_response_time: at(0.5),
            p90_response_time: at(0.9),
            p95_response_time: at(0.95),
            p99_response_time: at(0.99),
            p999_response_time: at(0.999),
            min_response_time: some_micros(ranked.min_seconds()),
            max_response_time: some_micros(ranked.max_seconds()),
            standard_deviation: some_micros(ranked.standard_deviation_seconds()),
            requests_per_second: round(tally.rate(elapsed).unwrap_or(0.0), 1e2),
            error_rate: tally.error_ratio().map(|ratio| round(ratio * 100.0, 1e4)),
            status_codes: tally.statuses().into_iter().map(|(status, count)| (status.to_string(), count)).collect(),
            bytes_received: tally.bytes(),
            bytes_decoded: (tally.decoded_bytes() != tally.bytes()).then(|| tally.decoded_bytes()),
            outcomes: Outcome::ALL.into_iter().filter_map(outcome).collect(),
            first_byte: tally.first_byte().map(LatencyResult::ranked),
            since_sent: tally.service().map(LatencyResult::ranked),
            failures: tally
                .failures()
                .by_count()
                .into_iter()
                .map(|(kind, failure)| FailureResult {
                    kind: kind.as_str().to_owned(),
                    count: failure.count,
                    example: failure.example.clone(),
                })
                .collect(),
            distribution: tally
                .latency(Outcome::Success)
                .map(|latency| latency.grid().into_iter().map(|(edge, count)| (round(edge, 1e6), count)).collect())
                .unwrap_or_default(),
            series: series.points().iter().map(PointResult::new).collect(),
        }
    }

    /// Removes the distributions of its points, which only a comparison of endpoints reads.
    pub(super) fn without_distributions(mut self) -> Self {
        self.series.iter_mut().for_each(|point| point.distribution = Distribution::default());
        self
    }

    /// Returns `GET /api/users`, or `all requests`.
    pub(crate) fn name(&self) -> String {
        if self.endpoint == "*" && self.method == "*" {
            "all requests".to_owned()
        } else {
            format!("{} {}", self.method, self.endpoint)
        }
    }
}

impl LatencyResult {
    fn new(latency: &Latency) -> Self {
        let at = |q| round_micros(latency.quantile_seconds(q));
        Self {
            count: latency.count(),
            mean: round_micros(latency.mean_seconds()),
            min: round_micros(latency.min_seconds()),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: round_micros(latency.max_seconds()),
        }
    }

    fn ranked(latencies: &RankedLatencies) -> Self {
        let at = |q| round_micros(latencies.quantile_seconds(q));
        Self {
            count: latencies.count(),
            mean: round_micros(latencies.mean_seconds()),
            min: round_micros(latencies.min_seconds()),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: round_micros(latencies.max_seconds()),
        }
    }
}

impl PointResult {
    fn new(point: &Point) -> Self {
        let round = |value: f64| round(value, 1e6);
        let measured = |value: f64| (point.count > 0).then(|| round(value));
        Self {
            start: round(point.start),
            span: round(point.span),
            requests: point.count,
            failed: point.failed,
            sum: round(point.sum),
            p50: measured(point.p50),
            p95: measured(point.p95),
            p99: measured(point.p99),
            max: measured(point.max),
            distribution: point.distribution.clone(),
        }
    }
}

fn is_empty(distribution: &Distribution) -> bool {
    distribution.count() == 0
}

/// A distribution as text: as JSON numbers, a line each, distributions would be most of the file.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::record::Distribution;

    pub(super) fn serialize<S: Serializer>(distribution: &Distribution, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(distribution)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Distribution, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Rounds seconds to the microsecond, if there are any.
pub(crate) fn some_micros(value: Option<f64>) -> Option<f64> {
    value.map(|value| round(value, 1e6))
}

/// Rounds seconds to the microsecond; 0 where nothing was measured, when the count beside it is 0.
pub(crate) fn round_micros(value: Option<f64>) -> f64 {
    round(value.unwrap_or(0.0), 1e6)
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_null() {
        let nothing = EndpointResult::new("GET", "/a", &EndpointTally::default(), &Series::default(), 0.0);
        let json = serde_json::to_value(&nothing).unwrap();
        let is_measured =
            |name: &str| name.ends_with("_response_time") || matches!(name, "standard_deviation" | "error_rate");
        let measured: Vec<_> = json.as_object().unwrap().iter().filter(|(name, _)| is_measured(name)).collect();
        assert!(measured.len() == 10 && measured.iter().all(|(_, value)| value.is_null()), "{measured:?}");
        assert_eq!((&json["total_requests"], &json["requests_per_second"]), (&0.into(), &0.0.into()));
        let read: EndpointResult = serde_json::from_value(json).unwrap();
        assert_eq!(read.p95_response_time, None);
        let [empty, one] = [0, 1].map(|count| {
            let point = Point {
                start: 0.0,
                span: 1.0,
                count,
                failed: 0,
                sum: 0.0,
                p50: 0.0,
                p95: 0.0,
                p99: 0.0,
                max: 0.0,
                distribution: Distribution::default(),
            };
            PointResult::new(&point)
        });
        assert_eq!([empty.p50, empty.max, one.p50, one.max], [None, None, Some(0.0), Some(0.0)]);
    }
}
