//! [`compare`]: two histograms of each route become a verdict with its size and its confidence.
//!
//! Owns the verdict and the correction for many routes; `shift` and `errors` have the two measurements. Every request
//! counts as independent, which real traffic is not quite: therefore a shift must exceed a smallest size and not merely
//! zero.

use std::collections::BTreeMap;

use super::{
    super::statistics::{RankSum, holm},
    errors::ErrorChange,
    shift::Shift,
    snapshot::{LatencyHistogram, RouteLatency, VersionSnapshot},
};

/// Requests that each version needs for its median.
const FEWEST_FOR_MEDIAN: u64 = 30;
/// Requests that each version needs for its 95th percentile, so that ten are beyond it.
const FEWEST_FOR_P95: u64 = 200;
/// Probability of calling even one route different where none is.
const LEVEL: f64 = 0.05;

/// The comparison of all routes of two versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Routes of both versions: those that fail more often first, then by how much slower they got.
    pub routes: Vec<RouteChange>,
    /// Routes that were called only in the older version, as `GET /path`.
    pub only_before: Vec<String>,
    /// Routes that were called only in the newer version.
    pub only_after: Vec<String>,
}

/// The comparison of one route that both versions have.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteChange {
    /// Method and route.
    pub endpoint: String,
    /// Requests of the older and of the newer version, failed and refused ones included.
    pub requests: (u64, u64),
    /// The verdict on errors and speed together.
    pub verdict: Verdict,
    /// The verdict on the speed of successful requests alone, as everything below but `errors`.
    pub speed: Verdict,
    /// Change of the share of failed requests; `None` with too few requests.
    pub errors: Option<ErrorChange>,
    /// Mean duration in the older and in the newer version, in seconds.
    pub means_seconds: Option<(f64, f64)>,
    /// Shift of the median; `None` with too few requests.
    pub median: Option<Shift>,
    /// Shift of the 95th percentile; `None` with too few requests.
    pub p95: Option<Shift>,
    /// Cliff's delta: the probability that a request of the newer version takes longer than one of the older, less the
    /// probability that it takes less, −1 to 1. From 0.147 it is commonly called small, from 0.33 medium, from 0.474
    /// large (Romano et al. (2006)).
    pub cliffs_delta: Option<f64>,
    /// Mann–Whitney's p-value for "the same distribution", not adjusted for the number of routes.
    pub rank_p_value: Option<f64>,
}

/// The conclusion about a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A larger share of the requests fails, whatever the speed of the others.
    MoreErrors,
    /// The median or the tail got slower.
    Slower,
    /// The median or the tail got faster.
    Faster,
    /// One of the two got slower, the other faster.
    Mixed,
    /// A smaller share of the requests fails, and the speed is the same.
    FewerErrors,
    /// No difference that is both real and large enough to count.
    NoDifference,
    /// Too few requests in one of the versions.
    TooFewRequests,
}

