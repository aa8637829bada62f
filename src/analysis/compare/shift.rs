//! [`Shift`]: by how much one percentile moved between two histograms.

use super::{super::statistics::tail, snapshot::LatencyHistogram};

/// Smallest relative shift that counts; the shift must exceed it by more than chance.
const SMALLEST_SHIFT: f64 = 0.05;
/// Smallest absolute shift that counts: timers and schedulers are not more precise.
const SMALLEST_SHIFT_SECONDS: f64 = 0.0002;

/// The shift of one percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Its value in the older version.
    pub before_seconds: f64,
    /// Its value in the newer version.
    pub after_seconds: f64,
    /// The newer value divided by the older one.
    pub ratio: f64,
    /// 95 % interval of the ratio.
    pub ratio_interval: (f64, f64),
    /// Probability of a shift this far beyond the smallest one that counts, where the true shift is not beyond it;
    /// adjusted for all tests of the comparison.
    pub p_value: f64,
}

impl Shift {
    /// Compares the `q`-quantile of two histograms; `None` where one is zero or missing.
    ///
    /// Each percentile's interval comes from the binomial distribution of its rank (Woodruff (1952), "Confidence
    /// intervals for medians and other position measures", JASA 47); that of the ratio comes from both by the method of
    /// variance estimates recovery on logarithms (Donner and Zou (2012), "Closed-form confidence intervals for
    /// functions of the normal mean and standard deviation", Statistical Methods in Medical Research 21), without
    /// resampling.
    pub(super) fn of(q: f64, before: &LatencyHistogram, after: &LatencyHistogram) -> Option<Self> {
        let (old, new) = (Estimate::of(q, before)?, Estimate::of(q, after)?);
        let distance = new.log - old.log;
        let down = (new.down.powi(2) + old.up.powi(2)).sqrt();
        let up = (new.up.powi(2) + old.down.powi(2)).sqrt();
        let older = old.log.exp();
        let floor = SMALLEST_SHIFT.max(old.width).max(new.width).max(SMALLEST_SHIFT_SECONDS / older).ln_1p();
        let (beyond, reach) = if distance > 0.0 { (distance - floor, down) } else { (-distance - floor, up) };
        let p_value = match (beyond > 0.0, reach > 0.0) {
            (true, true) => 2.0 * tail::normal_upper(beyond * tail::Z95 / reach),
            (true, false) => 0.0,
            (false, _) => 1.0,
        };
        Some(Self {
            before_seconds: older,
            after_seconds: new.log.exp(),
            ratio: distance.exp(),
            ratio_interval: ((distance - down).exp(), (distance + up).exp()),
            p_value,
        })
    }
}

/// The logarithm of a percentile, with the distances to the ends of its 95 % interval.
struct Estimate {
    log: f64,
    down: f64,
    up: f64,
    /// Width of its bucket, divided by its value.
    width: f64,
}

impl Estimate {
    fn of(q: f64, histogram: &LatencyHistogram) -> Option<Self> {
        let reach = tail::Z95 * (q * (1.0 - q) / histogram.count() as f64).sqrt();
        let (value, width) = histogram.quantile(q)?;
        let (low, _) = histogram.quantile(q - reach)?;
        let (high, _) = histogram.quantile(q + reach)?;
        (low > 0.0).then(|| Self {
            log: value.ln(),
            down: value.ln() - low.ln(),
            up: high.ln() - value.ln(),
            width: width / value,
        })
    }
}
