//! [`VersionSnapshot`]: the file that one version writes for the next, with each route's latencies as a histogram.
//!
//! It holds histograms and not percentiles, because two percentiles alone do not show whether their difference is
//! chance. Reading checks the buckets once; code that holds a snapshot relies on them being sorted, disjoint and
//! finite.

use serde::{Deserialize, Serialize};

/// The format of the file that this release reads and writes. Format 1 counted failed requests among the latencies.
const FORMAT: u32 = 2;

/// What one version of a service measured while it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SnapshotFile")]
pub struct VersionSnapshot {
    format: u32,
    /// Name of the service.
    pub service: String,
    /// Its version.
    pub version: String,
    /// When the snapshot was written, as RFC 3339.
    pub written_at: String,
    /// When the version last ran, as RFC 3339, where a later run of it had fewer requests and left the snapshot as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_ran_at: Option<String>,
    /// Every route that was called.
    pub routes: Vec<RouteLatency>,
}

/// One route's latencies, and how often it failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteLatency {
    /// Request method.
    pub method: String,
    /// Route template.
    pub route: String,
    /// Durations of the successful requests.
    pub latency: LatencyHistogram,
    /// Further requests that failed by the service's own fault; left out of the file where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Further requests that the service refused with a status of 4xx; left out of the file where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Durations in buckets, with their exact sum and extremes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    /// Exact sum of all durations.
    pub sum_seconds: f64,
    /// Exact shortest duration; 0 when there is none.
    pub min_seconds: f64,
    /// Exact longest duration; 0 when there is none.
    pub max_seconds: f64,
    /// The buckets that are not empty, shortest durations first.
    pub buckets: Vec<LatencyBucket>,
}

/// Number of durations in a range; written as `[from, to, count]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, u64)", into = "(f64, f64, u64)")]
pub struct LatencyBucket {
    /// Lower edge, in seconds.
    pub from_seconds: f64,
    /// Upper edge, in seconds.
    pub to_seconds: f64,
    /// Number of durations between the two.
    pub count: u64,
}

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Another release wrote it.
    #[error("snapshot has format {found}; this release reads format {FORMAT}")]
    Format {
        /// Format of the file.
        found: u32,
    },
    /// A bucket is empty, infinite or does not lie above the one before.
    #[error("snapshot of {method} {route}: bucket {index} must be a finite range above the one before it")]
    Buckets {
        /// Method of the route.
        method: String,
        /// The route.
        route: String,
        /// Index of the bucket, from 0.
        index: usize,
    },
}

/// The file as it was read, before the buckets are checked.
#[derive(Deserialize)]
struct SnapshotFile {
    format: u32,
    service: String,
    version: String,
    written_at: String,
    #[serde(default)]
    last_ran_at: Option<String>,
    routes: Vec<RouteLatency>,
}

impl TryFrom<SnapshotFile> for VersionSnapshot {
    type Error = SnapshotError;

    fn try_from(file: SnapshotFile) -> Result<Self, SnapshotError> {
        if file.format != FORMAT {
            return Err(SnapshotError::Format { found: file.format });
        }
        for route in &file.routes {
            let mut last = f64::NEG_INFINITY;
            for (index, bucket) in route.latency.buckets.iter().enumerate() {
                let in_order = bucket.from_seconds >= last && bucket.to_seconds > bucket.from_seconds;
                if !in_order || !bucket.to_seconds.is_finite() {
                    let RouteLatency { method, route, .. } = route.clone();
                    return Err(SnapshotError::Buckets { method, route, index });
                }
                last = bucket.to_seconds;
            }
        }
        let SnapshotFile { format, service, version, written_at, last_ran_at, routes } = file;
        Ok(Self { format, service, version, written_at, last_ran_at, routes })
    }
}

impl VersionSnapshot {
    /// Returns a snapshot of `routes` in the newest format.
    ///
    /// # Errors
    /// If a route's buckets are not sorted, disjoint and finite.
    pub fn new(
        service: impl Into<String>,
        version: impl Into<String>,
        written_at: impl Into<String>,
        routes: Vec<RouteLatency>,
    ) -> Result<Self, SnapshotError> {
        let (service, version, written_at) = (service.into(), version.into(), written_at.into());
        SnapshotFile { format: FORMAT, service, version, written_at, last_ran_at: None, routes }.try_into()
    }

    /// Returns it as one of a version that ran again later, without saying more of it.
    #[cfg(feature = "archive")]
    pub(crate) fn ran_again_at(self, at: &str) -> Self {
        Self { last_ran_at: Some(at.to_owned()), ..self }
    }

    /// Returns when the version last ran, as RFC 3339.
    #[cfg(feature = "archive")]
    pub(crate) fn ran_at(&self) -> &str {
        self.last_ran_at.as_deref().unwrap_or(&self.written_at)
    }
}

impl RouteLatency {
    /// Returns the number of successful, failed and refused requests; cancelled ones are not recorded.
    pub fn requests(&self) -> u64 {
        self.latency.count() + self.failed + self.refused
    }

