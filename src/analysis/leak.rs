//! [`LeakDetector`]: does memory grow as it does with a leak?
//!
//! Owns the judgement on one process's resident memory. Nothing seen from outside proves a leak, so the verdict is
//! "consistent with a leak", and only where nothing more harmless explains the curve: warming up, a cache loaded once,
//! an allocator's or collector's sawtooth, or traffic. It does not extrapolate from less than five minutes. Growth
//! follows the traffic only if it falls with it: [`lull`] looks at what memory does while the traffic is low.
//!
//! A window's curve is cut into twelve segments, each represented by its lowest value, which comes closest to what a
//! collection could not free. Memory is a random walk, and every test for a trend finds one in a random walk. But the
//! *increments* of a random walk are independent, so the test is whether they are positive throughout: Student's t over
//! all but the largest, which may be one load of a cache. A sawtooth fails the test by its fall, a plateau by its last
//! quarter, and one tooth among others because it does not rise above the earlier ones.

mod curve;
mod growth;
mod lull;
mod sample;
mod warm_up;

use std::{fmt, time::Duration};

use self::sample::LONGEST;
pub use self::sample::MemorySample;
pub(crate) use curve::MemoryCurve;

/// Windows that are judged as far as the data reach back, shortest first; the whole time since the warm-up, up to the
/// longest, is always judged too.
const WINDOWS: [Duration; 6] = [
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
    LONGEST,
];

/// Judges whether memory samples of one process are consistent with a leak.
///
/// ```
/// use pinchpoint::analysis::{LeakDetector, LeakVerdict, MemorySample};
///
/// // 100 MB, growing by 200 MB an hour, for two hours.
/// let samples: Vec<MemorySample> = (0..480)
///     .map(|quarter_minute| f64::from(quarter_minute) * 15.0)
///     .map(|age_seconds| MemorySample {
///         age_seconds,
///         resident_bytes: 100e6 + 200e6 * age_seconds / 3600.0,
///         requests_per_second: None,
///     })
///     .collect();
/// let verdict = LeakDetector::new().limit_bytes(1e9).judge(&samples);
/// let LeakVerdict::Consistent(leak) = verdict else { panic!("{verdict}") };
/// assert!((leak.bytes_per_hour - 200e6).abs() < 1e6);
/// assert_eq!(leak.time_to_limit.map(|left| left.as_secs() / 3600), Some(2));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LeakDetector {
    limit_bytes: Option<f64>,
}

/// The judgement on the samples.
#[derive(Clone, Debug, PartialEq)]
pub enum LeakVerdict {
    /// The process warmed up too short a time ago.
    NotEnoughData {
        /// Time since the end of the warm-up.
        observed: Duration,
        /// Time that the shortest window needs.
        needed: Duration,
    },
    /// No growth that lasts.
    Steady,
    /// Growth that is too small, too young or too irregular to be judged, or that may yet fall with the traffic.
    Rising,
    /// Growth, but no more than the traffic explains, and none that stays when the traffic falls.
    FollowsTraffic,
    /// Growth that nothing more harmless explains.
    Consistent(Leak),
}

/// Growth that is consistent with a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// Robust pace of the growth (Theil–Sen) over the longest window that shows it.
    pub bytes_per_hour: f64,
    /// 95 % interval of the pace, in bytes per hour, for memory that grows with a random walk on top.
    pub interval: (f64, f64),
    /// 1 less the p-value of the test over the same window: the share of random walks without growth that climb less
    /// steadily within one such window. It is not the probability of a leak: the benchmark `leak_curves` measures how
    /// often harmless curves are called a leak and how often leaks are missed, and the README shows the result.
    pub confidence: f64,
    /// Growth over that window, in bytes.
    pub growth_bytes: f64,
    /// Every window that shows the growth, shortest first; at least one.
    pub windows: Vec<Duration>,
    /// Memory at the end of the samples.
    pub resident_bytes: f64,
    /// Age of the process up to which samples were left out as warming up.
    pub warm_up: Duration,
    /// Share of the memory limit that is used; `None` without a limit.
    pub limit_ratio: Option<f64>,
    /// Time until the limit is reached at this pace, zero once it is; `None` without a limit.
    pub time_to_limit: Option<Duration>,
}

impl LeakDetector {
    /// Returns a detector without a memory limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the memory at which the kernel kills the process, such as the limit of its control group.
    #[must_use]
    pub fn limit_bytes(mut self, limit: f64) -> Self {
        self.limit_bytes = Some(limit);
        self
    }

