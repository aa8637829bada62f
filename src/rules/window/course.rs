//! [`Course`]: what a plot over hours or days shows, from the slots of the trend tiers.
//!
//! Unlike a [`TrendReport`](super::TrendReport) it judges nothing, and has a stretch for all of the time that was asked for, so that a plot
//! shows where nothing was measured.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::trends::TrendSource;
use crate::store::{GridSum, SlotEntry, TimedSlot};

/// Values of one stretch of time; `None` where nothing was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoursePoint {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    /// In seconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Requests a second of the time in which they were measured.
    pub(crate) rate: Option<f64>,
    pub(crate) memory_bytes: Option<f64>,
    /// CPU time over time passed.
    pub(crate) cpu: Option<f64>,
}

impl CoursePoint {
    /// Returns the share of requests that failed through the service's own fault, 0 to 1.
    pub(crate) fn error_ratio(&self) -> Option<f64> {
        (self.count > 0).then(|| self.errors as f64 / self.count as f64)
    }
}

/// The course of a service or of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// End of the last stretch, since the Unix epoch.
    pub(crate) to: Duration,
    pub(crate) width: Duration,
    /// The oldest first.
    pub(crate) points: Vec<CoursePoint>,
    /// When runs of the service began, each with its version; empty where none was set.
    pub(crate) runs: Vec<(Duration, Arc<str>)>,
}

/// The sums of one stretch.
#[derive(Clone, Default)]
struct Sums {
    grid: GridSum,
    count: u64,
    errors: u64,
    measured: Duration,
    memory: f64,
    memory_samples: u64,
}

impl Sums {
    fn add(&mut self, entry: &SlotEntry<'_>) {
        self.count += entry.count;
        self.errors += entry.errors;
        self.grid.add(entry);
    }

    fn point(&self) -> CoursePoint {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| self.grid.quantile(q));
        let seconds = self.measured.as_secs_f64();
        let samples = self.memory_samples as f64;
        CoursePoint {
            count: self.count,
            errors: self.errors,
            p50,
            p95,
            p99,
            rate: (seconds > 0.0).then(|| self.count as f64 / seconds),
            memory_bytes: (self.memory_samples > 0).then(|| self.memory / samples),
            cpu: None,
        }
    }
}

/// The time of a course, divided.
struct Stretches {
    from: Duration,
    width: Duration,
    count: usize,
}

impl Stretches {
    /// Stretches of at least `width`, and no shorter than the longest slot, which could not be divided.
    fn of(source: &TrendSource, width: Duration) -> Self {
        let width = source.slots.iter().map(|slot| slot.length).fold(width, Duration::max).max(Duration::from_secs(1));
        let count = (source.to - source.from).as_nanos().div_ceil(width.as_nanos()) as usize;
        Self { from: source.to.saturating_sub(width * count as u32), width, count }
    }

    /// Returns the stretch in which the middle of a slot lies.
    fn of_slot(&self, slot: &TimedSlot) -> Option<usize> {
        let after = (slot.start + slot.length / 2).checked_sub(self.from)?;
        Some((after.as_nanos() / self.width.as_nanos()) as usize).filter(|at| *at < self.count)
    }
}

impl Course {
    /// Sums the slots of `source`, of all endpoints or of the one of this name.
    pub(crate) fn of(source: &TrendSource, width: Duration, endpoint: Option<&str>) -> Self {
        let stretches = Stretches::of(source, width);
        let number = endpoint.map(|endpoint| source.number(endpoint));
        let mut sums = vec![Sums::default(); stretches.count];
        for slot in &source.slots {
            let Some(sum) = stretches.of_slot(slot).map(|at| &mut sums[at]) else { continue };
            if number == Some(None) {
                // Nothing was ever measured of it, and so no rate either.
                continue;
            }
            match number {
                None => slot.slot.all().iter().for_each(|entry| sum.add(entry)),
                Some(number) => {
                    let own = slot.slot.endpoints().find(|entry| Some(entry.endpoint) == number);
                    own.iter().for_each(|entry| sum.add(entry));
                }
            }
            sum.measured += slot.slot.measured();
            if let Some(memory) = slot.slot.memory().filter(|_| endpoint.is_none()) {
                sum.memory += memory.mean * memory.samples as f64;
                sum.memory_samples += memory.samples;
            }
        }
        Self {
            to: stretches.from + stretches.width * stretches.count as u32,
            width: stretches.width,
            points: sums.iter().map(Sums::point).collect(),
            runs: source.runs.iter().map(|run| (run.started, run.version.clone())).collect(),
        }
    }

    /// Returns the beginning of the first stretch, since the Unix epoch.
    pub(crate) fn from(&self) -> Duration {
        self.to.saturating_sub(self.width * self.points.len() as u32)
    }

    /// Returns the 95th percentile of each endpoint in each stretch, in seconds.
    pub(crate) fn sparklines(
        source: &TrendSource,
        width: Duration,
        endpoints: &[&str],
    ) -> HashMap<Arc<str>, Vec<Option<f64>>> {
        let stretches = Stretches::of(source, width);
        let wanted = source.names.iter().filter(|(_, name)| endpoints.contains(&&***name));
        let mut grids: HashMap<u32, (&Arc<str>, Vec<GridSum>)> =
            wanted.map(|(number, name)| (*number, (name, vec![GridSum::default(); stretches.count]))).collect();
        for slot in &source.slots {
            let Some(at) = stretches.of_slot(slot) else { continue };
            for entry in slot.slot.endpoints() {
                if let Some((_, grid)) = grids.get_mut(&entry.endpoint) {
                    grid[at].add(&entry);
                }
            }
        }
        let percentiles = |grids: Vec<GridSum>| grids.iter().map(|grid| grid.quantile(0.95)).collect();
        grids.into_values().map(|(name, grids)| (name.clone(), percentiles(grids))).collect()
    }
}
