//! [`ProcessMemory`]: the resident memory since the process started, and whether it leaks.

use std::{sync::Arc, time::Duration};

use super::route_memory::{RouteGrowth, RouteMemory};
use crate::{
    analysis::{LeakDetector, LeakVerdict, MemoryCurve, MemorySample},
    store::Window,
};

/// Share of what the process gained from which on a route that leaks explains a finding.
const EXPLAINED: f64 = 0.1;

/// Growth like a leak's: of the memory of the process, found by the leak detector, or of what one route keeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemoryGrowth {
    pub(crate) bytes_per_hour: f64,
    /// Increase within the span.
    pub(crate) bytes: f64,
    /// The longest of the windows that shows it.
    pub(crate) span: Duration,
    /// Number of samples of the memory curve in that window.
    pub(crate) samples: u64,
    /// Increase since the start or the last clear, the warm-up included; `None` where there is none.
    pub(crate) gained_bytes: Option<f64>,
    /// The route that shows it by its own live bytes, while the memory of the process does not; `None` where that does.
    pub(crate) route: Option<Arc<str>>,
}

/// Whether the memory leaks: what the API shows and what the rules judge, of the same moment.
#[derive(Clone, Debug)]
pub(crate) struct MemoryVerdict {
    /// By the memory of the process alone.
    pub(crate) process: LeakVerdict,
    /// The growth that is consistent with a leak, by the process or by a route: the measure `memory_growth` of the rules.
    pub(crate) growth: Option<MemoryGrowth>,
}

/// The resident memory since the process started. Earlier lives of the service do not count: a leak ends with its
/// process.
#[derive(Debug)]
pub(crate) struct ProcessMemory {
    curve: MemoryCurve,
    verdict: LeakVerdict,
    routes: RouteMemory,
    requests: u64,
    count: u64,
    sum: f64,
    peak: Option<f64>,
}

impl Default for ProcessMemory {
    fn default() -> Self {
        let (curve, verdict) = (MemoryCurve::default(), LeakDetector::new().judge(&[]));
        Self { curve, verdict, routes: RouteMemory::default(), requests: 0, count: 0, sum: 0.0, peak: None }
    }
}

impl ProcessMemory {
    /// Records the resident memory at an age of the process, and the requests since the last call.
    pub(crate) fn record(&mut self, age: Duration, resident_bytes: f64, requests: u64) {
        self.count += 1;
        self.sum += resident_bytes;
        self.peak = Some(self.peak.map_or(resident_bytes, |peak| peak.max(resident_bytes)));
        self.requests += requests;
        // The verdict depends only on the samples that are kept, four a minute: between them it cannot change.
        if self.curve.record(age, resident_bytes, self.requests) {
            // Without the limit: that is one of the whole control group, which may hold more than this process.
            self.verdict = LeakDetector::new().judge(self.curve.samples());
        }
    }

    /// Records what each route keeps, given everything since the start or the last clear.
    pub(crate) fn record_routes(&mut self, age: Duration, total: &Window) {
        self.routes.record_window(age, total);
    }

    /// Restarts the mean, the peak and what the routes keep. The curve stays, since the leak detector needs hours of it.
    pub(crate) fn clear(&mut self) {
        self.routes.clear();
        (self.count, self.sum, self.peak) = (0, 0.0, None);
    }

    /// Returns whether the memory leaks.
    ///
    /// `since` is the age of the process at the start or the last clear. What each endpoint keeps is counted from then
    /// on, so the increase with which it is compared begins there as well.
    ///
    /// A route that leaks by its own live bytes is growth before the process's memory shows it, if it explains a
    /// substantial part of the increase.
    pub(crate) fn verdict(&self, since: Duration) -> MemoryVerdict {
        MemoryVerdict { process: self.verdict.clone(), growth: self.growth(since) }
    }

    fn growth(&self, since: Duration) -> Option<MemoryGrowth> {
        let samples = self.curve.samples();
        let last = samples.last()?;
        let before = |age_seconds: f64| samples.partition_point(|sample| sample.age_seconds < age_seconds);
        let first = samples.get(before(since.as_secs_f64()));
        let gained = first.map(|first| last.resident_bytes - first.resident_bytes);
        let within = |span: Duration| (samples.len() - before(last.age_seconds - span.as_secs_f64())) as u64;
        if let Some(leak) = self.verdict.leak() {
            let span = *leak.windows.last()?;
            return Some(MemoryGrowth {
                bytes_per_hour: leak.bytes_per_hour,
                bytes: leak.growth_bytes,
                span,
                samples: within(span),
                gained_bytes: gained.filter(|gained| *gained > 0.0),
                route: None,
            });
        }
        let RouteGrowth { endpoint, bytes_per_hour, bytes, span } = self.routes.growth()?;
        let gained = gained.map_or(bytes, |gained| gained.max(bytes));
        (bytes >= EXPLAINED * gained).then(|| MemoryGrowth {
            bytes_per_hour,
            bytes,
            span,
            samples: within(span),
            gained_bytes: Some(gained).filter(|gained| *gained > 0.0),
            route: Some(endpoint.into()),
        })
    }

    /// Returns the samples of the last day, oldest first.
    pub(crate) fn samples(&self) -> &[MemorySample] {
        self.curve.samples()
    }

    /// Returns the mean since the start or the last clear, in bytes.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Returns the peak since the start or the last clear, in bytes.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(5);

    fn memory(hours: u32, bytes: impl Fn(f64) -> f64) -> ProcessMemory {
        let mut memory = ProcessMemory::default();
        for tick in 1..=hours * 720 {
            let age = TICK * tick;
            memory.record(age, bytes(age.as_secs_f64() / 3600.0), 50);
        }
        memory
    }

    #[test]
    fn without_samples_there_is_no_mean_and_no_growth() {
        let memory = ProcessMemory::default();
        assert_eq!((memory.mean(), memory.peak(), memory.growth(Duration::ZERO)), (None, None, None));
        assert!(matches!(memory.verdict(Duration::ZERO).process, LeakVerdict::NotEnoughData { .. }));
    }

    #[test]
    fn a_leak_has_its_pace_and_its_increase() {
        let memory = memory(6, |hours| 100e6 + 50e6 * hours);
        let growth = memory.growth(Duration::ZERO).expect("six hours of a leak");
        assert!((growth.bytes_per_hour / 50e6 - 1.0).abs() < 0.05, "{growth:?}");
        assert!(growth.samples > 1400);
        assert!(growth.span > Duration::from_secs(5 * 3600), "{growth:?}");
        let gained = |hour: u64| memory.growth(Duration::from_secs(hour * 3600)).and_then(|growth| growth.gained_bytes);
        for (cleared, expected) in [(0, 300e6), (4, 100e6)] {
            assert!(gained(cleared).is_some_and(|gained| (gained - expected).abs() < 1e6), "{:?}", gained(cleared));
        }
        assert_eq!(gained(7), None, "no sample is that old yet");
    }

    #[test]
    fn clear_restarts_the_mean_and_keeps_the_leak() {
        let mut memory = memory(6, |hours| 100e6 + 50e6 * hours);
        assert_eq!(memory.peak(), Some(400e6));
        memory.clear();
        assert_eq!((memory.mean(), memory.peak()), (None, None));
        assert!(memory.growth(Duration::ZERO).is_some());
        memory.record(Duration::from_secs(7 * 3600), 1.0, 0);
        assert_eq!((memory.mean(), memory.peak()), (Some(1.0), Some(1.0)));
    }
}