    /// Judges `samples` of one life of a process, oldest first.
    ///
    /// Some 15 seconds apart or less for the shortest window to be of use; older ones may be sparser. Samples that are
    /// not finite, zero or not in order are passed over.
    pub fn judge(&self, samples: &[MemorySample]) -> LeakVerdict {
        let samples = growth::Samples::of(samples);
        let warm_up = warm_up::end(&samples);
        let end = samples.end_seconds();
        let observed = (end - warm_up).max(0.0);
        let needed = WINDOWS[0];
        if observed < needed.as_secs_f64() {
            return LeakVerdict::NotEnoughData { observed: Duration::from_secs_f64(observed), needed };
        }
        let mut spans: Vec<f64> = WINDOWS.iter().map(Duration::as_secs_f64).filter(|&span| span < observed).collect();
        spans.push(observed.min(LONGEST.as_secs_f64()));
        let judged: Vec<(f64, growth::WindowVerdict)> =
            spans.into_iter().map(|span| (span, samples.judge(warm_up, end - span))).collect();
        let windows = judged
            .iter()
            .filter(|(_, verdict)| matches!(verdict, growth::WindowVerdict::Growing(_)))
            .map(|&(span, _)| Duration::from_secs_f64(span))
            .collect();
        let longest = judged.iter().rev().find_map(|(_, verdict)| match verdict {
            growth::WindowVerdict::Growing(growth) => Some(*growth),
            growth::WindowVerdict::Steady | growth::WindowVerdict::Rising | growth::WindowVerdict::FollowsTraffic => {
                None
            }
        });
        // A longer window has seen more of the traffic, so the longest one with an opinion decides.
        let opinion = judged.iter().rev().map(|(_, verdict)| verdict);
        match longest {
            Some(growth) => LeakVerdict::Consistent(self.leak(&growth, windows, samples.last_bytes(), warm_up)),
            None => match opinion.into_iter().find(|verdict| **verdict != growth::WindowVerdict::Steady) {
                None => LeakVerdict::Steady,
                Some(growth::WindowVerdict::FollowsTraffic) => LeakVerdict::FollowsTraffic,
                Some(_) => LeakVerdict::Rising,
            },
        }
    }

    fn leak(&self, growth: &growth::Growth, windows: Vec<Duration>, resident_bytes: f64, warm_up: f64) -> Leak {
        let left = |limit: f64| ((limit - resident_bytes).max(0.0) / growth.slope).min(f64::from(u32::MAX));
        Leak {
            bytes_per_hour: growth.slope * 3600.0,
            interval: (growth.interval.0 * 3600.0, growth.interval.1 * 3600.0),
            confidence: 1.0 - growth.p_value,
            growth_bytes: growth.bytes,
            windows,
            resident_bytes,
            warm_up: Duration::from_secs_f64(warm_up),
            limit_ratio: self.limit_bytes.map(|limit| resident_bytes / limit),
            time_to_limit: self.limit_bytes.map(|limit| Duration::from_secs_f64(left(limit))),
        }
    }
}

impl LeakVerdict {
    /// Returns the growth if it is consistent with a leak.
    pub fn leak(&self) -> Option<&Leak> {
        match self {
            Self::Consistent(leak) => Some(leak),
            Self::NotEnoughData { .. } | Self::Steady | Self::Rising | Self::FollowsTraffic => None,
        }
    }
}

impl fmt::Display for LeakVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnoughData { observed, needed } => {
                write!(f, "not enough data: {} since the warm-up, {} needed", Span(*observed), Span(*needed))
            }
            Self::Steady => f.write_str("memory is steady"),
            Self::Rising => f.write_str("memory grows; too early to say whether it leaks"),
            Self::FollowsTraffic => f.write_str("memory grows with the traffic; it is no leak if it falls with it"),
            Self::Consistent(leak) => leak.fmt(f),
        }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pub(super) const MB: f64 = 1e6;
        let span = self.windows.last().copied().unwrap_or_default();
        let (pace, growth) = (self.bytes_per_hour / MB, self.growth_bytes / MB);
        write!(f, "consistent with a leak: {pace:.0} MB an hour, {growth:.0} MB over the last {}", Span(span))?;
        if let (Some(ratio), Some(left)) = (self.limit_ratio, self.time_to_limit) {
            let percent = ratio * 100.0;
            write!(f, "; {percent:.0} % of the memory limit is used, at this pace it is reached in {}", Span(left))?;
        }
        Ok(())
    }
}

/// Writes a duration as rule files do, in the largest unit of which it has at least two, rounded.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (unit, name) =
            [(3600, "h"), (60, "m")].into_iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or((1, "s"));
        write!(f, "{}{name}", (seconds + unit / 2) / unit)
    }
}

