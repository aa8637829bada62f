//! [`Series`]: numbers over time, of bounded length.
//!
//! A point begins as one tick of the run. When a series is full its points are joined in pairs, so that an hour and a
//! week both fit. Counts and sums stay exact; percentiles are those of the joined distribution. Which ticks make a point
//! depends on time alone, so that a tick without requests does not shift the points behind it.

use super::{distribution::Distribution, endpoint_tally::EndpointTally};

/// Points after which a series joins them: enough for a plot as wide as a screen.
const MOST_POINTS: usize = 600;

/// Numbers of one interval.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// Seconds since the start of the run.
    pub(crate) start: f64,
    /// Length in seconds.
    pub(crate) span: f64,
    /// Requests that ended in it.
    pub(crate) count: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
    /// Sum of their latencies in seconds.
    pub(crate) sum: f64,
    /// Median in seconds; 0 without requests, when `count` is 0.
    pub(crate) p50: f64,
    /// 95th percentile in seconds.
    pub(crate) p95: f64,
    /// 99th percentile in seconds.
    pub(crate) p99: f64,
    /// Greatest latency in seconds.
    pub(crate) max: f64,
    /// All latencies.
    pub(crate) distribution: Distribution,
}

impl Point {
    pub(super) fn of(tally: &EndpointTally, start: f64, span: f64) -> Self {
        let ranked = tally.ranked();
        let at = |q| ranked.quantile_seconds(q).unwrap_or(0.0);
        Self {
            start,
            span,
            count: tally.count(),
            failed: tally.failed(),
            sum: ranked.sum_seconds(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: ranked.max_seconds().unwrap_or(0.0),
            distribution: Distribution::of(tally),
        }
    }

    fn join(&mut self, next: &Self) {
        self.distribution.add(&next.distribution);
        self.span = next.start + next.span - self.start;
        self.count += next.count;
        self.failed += next.failed;
        self.sum += next.sum;
        self.max = self.max.max(next.max);
        // A cell of the grid is 1 % wide, and no percentile may exceed the greatest value.
        let at = |q| self.distribution.quantile_seconds(q).unwrap_or(0.0).min(self.max);
        (self.p50, self.p95, self.p99) = (at(0.5), at(0.95), at(0.99));
    }
}

/// Points in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    points: Vec<Point>,
    /// The tick that each point began with.
    ticks: Vec<u64>,
    /// How many ticks make one point.
    stride: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), ticks: Vec::new(), stride: 1 }
    }
}

impl Series {
    /// Adds the point of the `tick`-th tick of the run. Ticks come in order; those without requests may be left out.
    pub(super) fn push(&mut self, tick: u64, point: Point) {
        self.append(tick, point);
        while self.points.len() > MOST_POINTS {
            self.stride *= 2;
            let (points, ticks) = (std::mem::take(&mut self.points), std::mem::take(&mut self.ticks));
            for (tick, point) in ticks.into_iter().zip(points) {
                self.append(tick, point);
            }
        }
    }

    fn append(&mut self, tick: u64, point: Point) {
        match (self.points.last_mut(), self.ticks.last()) {
            (Some(last), Some(began)) if began / self.stride == tick / self.stride => last.join(&point),
            _ => {
                self.points.push(point);
                self.ticks.push(tick);
            }
        }
    }

    /// Returns the points.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start: f64, micros: u64) -> Point {
        let cell = crate::record::grid::cell_of(micros);
        let distribution: Distribution = format!("{cell}:2").parse().unwrap();
        let time = micros as f64 * 1e-6;
        Point {
            start,
            span: 1.0,
            count: 2,
            failed: 1,
            sum: 0.5,
            p50: time,
            p95: time,
            p99: time,
            max: time,
            distribution,
        }
    }

    #[test]
    fn long_run_keeps_its_length_and_counts() {
        let mut series = Series::default();
        for second in 0..100_000 {
            series.push(second, point(second as f64, second + 1));
        }
        assert!(series.points().len() <= MOST_POINTS + 1, "{}", series.points().len());
        assert_eq!(series.points().iter().map(|point| point.count).sum::<u64>(), 200_000);
        assert!((series.points().iter().map(|point| point.span).sum::<f64>() - 100_000.0).abs() < 1e-6);
        assert!((series.points().last().unwrap().max - 0.1).abs() < 1e-9);
    }

    #[test]
    fn percentiles_of_joined_points_are_those_of_all_their_requests() {
        let mut series = Series::default();
        for second in 0..1000 {
            // Every second one is slow; the higher of two medians would be slow always.
            series.push(second, point(second as f64, if second % 2 == 0 { 1000 } else { 9000 }));
        }
        let near = |value: f64, truth: f64| (value / truth - 1.0).abs() < 0.006;
        assert!(series.points().iter().all(|point| near(point.p50, 0.001) && near(point.p95, 0.009)));
    }

    #[test]
    fn ticks_without_requests_shift_no_point() {
        let (mut whole, mut sparse) = (Series::default(), Series::default());
        for second in (0..1300).filter(|second| second % 13 != 0) {
            sparse.push(second, point(second as f64, 1000));
        }
        (0..1300).for_each(|second| whole.push(second, point(second as f64, 1000)));
        assert_eq!(whole.stride, sparse.stride);
        let edge = |series: &Series, at: usize| series.ticks[at] / series.stride;
        assert!((0..sparse.points.len()).all(|at| edge(&sparse, at) == edge(&whole, at)));
    }
}
