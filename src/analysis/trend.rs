//! [`Trend`]: one series of time buckets becomes a direction, a size and a confidence.
//!
//! Owns the decision and its smallest sizes; the tests behind it are in `statistics`. It calls nothing a trend that a
//! single outlier could have caused or whose size no user would notice, and where there is too little data it reports
//! how much is missing instead of "stable". It recognises two shapes, a gradual change (Mann–Kendall, sized by
//! Theil–Sen) and a step (change point, sized by the medians on both sides), and reports either only where p is below
//! 0.01 after Bonferroni's correction for the two tests.
//!
//! The rate of false alarms depends on how alike neighbouring buckets are. Of series of 8 to 72 buckets in which
//! nothing changes, 0.3 % are called a trend if the buckets are independent, at most 2.5 % where neighbours correlate
//! by 0.6, 4.5 % at 0.8 and 6 % at 0.9 (simulated, first-order autoregressive). A wave that is slower than the period
//! looks like a trend while it lasts, to any test.

mod fit;
mod points;

use std::time::Duration;

pub use self::{
    fit::Shape,
    points::{Measure, Point},
};

use self::{
    fit::{Fit, LEVEL},
    points::pool,
};
use super::statistics::{MannKendall, benjamini_hochberg};

/// Fewest buckets that are judged: with fewer, one of the two shapes could not reach 99 % confidence.
pub const FEWEST_BUCKETS: usize = 8;
/// Relative change below which a trend is called stable, 0 to 1: machines vary by that much from day to day.
pub const SMALLEST_RATIO: f64 = 0.05;

/// Which way a series goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It changes for the better.
    Improving,
    /// It changes for the worse.
    Degrading,
    /// No change that is both certain and large enough to matter.
    Stable,
    /// Too little data to say.
    Unknown,
}

/// The judgement on one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Trend {
    /// Too little data.
    Unknown {
        /// Buckets with enough observations.
        buckets: usize,
        /// Buckets that are needed.
        needed: usize,
        /// Observations that a bucket needs so as not to be pooled with its neighbours; 0 where any number will do.
        each: f64,
        /// Observations of all buckets.
        samples: f64,
    },
    /// Enough data for a judgement.
    Known(Movement),
}

/// Direction, size and confidence of a series with enough data.
#[derive(Clone, Debug, PartialEq)]
pub struct Movement {
    /// Which way it goes.
    pub direction: Direction,
    /// How it changed: a step where the test for one is significant and fits no worse than a line, else gradual.
    pub shape: Shape,
    /// Change over the period, in the measure's unit: the line's rise, or the step's height.
    pub change: f64,
    /// The change as a share of where it started; `None` when it started at zero.
    pub change_ratio: Option<f64>,
    /// Theil–Sen slope, in the measure's unit per hour.
    pub slope_per_hour: f64,
    /// 95 % interval of the slope.
    pub slope_interval: (f64, f64),
    /// Probability of a change this clear in a series without one, corrected for the two shapes and for the serial
    /// correlation that the series shows: waves longer than the period look like a change.
    pub p_value: f64,
    /// Number of buckets after pooling.
    pub buckets: usize,
    /// Observations in them.
    pub samples: f64,
    /// Time from the middle of the first bucket to that of the last.
    pub span: Duration,
    /// Whether something else explains the change, so that the direction stays stable whatever the p-value.
    pub(crate) withheld: bool,
    measure: Measure,
}

