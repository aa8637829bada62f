//! [`SteadyState`]: the points of two runs, brought to one length.
//!
//! The 95th percentile of five requests is their slowest, that of a hundred is not. Percentiles over points of different
//! length differ although the service does not, so points are joined until those of both runs last equally long.

use pinchpoint::analysis::statistics::median;

use crate::{
    record::Distribution,
    result::{EndpointResult, PointResult, RunResult},
};

/// Fewer points than this in either run show nothing: of four and four, even the clearest difference is chance in 3 %.
pub(super) const FEWEST: usize = 5;
/// Lengths that differ by a smaller share count as equal, since no tick is exact.
const CLOSE: f64 = 0.05;
/// Points that may be joined into one. An hour's points last eight seconds and a short run's a fifth of a second; a
/// common length of more points than this would leave none to compare.
const MOST_JOINED: usize = 5_000;

/// The part of a run that is compared: without the ramp-up, and without the first and the last point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SteadyState {
    from: f64,
    to: f64,
    /// How long a compared point lasts, in seconds.
    length: f64,
}

impl SteadyState {
    /// Returns the steady parts of two runs with points of one length, or `None` if a run has no points, or no common
    /// length is found.
    pub(super) fn of(old: &RunResult, new: &RunResult) -> Option<(Self, Self)> {
        let (mut old, mut new) = (Self::of_one(old)?, Self::of_one(new)?);
        let (old_times, new_times) = (1..=MOST_JOINED)
            .map(|times| (times as f64, (times as f64 * old.length / new.length).round().max(1.0)))
            .find(|(old_times, new_times)| {
                let (old_length, new_length) = (old_times * old.length, new_times * new.length);
                (old_length - new_length).abs() <= old_length.max(new_length) * CLOSE
            })?;
        old.length *= old_times;
        new.length *= new_times;
        Some((old, new))
    }

    fn of_one(run: &RunResult) -> Option<Self> {
        let series = run.total.series.iter();
        // After a warm-up, which ends after the ramp-up, all is steady.
        let from = if run.load.warm_up > 0.0 { 0.0 } else { run.load.ramp_up };
        let points: Vec<&PointResult> = series.filter(|point| point.start >= from).collect();
        // The load covers the first point and the last only in part.
        let inner = if points.len() > FEWEST + 1 { &points[1..points.len() - 1] } else { &points[..] };
        let (first, last) = (inner.first()?, inner.last()?);
        let length = median(&mut inner.iter().map(|point| point.span).collect::<Vec<f64>>())?;
        (length > 0.0).then_some(Self { from: first.start, to: last.start + last.span, length })
    }

    /// How long a compared point lasts, in seconds.
    pub(super) fn length(&self) -> f64 {
        self.length
    }

    /// Returns an endpoint's points, those without requests left out.
    pub(super) fn moments(&self, endpoint: &EndpointResult) -> Vec<Moment> {
        let whole = ((self.to - self.from) / self.length + CLOSE).floor() as usize;
        let mut moments: Vec<Vec<&PointResult>> = vec![Vec::new(); whole];
        for point in endpoint.series.iter().filter(|point| point.requests > 0) {
            // A point belongs where its middle is, so that a tick that came early or late changes nothing.
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

/// An endpoint's numbers in one compared point.
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
            [only] => (only.p50?, only.p95?),
            _ => {
                let mut all = Distribution::default();
                points.iter().for_each(|point| all.add(&point.distribution));
                (all.quantile_seconds(0.5)?, all.quantile_seconds(0.95)?)
            }
        };
        Some(Self { p50, p95, error_ratio: failed as f64 / requests as f64 })
    }
}