/// Compares the routes of two versions.
///
/// More errors take precedence over any change of speed; the speed is that of successful requests.
///
/// A percentile has shifted if the ratio of the two values exceeds the largest of 5 %, the width of its bucket and 0.2
/// ms with a confidence that is above 95 % after Holm's correction over all routes. For the median, Mann–Whitney's test
/// on the whole distributions must agree, so that a few requests about the middle do not decide alone.
///
/// ```
/// use pinchpoint::analysis::{LatencyHistogram, RouteLatency, Verdict, VersionSnapshot, compare};
///
/// // A thousand requests between `low` and twice of that, in seconds.
/// let version = |name: &str, low: f64| {
///     let latency = LatencyHistogram {
///         sum_seconds: 1500.0 * low,
///         min_seconds: low,
///         max_seconds: 2.0 * low,
///         buckets: (20..40).map(|i| (low * f64::from(i) / 20.0, low * f64::from(i + 1) / 20.0, 50).into()).collect(),
///     };
///     let route = RouteLatency { method: "GET".into(), route: "/a".into(), latency, failed: 0, refused: 0 };
///     VersionSnapshot::new("shop", name, "2026-01-01T00:00:00Z", vec![route])
/// };
/// let found = compare(&version("1.0", 0.1)?, &version("1.1", 0.2)?);
/// assert_eq!(found.routes[0].verdict, Verdict::Slower);
/// # Ok::<(), pinchpoint::analysis::SnapshotError>(())
/// ```
pub fn compare(before: &VersionSnapshot, after: &VersionSnapshot) -> Comparison {
    let (mut older, mut newer) = (by_endpoint(before), by_endpoint(after));
    let mut routes: Vec<RouteChange> = Vec::new();
    let mut only_before = Vec::new();
    for (endpoint, old) in std::mem::take(&mut older) {
        match newer.remove(&endpoint) {
            Some(new) => routes.push(RouteChange::of(endpoint, old, new)),
            None => only_before.push(endpoint),
        }
    }
    adjust(&mut routes);
    for route in &mut routes {
        route.speed = route.conclude_speed();
        route.verdict = route.conclude();
    }
    routes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    // The sort is stable: routes with equal errors, as the zero of most, keep their order by speed.
    routes.sort_by(|a, b| b.more_errors().total_cmp(&a.more_errors()));
    Comparison { routes, only_before, only_after: newer.into_keys().collect() }
}

fn by_endpoint(snapshot: &VersionSnapshot) -> BTreeMap<String, &RouteLatency> {
    snapshot.routes.iter().map(|route| (format!("{} {}", route.method, route.route), route)).collect()
}

impl RouteChange {
    fn of(endpoint: String, old: &RouteLatency, new: &RouteLatency) -> Self {
        let (before, after) = (&old.latency, &new.latency);
        let fewest = before.count().min(after.count());
        let (first, second) = on_one_grid(before, after);
        let ranks = RankSum::of(&first, &second).filter(|_| fewest >= FEWEST_FOR_MEDIAN);
        let shift = |q, needed| (fewest >= needed).then(|| Shift::of(q, before, after)).flatten();
        let mut median = shift(0.5, FEWEST_FOR_MEDIAN);
        if let (Some(median), Some(ranks)) = (&mut median, &ranks) {
            // Both tests must reject, so the larger of their p-values is that of the two together.
            let agrees = (ranks.delta > 0.0) == (median.ratio > 1.0);
            median.p_value = if agrees { median.p_value.max(ranks.p_value(1.0)) } else { 1.0 };
        }
        Self {
            endpoint,
            requests: (old.requests(), new.requests()),
            verdict: Verdict::TooFewRequests,
            speed: Verdict::TooFewRequests,
            errors: ErrorChange::of(old, new),
            means_seconds: before.mean_seconds().zip(after.mean_seconds()),
            median,
            p95: shift(0.95, FEWEST_FOR_P95),
            cliffs_delta: ranks.map(|ranks| ranks.delta),
            rank_p_value: ranks.map(|ranks| ranks.p_value(1.0)),
        }
    }

    fn conclude(&self) -> Verdict {
        let rise = self.errors.filter(|errors| errors.p_value < LEVEL).map_or(0.0, |errors| errors.difference());
        match self.speed {
            _ if rise > 0.0 => Verdict::MoreErrors,
            Verdict::NoDifference | Verdict::TooFewRequests if rise < 0.0 => Verdict::FewerErrors,
            speed => speed,
        }
    }

    fn conclude_speed(&self) -> Verdict {
        if self.median.is_none() {
            return Verdict::TooFewRequests;
        }
        let moved = |shift: &&Shift| shift.p_value < LEVEL;
        let slower = self.shifts().filter(moved).any(|shift| shift.ratio > 1.0);
        let faster = self.shifts().filter(moved).any(|shift| shift.ratio < 1.0);
        match (slower, faster) {
            (true, true) => Verdict::Mixed,
            (true, false) => Verdict::Slower,
            (false, true) => Verdict::Faster,
            (false, false) => Verdict::NoDifference,
        }
    }

    fn shifts(&self) -> impl Iterator<Item = &Shift> {
        self.median.iter().chain(&self.p95)
    }