#[cfg(test)]
mod traffic_tests;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const MB: f64 = 1e6;
    pub(super) const HOUR: f64 = 3600.0;

    /// Noise that is the same on every run, between −1 and 1, by a hash of the age.
    pub(super) fn noise(age: f64) -> f64 {
        let z = (age as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((z ^ (z >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Samples every 15 seconds, with a megabyte of noise.
    pub(super) fn samples(hours: f64, mut bytes: impl FnMut(f64) -> f64) -> Vec<MemorySample> {
        (1..=(hours * HOUR / 15.0) as u32)
            .map(|i| f64::from(i) * 15.0)
            .map(|age_seconds| MemorySample {
                age_seconds,
                resident_bytes: bytes(age_seconds) + MB * noise(age_seconds),
                requests_per_second: None,
            })
            .collect()
    }

    fn under_traffic(hours: f64, rate: impl Fn(f64) -> f64, bytes: impl Fn(f64) -> f64) -> Vec<MemorySample> {
        let mut samples = samples(hours, bytes);
        samples.iter_mut().for_each(|sample| sample.requests_per_second = Some(rate(sample.age_seconds)));
        samples
    }

    /// Judges every two minutes, as a monitor does, and returns the age in hours at the first finding.
    pub(super) fn first_finding(samples: &[MemorySample]) -> Option<f64> {
        (8..=samples.len()).step_by(8).find_map(|seen| {
            let verdict = LeakDetector::new().judge(&samples[..seen]);
            matches!(verdict, LeakVerdict::Consistent(_)).then(|| samples[seen - 1].age_seconds / HOUR)
        })
    }

    #[track_caller]
    pub(super) fn check_silent(samples: &[MemorySample]) {
        assert_eq!(first_finding(samples), None);
    }

    #[track_caller]
    pub(super) fn check_found(samples: &[MemorySample], within_hours: f64) {
        let found = first_finding(samples);
        assert!(found.is_some_and(|age| age <= within_hours), "{found:?}");
    }

    /// A daily wave about 1, from 0.2 at midnight to 1.8 at noon.
    pub(super) fn daily(age: f64) -> f64 {
        1.0 - 0.8 * (std::f64::consts::TAU * age / (24.0 * HOUR)).cos()
    }

    #[test]
    fn ten_megabytes_an_hour_are_found_in_hours() {
        check_found(&samples(6.0, |age| 200.0 * MB + 10.0 * MB * age / HOUR), 4.0);
        let verdict = LeakDetector::new().judge(&samples(8.0, |age| 200.0 * MB + 10.0 * MB * age / HOUR));
        let leak = verdict.leak().expect("found by then");
        assert!((leak.bytes_per_hour / MB - 10.0).abs() < 0.5, "{leak:?}");
    }

    #[test]
    fn megabyte_a_second_is_found_in_minutes() {
        check_found(&samples(0.25, |age| 60.0 * MB + MB * age), 0.14);
    }

    #[test]
    fn warm_up_is_no_leak() {
        for minutes in [0.5, 3.0, 10.0, 40.0] {
            check_silent(&samples(8.0, |age| 130.0 * MB - 80.0 * MB * (-age / 60.0 / minutes).exp()));
            check_silent(&samples(8.0, |age| 50.0 * MB + 80.0 * MB * (age / 60.0 / minutes).min(1.0)));
        }
    }

    #[test]
    fn leak_behind_a_warm_up_is_found() {
        let curve = |age: f64| 130.0 * MB - 80.0 * MB * (-age / 600.0).exp() + 20.0 * MB * age / HOUR;
        check_found(&samples(6.0, curve), 4.0);
    }

    #[test]
    fn warm_up_is_found_where_it_ends() {
        let end = |samples: &[MemorySample]| warm_up::end(&growth::Samples::of(samples)) / 60.0;
        let warm = end(&samples(4.0, |age| 50.0 * MB + 80.0 * MB * (age / 600.0).min(1.0)));
        assert!((10.0..=30.0).contains(&warm), "{warm} min");
        assert_eq!(end(&samples(4.0, |_| 50.0 * MB)), 1.0);
        assert_eq!(end(&samples(4.0, |age| 50.0 * MB + 100.0 * MB * age / HOUR)), 1.0, "a leak is no warm-up");
    }

    #[test]
    fn sawtooth_is_no_leak_but_a_rising_one_is() {
        for minutes in [2.0, 20.0, 90.0] {
            let saw = move |age: f64| 100.0 * MB + 60.0 * MB * (age / 60.0 / minutes).fract();
            check_silent(&samples(12.0, saw));
            check_found(&samples(24.0, |age| saw(age) + 30.0 * MB * age / HOUR), 12.0);
        }
    }

    #[test]
    fn cache_loaded_once_is_no_leak() {
        for at in [0.5, 2.0, 5.0] {
            check_silent(&samples(8.0, |age| if age < at * HOUR { 100.0 * MB } else { 400.0 * MB }));
        }
    }

    #[test]
    fn memory_that_follows_traffic_is_no_leak() {
        let bytes = |age: f64| 100.0 * MB + 150.0 * MB * daily(age);
        let followed = under_traffic(24.0, |age| 50.0 * daily(age) + noise(age), bytes);
        check_silent(&followed);
        let rising = followed.partition_point(|sample| sample.age_seconds < 8.0 * HOUR);
        assert_eq!(LeakDetector::new().judge(&followed[..rising]), LeakVerdict::FollowsTraffic);
    }

    #[test]
    fn memory_kept_from_the_peak_of_traffic_is_no_leak() {
        let high = |age: f64| daily(age.min(12.0 * HOUR));
        check_silent(&under_traffic(24.0, |age| 50.0 * daily(age), |age| 100.0 * MB + 100.0 * MB * high(age)));
    }

    #[test]
    fn leak_under_steady_and_under_daily_traffic_is_found() {
        let leak = |age: f64| 200.0 * MB + 50.0 * MB * age / HOUR;
        check_found(&under_traffic(6.0, |age| 50.0 + 5.0 * noise(age * 3.0), leak), 4.0);
        check_found(&under_traffic(24.0, |age| 50.0 * daily(age), leak), 20.0);
    }

    #[test]
    fn leak_that_has_stopped_is_steady() {
        let stopped = samples(12.0, |age| 100.0 * MB + 100.0 * MB * (age / HOUR).min(4.0));
        assert_eq!(LeakDetector::new().judge(&stopped), LeakVerdict::Steady);
    }

    /// Returns how many of 300 leaks of 100 MB an hour are found within six hours, and how many of their intervals hold
    /// the true pace. `off` returns a sample's distance from the line, given the last one and a normal random number.
    fn covered(mut off: impl FnMut(f64, f64) -> f64) -> (usize, usize) {
        let normal = |curve: u64, age: f64| {
            let uniform = |part: u64| noise((curve * 4 + part) as f64 * 1e6 + age) / 2.0 + 0.5;
            (-2.0 * uniform(1).max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * uniform(2)).cos()
        };
        let (mut found, mut held) = (0, 0);
        for curve in 0..300 {
            let mut last = 0.0;
            let bytes = |age: f64| {
                last = off(last, normal(curve, age));
                400.0 * MB + 100.0 * MB * age / HOUR + last
            };
            if let Some(leak) = LeakDetector::new().judge(&samples(6.0, bytes)).leak() {
                found += 1;
                held += usize::from(leak.interval.0 <= 100.0 * MB && 100.0 * MB <= leak.interval.1);
            }
        }
        (found, held)
    }

    #[test]
    fn interval_holds_the_true_pace() {
        // Steps of 2 MB add up to 76 MB in six hours (2·√1440), beside 600 MB of the leak.
        let (found, held) = covered(|last, normal| last + 2.0 * MB * normal);
        assert!(found >= 280 && held * 100 >= found * 92, "random walks: {held} of {found}");
        let (found, held) = covered(|_, normal| 10.0 * MB * normal);
        assert!(found >= 280 && held * 100 >= found * 95, "independent noise: {held} of {found}");
    }

    #[test]
    fn short_life_is_not_enough_data() {
        let verdict = LeakDetector::new().judge(&samples(0.05, |age| MB * age));
        assert_eq!(verdict.to_string(), "not enough data: 2m since the warm-up, 5m needed");
        assert!(matches!(LeakDetector::new().judge(&[]), LeakVerdict::NotEnoughData { .. }));
        let broken = MemorySample { age_seconds: f64::NAN, resident_bytes: f64::NAN, requests_per_second: None };
        assert!(matches!(LeakDetector::new().judge(&[broken; 50]), LeakVerdict::NotEnoughData { .. }));
    }

    #[test]
    fn samples_that_begin_late_are_judged_from_their_beginning() {
        let mut late = samples(10.0, |age| 100.0 * MB + 30.0 * MB * age / HOUR);
        late.drain(..5 * 240);
        let LeakVerdict::Consistent(leak) = LeakDetector::new().judge(&late) else { panic!("five hours of a leak") };
        assert_eq!(leak.warm_up.as_secs(), 5 * 3600 + 15);
    }

    #[test]
    fn message_of_a_leak_includes_the_memory_limit() {
        let verdict = LeakDetector::new()
            .limit_bytes(1000.0 * MB)
            .judge(&samples(8.0, |age| 100.0 * MB + 50.0 * MB * age / HOUR));
        assert_eq!(
            verdict.to_string(),
            "consistent with a leak: 50 MB an hour, 399 MB over the last 8h; 50 % of the memory limit is used, at \
             this pace it is reached in 10h"
        );
        let LeakVerdict::Consistent(leak) = verdict else { panic!("{verdict}") };
        assert!(leak.interval.0 <= leak.bytes_per_hour && leak.bytes_per_hour <= leak.interval.1);
        assert!(leak.confidence > 0.999 && leak.windows.len() >= 2, "{leak:?}");
    }
}