impl Trend {
    /// Judges `points`, which stand in the order of time.
    ///
    /// Leaves out points that are not finite and, except for memory and throughput, those without observations.
    ///
    /// ```
    /// use pinchpoint::analysis::{Direction, Measure, Point, Trend};
    ///
    /// // Two hours of minutes with a hundred requests each: the mean rises from 100 to 200 ms in the middle.
    /// let points: Vec<Point> = (0..120_u32)
    ///     .map(|minute| Point {
    ///         at_seconds: f64::from(minute) * 60.0,
    ///         value: if minute < 60 { 0.1 } else { 0.2 } + f64::from(minute % 7) * 0.001,
    ///         weight: 100.0,
    ///     })
    ///     .collect();
    /// let trend = Trend::of(Measure::ResponseTime, &points);
    /// assert_eq!(trend.direction(), Direction::Degrading);
    /// ```
    pub fn of(measure: Measure, points: &[Point]) -> Self {
        let each = measure.fewest_requests();
        let points = pool(points, each);
        let samples = points.iter().map(|point| point.weight).sum();
        if points.len() < FEWEST_BUCKETS {
            let buckets = points.iter().filter(|point| point.weight >= each).count();
            return Self::Unknown { buckets, needed: FEWEST_BUCKETS, each, samples };
        }
        let x: Vec<f64> = points.iter().map(|point| point.at_seconds).collect();
        let y: Vec<f64> = points.iter().map(|point| point.value).collect();
        let kendall = MannKendall::of(&y);
        let Some(fit) = Fit::of(&x, &y, &kendall) else {
            return Self::Unknown { buckets: 1, needed: FEWEST_BUCKETS, each, samples };
        };
        let span = x[x.len() - 1] - x[0];
        let (shape, change, start) = fit.change(&x, &y);
        let mut movement = Movement {
            direction: Direction::Stable,
            shape,
            change,
            change_ratio: (start != 0.0).then(|| change / start.abs()),
            slope_per_hour: fit.line.slope * 3600.0,
            slope_interval: (fit.line.low * 3600.0, fit.line.high * 3600.0),
            p_value: fit.p_value(),
            buckets: points.len(),
            samples,
            span: Duration::from_secs_f64(span),
            withheld: false,
            measure,
        };
        movement.decide(movement.p_value);
        Self::Known(movement)
    }

    /// Returns which way the series goes.
    pub fn direction(&self) -> Direction {
        match self {
            Self::Unknown { .. } => Direction::Unknown,
            Self::Known(movement) => movement.direction,
        }
    }

    /// Makes the direction stable for good, where something else explains the change.
    pub(crate) fn withhold(&mut self) {
        if let Self::Known(movement) = self {
            movement.withheld = true;
            movement.decide(movement.p_value);
        }
    }

    /// Adjusts p-values and directions for many series judged at once: of those that still change, an expected one in a
    /// hundred is a false alarm.
    ///
    /// Without it, a service with 1,000 endpoints would show ten false trends at any time. By the false discovery rate
    /// of Benjamini and Hochberg (1995); [`Movement::p_value`] becomes the adjusted one.
    pub fn adjust_for_many<'a>(trends: impl IntoIterator<Item = &'a mut Trend>) {
        let mut known: Vec<&mut Movement> = trends
            .into_iter()
            .filter_map(|trend| match trend {
                Self::Known(movement) => Some(movement),
                Self::Unknown { .. } => None,
            })
            .collect();
        let p_values: Vec<f64> = known.iter().map(|movement| movement.p_value).collect();
        for (movement, p_value) in known.iter_mut().zip(benjamini_hochberg(&p_values)) {
            movement.decide(p_value);
        }
    }
}

impl Movement {
    /// Returns 1 − p, the share of series without a change that look less changed. It is not the probability of the
    /// change itself.
    pub fn confidence(&self) -> f64 {
        1.0 - self.p_value
    }