    /// Returns the logarithm of the largest ratio, by which routes are ordered; 0 where the speed did not change.
    fn weight(&self) -> f64 {
        let largest = self.shifts().map(|shift| shift.ratio.ln()).max_by(|a, b| a.abs().total_cmp(&b.abs()));
        match self.speed {
            Verdict::Slower | Verdict::Faster | Verdict::Mixed => largest.unwrap_or(0.0),
            Verdict::MoreErrors | Verdict::FewerErrors | Verdict::NoDifference | Verdict::TooFewRequests => 0.0,
        }
    }

    /// Returns the rise of the error ratio where it is the verdict; 0 elsewhere.
    fn more_errors(&self) -> f64 {
        self.errors.filter(|_| self.verdict == Verdict::MoreErrors).map_or(0.0, |errors| errors.difference())
    }
}

/// Applies Holm's correction to all p-values of all routes.
fn adjust(routes: &mut [RouteChange]) {
    let mut p_values: Vec<&mut f64> = Vec::with_capacity(3 * routes.len());
    for route in routes {
        p_values.extend(route.median.iter_mut().chain(&mut route.p95).map(|shift| &mut shift.p_value));
        p_values.extend(route.errors.iter_mut().map(|errors| &mut errors.p_value));
    }
    let raw: Vec<f64> = p_values.iter().map(|p| **p).collect();
    for (p, adjusted) in p_values.iter_mut().zip(holm(&raw)) {
        **p = adjusted;
    }
}

/// Returns the counts of two histograms on the union of their edges; a bucket with an edge inside it is divided by
/// width.
fn on_one_grid(first: &LatencyHistogram, second: &LatencyHistogram) -> (Vec<f64>, Vec<f64>) {
    let mut edges: Vec<f64> =
        first.buckets.iter().chain(&second.buckets).flat_map(|b| [b.from_seconds, b.to_seconds]).collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    (spread(first, &edges), spread(second, &edges))
}

