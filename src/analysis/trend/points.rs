//! [`Measure`] and [`Point`]: the series that is judged, with neighbours of few requests pooled.

/// What a series measures: it decides which direction is good and which change is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean response time in seconds, weighted by requests.
    ResponseTime,
    /// Share of failed requests, 0 to 1, weighted by requests.
    ErrorRate,
    /// Memory in bytes.
    Memory,
    /// Requests per second. More is called improving, although it shows demand and does not prove capacity.
    Throughput,
}

impl Measure {
    /// Absolute change below which a trend is called stable: 1 ms, half a percentage point, 1 MB, one request in 100 s.
    pub(super) fn smallest_change(self) -> f64 {
        match self {
            Self::ResponseTime => 0.001,
            Self::ErrorRate => 0.005,
            Self::Memory => 1e6,
            Self::Throughput => 0.01,
        }
    }

    /// Requests that a bucket must have to be a point of its own; neighbours are pooled until they do.
    pub(super) fn fewest_requests(self) -> f64 {
        match self {
            Self::ResponseTime => 5.0,
            Self::ErrorRate => 20.0,
            // A minute without requests is a measurement of these two, not missing data.
            Self::Memory | Self::Throughput => 0.0,
        }
    }
}

/// The value of one time bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Middle of the bucket, on any clock that all points share.
    pub at_seconds: f64,
    /// What was measured.
    pub value: f64,
    /// Number of observations behind the value; pooled buckets are averaged by it.
    pub weight: f64,
}

/// Merges neighbouring points until each has at least `fewest` observations.
///
/// A bucket of two requests is mostly noise; without pooling it would count as much as one of two thousand.
pub(super) fn pool(points: &[Point], fewest: f64) -> Vec<Point> {
    let mut pooled: Vec<Point> = Vec::with_capacity(points.len());
    let usable = |point: &&Point| {
        point.value.is_finite() && point.at_seconds.is_finite() && (fewest == 0.0 || point.weight > 0.0)
    };
    for &point in points.iter().filter(usable) {
        match pooled.last_mut() {
            Some(last) if last.weight < fewest => *last = merged(*last, point),
            _ => pooled.push(point),
        }
    }
    if pooled.len() > 1 && pooled[pooled.len() - 1].weight < fewest {
        let rest = pooled.pop().expect("its length is above one");
        let last = pooled.last_mut().expect("one of more than one was removed");
        *last = merged(*last, rest);
    }
    pooled
}

/// Returns the mean of two points, by their weights.
fn merged(a: Point, b: Point) -> Point {
    let weight = a.weight + b.weight;
    let mean = |a_value: f64, b_value: f64| (a_value * a.weight + b_value * b.weight) / weight;
    Point { at_seconds: mean(a.at_seconds, b.at_seconds), value: mean(a.value, b.value), weight }
}