    /// Sets the p-value and the direction that follows from it.
    fn decide(&mut self, p_value: f64) {
        self.p_value = p_value;
        let large = !self.withheld
            && self.change.abs() >= self.measure.smallest_change()
            && self.change_ratio.is_none_or(|ratio| ratio.abs() >= SMALLEST_RATIO);
        let rising_is_good = self.measure == Measure::Throughput;
        self.direction = match (p_value < LEVEL && large, (self.change > 0.0) == rising_is_good) {
            (false, _) => Direction::Stable,
            (true, true) => Direction::Improving,
            (true, false) => Direction::Degrading,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that is the same on every run, of mean 0, between −1 and 1: SplitMix64 of seed and index.
    fn noise(seed: u64, i: usize) -> f64 {
        let mut z = (seed << 32 | i as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn points(n: usize, value: impl Fn(usize) -> f64) -> Vec<Point> {
        (0..n).map(|i| Point { at_seconds: i as f64 * 60.0, value: value(i), weight: 100.0 }).collect()
    }

    /// Response time of about 100 ms, give or take a tenth, times `factor`.
    fn response(n: usize, factor: impl Fn(usize) -> f64) -> Trend {
        Trend::of(Measure::ResponseTime, &points(n, |i| 0.1 * factor(i) * (1.0 + 0.1 * noise(1, i))))
    }

    #[track_caller]
    fn check(trend: &Trend, direction: Direction) {
        assert_eq!(trend.direction(), direction, "{trend:?}");
    }

    fn movement(trend: Trend) -> Movement {
        match trend {
            Trend::Known(movement) => movement,
            Trend::Unknown { .. } => panic!("{trend:?}"),
        }
    }

    #[test]
    fn noise_is_stable() {
        check(&response(48, |_| 1.0), Direction::Stable);
    }

    #[test]
    fn one_outlier_is_stable() {
        for at in [0, 20, 46, 47] {
            check(&response(48, |i| if i == at { 100.0 } else { 1.0 }), Direction::Stable);
        }
    }

    #[test]
    fn tenfold_step_is_degrading_wherever_it_is() {
        for at in [4, 12, 24, 36, 44] {
            let trend = response(48, |i| if i < at { 1.0 } else { 10.0 });
            check(&trend, Direction::Degrading);
            let found = movement(trend);
            assert_eq!(found.shape, Shape::Step { at_seconds: at as f64 * 60.0 });
            assert!((found.change_ratio.expect("starts above zero") - 9.0).abs() < 1.0, "{found:?}");
        }
        check(&response(8, |i| if i < 4 { 1.0 } else { 10.0 }), Direction::Degrading);
    }

    #[test]
    fn gradual_rise_is_sized_by_its_slope() {
        let found = movement(response(48, |i| 1.0 + i as f64 / 47.0));
        assert_eq!((found.direction, found.shape), (Direction::Degrading, Shape::Gradual));
        assert!((found.change_ratio.expect("starts above zero") - 1.0).abs() < 0.1, "{found:?}");
        assert!((found.slope_per_hour - 0.1 / 47.0 * 60.0).abs() < 0.02, "{found:?}");
        assert!(found.slope_interval.0 < found.slope_per_hour && found.slope_per_hour < found.slope_interval.1);
        assert!(found.confidence() > 0.999);
        assert_eq!((found.buckets, found.span), (48, Duration::from_secs(47 * 60)));
    }

    #[test]
    fn fall_of_response_time_is_improving_and_of_throughput_degrading() {
        check(&response(48, |i| 2.0 - i as f64 / 47.0), Direction::Improving);
        let falling = points(48, |i| 100.0 - i as f64 + noise(2, i));
        check(&Trend::of(Measure::Throughput, &falling), Direction::Degrading);
    }

    #[test]
    fn certain_but_small_change_is_stable() {
        let trend = Trend::of(Measure::ResponseTime, &points(48, |i| 0.1 * (1.0 + 0.04 * i as f64 / 47.0)));
        check(&trend, Direction::Stable);
        assert!(movement(trend).confidence() > 0.99);
        check(&Trend::of(Measure::ResponseTime, &points(48, |i| 1e-5 * (1.0 + i as f64))), Direction::Stable);
    }

    #[test]
    fn too_little_data_says_how_much_is_needed() {
        let trend = response(7, |i| 1.0 + i as f64);
        assert_eq!(trend, Trend::Unknown { buckets: 7, needed: 8, each: 5.0, samples: 700.0 });
        check(&trend, Direction::Unknown);
        check(&Trend::of(Measure::Memory, &[]), Direction::Unknown);
        let at_once = vec![Point { at_seconds: 5.0, value: 1.0, weight: 1.0 }; 20];
        check(&Trend::of(Measure::Memory, &at_once), Direction::Unknown);
    }

    #[test]
    fn buckets_of_few_requests_are_pooled() {
        let mut rare = points(48, |i| 0.1 * (1.0 + i as f64 / 47.0));
        rare.iter_mut().for_each(|point| point.weight = 1.0);
        assert_eq!(movement(Trend::of(Measure::ResponseTime, &rare)).buckets, 9);
        rare.iter_mut().step_by(2).for_each(|point| (point.weight, point.value) = (0.0, f64::NAN));
        let too_few = Trend::Unknown { buckets: 4, needed: 8, each: 5.0, samples: 24.0 };
        assert_eq!(Trend::of(Measure::ResponseTime, &rare), too_few);
        let too_few = Trend::Unknown { buckets: 0, needed: 8, each: 20.0, samples: 3.0 };
        assert_eq!(Trend::of(Measure::ErrorRate, &rare[..6]), too_few);
    }

    #[test]
    fn errors_that_begin_are_degrading() {
        let trend = Trend::of(Measure::ErrorRate, &points(48, |i| if i < 30 { 0.0 } else { 0.1 + 0.05 * noise(3, i) }));
        check(&trend, Direction::Degrading);
        assert_eq!(movement(trend).change_ratio, None, "it started at zero");
        check(&Trend::of(Measure::ErrorRate, &points(48, |_| 0.0)), Direction::Stable);
    }

    #[test]
    fn false_trends_in_noise_are_rare() {
        let judge = |seed: u64| Trend::of(Measure::ResponseTime, &points(48, |i| 1.0 + noise(seed, i)));
        let mut trends: Vec<Trend> = (0..1000).map(|seed| judge(seed + 10)).collect();
        let changed = |trends: &[Trend]| trends.iter().filter(|trend| trend.direction() != Direction::Stable).count();
        assert!(changed(&trends) <= 15, "{} of 1000", changed(&trends));
        Trend::adjust_for_many(&mut trends);
        assert!(changed(&trends) <= 1, "{} of 1000 after the adjustment", changed(&trends));
    }

    /// Returns how many of 1000 series without a change are called a trend, given the correlation of neighbouring
    /// buckets.
    fn false_trends(buckets: usize, correlation: f64) -> usize {
        let wave = |seed: u64| {
            // Twenty values before the first, so that the series does not begin at its mean.
            let mut level = 0.0;
            let levels: Vec<f64> = (0..buckets + 20)
                .map(|i| {
                    level = correlation * level + noise(seed, i);
                    level
                })
                .skip(20)
                .collect();
            Trend::of(Measure::ResponseTime, &points(buckets, |i| 10.0 + levels[i]))
        };
        (0..1000).filter(|&seed| wave(seed + 5000).direction() != Direction::Stable).count()
    }

    #[test]
    fn slow_waves_are_rarely_taken_for_trends_however_short_the_series() {
        for buckets in [8, 10, 12, 16, 24, 48] {
            let [weak, strong, stronger] = [0.3, 0.6, 0.8].map(|correlation| false_trends(buckets, correlation));
            assert!(weak <= 15 && strong <= 30 && stronger <= 60, "{buckets}: {weak}, {strong}, {stronger} of 1000");
        }
    }

    #[test]
    fn changes_are_found_in_short_and_in_correlated_series() {
        // Of 200 series each, with noise of a tenth: a tenfold step in the last four buckets, of which neighbours are
        // independent or correlate by 0.6, and a gradual doubling.
        let found = |buckets: usize, factor: &dyn Fn(usize) -> f64, carried: f64| {
            let judge = |seed: u64| {
                let mut level = 0.0;
                let levels: Vec<f64> = (0..buckets)
                    .map(|i| {
                        level = carried * level + (1.0 - carried * carried).sqrt() * 0.17 * noise(seed, i);
                        factor(i) * (1.0 + level)
                    })
                    .collect();
                Trend::of(Measure::ResponseTime, &points(buckets, |i| levels[i]))
            };
            (0..200).filter(|&seed| judge(seed + 9000).direction() == Direction::Degrading).count()
        };
        for (buckets, least_steps, least_drifts) in [(8, 150, 30), (12, 170, 90), (16, 180, 130), (48, 190, 198)] {
            let step = |i: usize| if i + 4 < buckets { 1.0 } else { 10.0 };
            let drift = |i: usize| 1.0 + i as f64 / (buckets - 1) as f64;
            let found = [found(buckets, &step, 0.0), found(buckets, &step, 0.6), found(buckets, &drift, 0.0)];
            assert!(found[0] >= least_steps && found[1] >= 150 && found[2] >= least_drifts, "{buckets}: {found:?}");
        }
    }
}