fn spread(histogram: &LatencyHistogram, edges: &[f64]) -> Vec<f64> {
    let mut counts = vec![0.0; edges.len().saturating_sub(1)];
    for bucket in &histogram.buckets {
        let from = edges.partition_point(|&edge| edge < bucket.from_seconds);
        let to = edges.partition_point(|&edge| edge < bucket.to_seconds);
        let width = bucket.to_seconds - bucket.from_seconds;
        for cell in from..to {
            counts[cell] += bucket.count as f64 * (edges[cell + 1] - edges[cell]) / width;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{super::snapshot::LatencyBucket, *};

    /// A histogram of `count` durations with the quantile function `of`, in buckets 5 % wide.
    fn latency(count: u32, of: impl Fn(f64) -> f64) -> LatencyHistogram {
        let durations: Vec<f64> = (0..count).map(|i| of((f64::from(i) + 0.5) / f64::from(count))).collect();
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        for duration in &durations {
            *counts.entry((duration.ln() / 1.05_f64.ln()).floor() as i32).or_default() += 1;
        }
        let bucket =
            |(power, count): (i32, u64)| LatencyBucket::from((1.05_f64.powi(power), 1.05_f64.powi(power + 1), count));
        LatencyHistogram {
            sum_seconds: durations.iter().sum(),
            min_seconds: durations.iter().copied().fold(f64::INFINITY, f64::min),
            max_seconds: durations.iter().copied().fold(0.0, f64::max),
            buckets: counts.into_iter().map(bucket).collect(),
        }
    }

    /// Quantiles of durations about 50 ms with the long tail of many services (log-logistic).
    fn spread(q: f64) -> f64 {
        0.05 * (q / (1.0 - q)).powf(0.4)
    }

    fn route(route: &str, latency: LatencyHistogram, failed: u64) -> RouteLatency {
        RouteLatency { method: "GET".into(), route: route.into(), latency, failed, refused: 0 }
    }

    fn version(name: &str, routes: Vec<(&str, LatencyHistogram)>) -> VersionSnapshot {
        let routes = routes.into_iter().map(|(name, latency)| route(name, latency, 0)).collect();
        VersionSnapshot::new("shop", name, "2026-01-01T00:00:00Z", routes).expect("buckets are in order")
    }

    fn one(before: LatencyHistogram, after: LatencyHistogram) -> RouteChange {
        let compared = compare(&version("1", vec![("/a", before)]), &version("2", vec![("/a", after)]));
        compared.routes.into_iter().next().expect("the route is in both")
    }

    #[track_caller]
    fn check(before: LatencyHistogram, after: LatencyHistogram, verdict: Verdict) -> RouteChange {
        let found = one(before, after);
        assert_eq!(found.verdict, verdict, "{found:?}");
        found
    }

    #[test]
    fn same_distribution_is_no_difference() {
        let found = check(latency(5000, spread), latency(3000, spread), Verdict::NoDifference);
        assert!(found.cliffs_delta.expect("enough requests").abs() < 0.01);
    }

    #[test]
    fn half_as_long_again_is_slower_by_a_ratio_of_one_and_a_half() {
        let found = check(latency(2000, spread), latency(2000, |q| 1.5 * spread(q)), Verdict::Slower);
        let median = found.median.expect("enough requests");
        assert!((median.ratio - 1.5).abs() < 0.05, "{median:?}");
        assert!(median.ratio_interval.0 > 1.3 && median.ratio_interval.1 < 1.7, "{median:?}");
        assert!(found.cliffs_delta.expect("enough requests") > 0.2);
    }

    #[test]
    fn half_the_time_is_faster() {
        check(latency(500, spread), latency(500, |q| 0.5 * spread(q)), Verdict::Faster);
    }

    #[test]
    fn longer_tail_alone_is_slower() {
        let found = check(
            latency(5000, spread),
            latency(5000, |q| if q > 0.9 { 4.0 * spread(q) } else { spread(q) }),
            Verdict::Slower,
        );
        assert_eq!(found.median.expect("enough requests").p_value, 1.0);
    }

    #[test]
    fn certain_but_small_shift_is_no_difference() {
        let found = check(latency(200_000, spread), latency(200_000, |q| 1.03 * spread(q)), Verdict::NoDifference);
        assert!(found.rank_p_value.expect("enough requests") < 1e-6);
    }

    #[test]
    fn shift_below_the_smallest_absolute_one_is_no_difference() {
        check(latency(5000, |q| spread(q) / 1000.0), latency(5000, |q| spread(q) / 500.0), Verdict::NoDifference);
    }

    #[test]
    fn few_requests_are_not_judged() {
        let found = check(latency(29, spread), latency(5000, |q| 9.0 * spread(q)), Verdict::TooFewRequests);
        assert_eq!((found.median, found.p95, found.cliffs_delta), (None, None, None));
        check(LatencyHistogram::default(), latency(100, spread), Verdict::TooFewRequests);
        assert_eq!(one(latency(100, spread), latency(100, |q| 9.0 * spread(q))).p95, None);
    }

    /// Compares versions of one route with as many failed requests beside those that were served.
    fn failing(before: (LatencyHistogram, u64), after: (LatencyHistogram, u64)) -> RouteChange {
        let version = |name: &str, (latency, failed)| {
            VersionSnapshot::new("shop", name, "2026-01-01T00:00:00Z", vec![route("/a", latency, failed)])
                .expect("buckets are in order")
        };
        compare(&version("1", before), &version("2", after)).routes.remove(0)
    }

    #[test]
    fn more_errors_take_precedence_over_speed() {
        let found = failing((latency(1000, spread), 0), (latency(400, spread), 600));
        assert_eq!((found.verdict, found.speed), (Verdict::MoreErrors, Verdict::NoDifference), "{found:?}");
        let errors = found.errors.expect("enough requests");
        assert_eq!((errors.before_ratio, errors.after_ratio, found.requests), (0.0, 0.6, (1000, 1000)));
        assert!(errors.difference_interval.0 > 0.55 && errors.difference_interval.1 < 0.65, "{errors:?}");
        let found = failing((latency(1000, spread), 0), (latency(400, |q| 0.3 * spread(q)), 600));
        assert_eq!((found.verdict, found.speed), (Verdict::MoreErrors, Verdict::Faster), "errors come first");
        let found = failing((latency(1000, spread), 0), (LatencyHistogram::default(), 1000));
        assert_eq!((found.verdict, found.speed), (Verdict::MoreErrors, Verdict::TooFewRequests), "nothing is served");
    }

    #[test]
    fn fewer_errors_are_the_verdict_where_the_speed_is_the_same() {
        let found = failing((latency(1000, spread), 100), (latency(1000, spread), 0));
        assert_eq!(found.verdict, Verdict::FewerErrors);
        let found = failing((latency(1000, spread), 100), (latency(1000, |q| 2.0 * spread(q)), 0));
        assert_eq!(found.verdict, Verdict::Slower);
    }

    #[test]
    fn errors_by_chance_or_of_a_few_are_no_difference() {
        for (before, after) in [(0, 3), (10, 19), (1000, 1030)] {
            let found = failing((latency(1000, spread), before), (latency(1000, spread), after));
            assert_eq!(found.verdict, Verdict::NoDifference, "{found:?}");
        }
        let many = failing((latency(100_000, spread), 0), (latency(100_000, spread), 400));
        assert_eq!(many.verdict, Verdict::NoDifference, "certain, but less than half a percentage point");
        assert_eq!(failing((latency(29, spread), 0), (latency(9, spread), 20)).errors, None);
    }

    #[test]
    fn new_and_gone_routes_are_named() {
        let found = compare(
            &version("1", vec![("/a", latency(50, spread)), ("/gone", latency(50, spread))]),
            &version("2", vec![("/a", latency(50, spread)), ("/new", latency(50, spread))]),
        );
        assert_eq!((found.only_before, found.only_after), (vec!["GET /gone".to_owned()], vec!["GET /new".to_owned()]));
    }

    #[test]
    fn routes_are_ordered_from_slower_to_faster() {
        let routes = |factors: [f64; 3]| {
            let names = ["/a", "/b", "/c"];
            names.into_iter().zip(factors).map(|(name, f)| (name, latency(1000, |q| f * spread(q)))).collect()
        };
        let found = compare(&version("1", routes([1.0; 3])), &version("2", routes([0.5, 1.0, 2.0])));
        let order: Vec<&str> = found.routes.iter().map(|route| route.endpoint.as_str()).collect();
        assert_eq!(order, ["GET /c", "GET /b", "GET /a"]);
    }

    #[test]
    fn releases_that_change_nothing_are_rarely_called_different() {
        // Each release: 50 routes of 400 requests drawn from one distribution. One in twenty releases may err.
        let mut state = 9_u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut release = |name: &str| {
            let names: Vec<String> = (0..50).map(|i| format!("/{i}")).collect();
            let routes = names.iter().map(|route| {
                let drawn: Vec<f64> = (0..400).map(|_| spread(draw())).collect();
                (route.as_str(), latency(400, |q| drawn[(q * 400.0) as usize]))
            });
            version(name, routes.collect())
        };
        let wrong = (0..40).filter(|_| {
            let found = compare(&release("1"), &release("2"));
            found.routes.iter().any(|route| route.verdict != Verdict::NoDifference)
        });
        assert!(wrong.count() <= 2);
    }

    #[test]
    fn different_bucket_layouts_are_compared_on_their_union() {
        let halves = LatencyHistogram {
            sum_seconds: 150.0,
            min_seconds: 1.0,
            max_seconds: 2.0,
            buckets: vec![(1.0, 1.5, 50).into(), (1.5, 2.0, 50).into()],
        };
        let whole = LatencyHistogram { buckets: vec![(1.0, 2.0, 100).into()], ..halves.clone() };
        let found = check(halves, whole, Verdict::NoDifference);
        assert_eq!(found.cliffs_delta, Some(0.0));
    }
}