    /// Returns the requests that came after those of `earlier`, which the same process measured of the same route. The extremes
    /// stay those of all its requests.
    ///
    /// ```
    /// use pinchpoint::analysis::{LatencyHistogram, RouteLatency};
    ///
    /// let route = |count, failed| RouteLatency {
    ///     method: "GET".into(),
    ///     route: "/a".into(),
    ///     latency: LatencyHistogram { buckets: vec![(0.1, 0.2, count).into()], ..LatencyHistogram::default() },
    ///     failed,
    ///     refused: 0,
    /// };
    /// assert_eq!(route(50, 3).since(&route(30, 1)).requests(), 22);
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let known = |bucket: &LatencyBucket| {
            let place =
                earlier.latency.buckets.binary_search_by(|old| old.from_seconds.total_cmp(&bucket.from_seconds));
            place.map_or(0, |place| earlier.latency.buckets[place].count)
        };
        let left =
            |bucket: &LatencyBucket| LatencyBucket { count: bucket.count.saturating_sub(known(bucket)), ..*bucket };
        let LatencyHistogram { sum_seconds, min_seconds, max_seconds, buckets } = &self.latency;
        Self {
            method: self.method.clone(),
            route: self.route.clone(),
            latency: LatencyHistogram {
                sum_seconds: (sum_seconds - earlier.latency.sum_seconds).max(0.0),
                min_seconds: *min_seconds,
                max_seconds: *max_seconds,
                buckets: buckets.iter().map(left).filter(|bucket| bucket.count > 0).collect(),
            },
            failed: self.failed.saturating_sub(earlier.failed),
            refused: self.refused.saturating_sub(earlier.refused),
        }
    }
}

impl LatencyHistogram {
    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// Returns the exact mean in seconds, or `None` when there are no durations.
    pub fn mean_seconds(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum_seconds / count as f64)
    }

    /// Returns the `q`-quantile and the width of its bucket, both in seconds; `None` without durations.
    ///
    /// Interpolates as if durations were spread evenly inside a bucket, between the exact extremes.
    pub(super) fn quantile(&self, q: f64) -> Option<(f64, f64)> {
        let rank = q.clamp(0.0, 1.0) * self.count() as f64;
        let mut below = 0.0;
        let last = self.buckets.iter().rposition(|bucket| bucket.count > 0)?;
        for (index, bucket) in self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.count > 0) {
            let count = bucket.count as f64;
            if below + count >= rank || index == last {
                let from = bucket.from_seconds.max(self.min_seconds).min(bucket.to_seconds);
                let to = bucket.to_seconds.min(self.max_seconds).max(from);
                return Some((from + (to - from) * ((rank - below) / count).clamp(0.0, 1.0), to - from));
            }
            below += count;
        }
        None
    }
}

impl From<(f64, f64, u64)> for LatencyBucket {
    fn from((from_seconds, to_seconds, count): (f64, f64, u64)) -> Self {
        Self { from_seconds, to_seconds, count }
    }
}

impl From<LatencyBucket> for (f64, f64, u64) {
    fn from(bucket: LatencyBucket) -> Self {
        (bucket.from_seconds, bucket.to_seconds, bucket.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(buckets: Vec<LatencyBucket>) -> Result<VersionSnapshot, SnapshotError> {
        let latency = LatencyHistogram { sum_seconds: 3.0, min_seconds: 0.1, max_seconds: 0.4, buckets };
        let route = RouteLatency { method: "GET".into(), route: "/users/{id}".into(), latency, failed: 2, refused: 0 };
        VersionSnapshot::new("shop", "1.0.0", "2026-01-01T00:00:00Z", vec![route])
    }

    #[test]
    fn written_snapshot_reads_back_the_same() {
        let written = snapshot(vec![(0.1, 0.2, 5).into(), (0.3, 0.4, 1).into()]).expect("valid buckets");
        let text = serde_json::to_string(&written).expect("plain data");
        assert!(text.contains("\"buckets\":[[0.1,0.2,5],[0.3,0.4,1]]},\"failed\":2}"), "{text}");
        assert_eq!(written.routes[0].requests(), 8);
        assert_eq!(serde_json::from_str::<VersionSnapshot>(&text).expect("just written"), written);
    }

    #[test]
    fn buckets_out_of_order_are_refused() {
        for buckets in [vec![(0.3, 0.4, 1).into(), (0.1, 0.2, 5).into()], vec![(0.2, 0.2, 1).into()]] {
            assert!(matches!(snapshot(buckets), Err(SnapshotError::Buckets { .. })));
        }
    }

    #[test]
    fn snapshot_of_another_format_is_refused() {
        let route =
            r#"{"method":"GET","route":"/","latency":{"sum_seconds":0,"min_seconds":0,"max_seconds":0,"buckets":[]}}"#;
        for format in [1, 3] {
            let text =
                format!(r#"{{"format":{format},"service":"s","version":"1","written_at":"","routes":[{route}]}}"#);
            let error = serde_json::from_str::<VersionSnapshot>(&text).expect_err("only format 2 is known").to_string();
            assert_eq!(error, format!("snapshot has format {format}; this release reads format 2"));
        }
    }

    #[test]
    fn quantile_stays_between_the_exact_extremes() {
        let snapshot = snapshot(vec![(0.05, 0.2, 5).into(), (0.3, 0.9, 5).into()]).expect("valid buckets");
        let latency = &snapshot.routes[0].latency;
        assert_eq!(latency.quantile(0.0).map(|(value, _)| value), Some(0.1));
        assert_eq!(latency.quantile(1.0).map(|(value, _)| value), Some(0.4));
        assert_eq!(LatencyHistogram::default().quantile(0.5), None);
    }
}
