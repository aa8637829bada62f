//! Numbers over time, of bounded length.
//!
//! A point starts out as one second. When a series is full its points are joined in pairs, so that an hour and a week
//! both fit; counts and sums stay exact, of two percentiles the higher one is kept.

use super::tally::EndpointTally;

/// Numbers of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Median in seconds; 0 without requests, which `count` tells apart.
    pub(crate) p50: f64,
    /// 95th percentile in seconds.
    pub(crate) p95: f64,
    /// 99th percentile in seconds.
    pub(crate) p99: f64,
    /// Greatest latency in seconds.
    pub(crate) max: f64,
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
        }
    }

    fn join(self, next: Self) -> Self {
        Self {
            start: self.start,
            span: next.start + next.span - self.start,
            count: self.count + next.count,
            failed: self.failed + next.failed,
            sum: self.sum + next.sum,
            p50: self.p50.max(next.p50),
            p95: self.p95.max(next.p95),
            p99: self.p99.max(next.p99),
            max: self.max.max(next.max),
        }
    }
}

/// Points in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    points: Vec<Point>,
    /// How many pushed points make one kept point.
    stride: usize,
    pending: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, pending: 0 }
    }
}

impl Series {
    pub(super) fn push(&mut self, point: Point) {
        match self.points.last_mut() {
            Some(last) if self.pending > 0 => *last = last.join(point),
            _ => self.points.push(point),
        }
        self.pending = (self.pending + 1) % self.stride;
        if self.points.len() > MOST_POINTS && self.pending == 0 {
            self.points = self
                .points
                .chunks(2)
                .map(|pair| pair[1..].iter().fold(pair[0], |joined, next| joined.join(*next)))
                .collect();
            self.stride *= 2;
        }
    }

    /// The points.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }
}

/// Enough for a plot as wide as a screen.
const MOST_POINTS: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_run_keeps_its_length_and_counts() {
        let mut series = Series::default();
        for second in 0..100_000 {
            let n = second as f64;
            series.push(Point { start: n, span: 1.0, count: 2, failed: 1, sum: 0.5, p50: n, p95: n, p99: n, max: n });
        }
        assert!(series.points().len() <= MOST_POINTS + 1, "{}", series.points().len());
        assert_eq!(series.points().iter().map(|point| point.count).sum::<u64>(), 200_000);
        assert!((series.points().iter().map(|point| point.span).sum::<f64>() - 100_000.0).abs() < 1e-6);
        assert!((series.points().last().unwrap().max - 99_999.0).abs() < 1e-9);
    }
}
