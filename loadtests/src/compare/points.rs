//! Points of two runs, brought to one length.
//!
//! The 95th percentile of five requests is their slowest, that of a hundred is not: percentiles over points of different
//! length differ although the service does not. Points are therefore joined until those of both runs last equally long.

use super::ranks::{FEWEST, median};
use crate::record::Distribution;
use crate::result::{EndpointResult, PointResult, RunResult};

/// The part of a run that is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Steady {
    from: f64,
    to: f64,
    /// How long a point is compared as.
    length: f64,
}

impl Steady {
    /// The same parts of two runs, with points of one length: without the ramp-up, the first point and the last, which are
    /// part of one only. `None` for a run without points.
    pub(super) fn of(old: &RunResult, new: &RunResult) -> Option<(Self, Self)> {
        let (mut old, mut new) = (Self::of_one(old)?, Self::of_one(new)?);
        let (times, new_times) = (1..=MOST_JOINED)
            .map(|times| (times, (times as f64 * old.length / new.length).round().max(1.0)))
            .find(|(times, new_times)| {
                let (length, new_length) = (*times as f64 * old.length, new_times * new.length);
                (length - new_length).abs() <= length.max(new_length) * CLOSE
            })?;
        old.length *= times as f64;
        new.length *= new_times;
        Some((old, new))
    }

    fn of_one(run: &RunResult) -> Option<Self> {
        let series = run.total.series.iter();
        let points: Vec<&PointResult> = series.filter(|point| point.start >= run.load.ramp_up).collect();
        let inner = if points.len() > FEWEST + 1 { &points[1..points.len() - 1] } else { &points[..] };
        let (first, last) = (inner.first()?, inner.last()?);
        let length = median(&mut inner.iter().map(|point| point.span).collect::<Vec<f64>>());
        (length > 0.0).then_some(Self { from: first.start, to: last.start + last.span, length })
    }

    /// What an endpoint's points say, those without requests left out.
    pub(super) fn moments(&self, endpoint: &EndpointResult) -> Vec<Moment> {
        let whole = ((self.to - self.from) / self.length + CLOSE).floor() as usize;
        let mut moments: Vec<Vec<&PointResult>> = vec![Vec::new(); whole];
        for point in endpoint.series.iter().filter(|point| point.requests > 0) {
            // By its middle, so that a tick that came early or late changes nothing.
            let at = (point.start + point.span / 2.0 - self.from) / self.length;
            if at >= 0.0
                && let Some(moment) = moments.get_mut(at as usize)
            {
                moment.push(point);
            }
        }
        moments.into_iter().filter_map(|points| Moment::of(&points)).collect()
    }
}

/// What one point, or some that follow one another, say of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) error_ratio: f64,
}

impl Moment {
    fn of(points: &[&PointResult]) -> Option<Self> {
        let requests: u64 = points.iter().map(|point| point.requests).sum();
        let failed: u64 = points.iter().map(|point| point.failed).sum();
        let (p50, p95) = match points {
            [] => return None,
            [only] => (only.p50, only.p95),
            _ => {
                let mut all = Distribution::default();
                points.iter().for_each(|point| all.add(&point.distribution));
                (all.quantile_seconds(0.5)?, all.quantile_seconds(0.95)?)
            }
        };
        Some(Self { p50, p95, error_ratio: failed as f64 / requests as f64 })
    }
}

/// Lengths that differ by less are one: no tick is exact.
const CLOSE: f64 = 0.05;
/// An hour's points are of eight seconds, a short run's of a fifth of a second.
const MOST_JOINED: usize = 5_000;
