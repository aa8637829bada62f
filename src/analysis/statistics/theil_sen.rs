//! [`TheilSen`]: a line whose slope is the median of the slopes between every two points.
//!
//! Theil (1950), "A rank-invariant method of linear and polynomial regression analysis"; Sen (1968), "Estimates of the
//! regression coefficient based on Kendall's tau", JASA 63, which also gives the interval. The slope
//! stays bounded while up to 29 % of the points are arbitrarily wrong.

use super::{MannKendall, median, tail};

/// A robust line through points.
///
/// ```
/// use pinchpoint::analysis::statistics::{MannKendall, TheilSen};
///
/// let (x, y) = ([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 5.0, 700.0, 9.0]);
/// let line = TheilSen::fit(&x, &y, &MannKendall::of(&y), 1.0).expect("the x differ");
/// assert_eq!((line.slope, line.at(3.0)), (2.0, 7.0), "one wrong point does not move it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TheilSen {
    /// Change of y per unit of x.
    pub slope: f64,
    /// Lower end of the slope's 95 % interval.
    pub low: f64,
    /// Upper end of the slope's 95 % interval.
    pub high: f64,
    /// The line's value at x = 0: the median of y − slope·x.
    pub intercept: f64,
}

impl TheilSen {
    /// Fits a line to the points (`x`, `y`), in any order; `None` unless two of them differ in x.
    ///
    /// `kendall` is the test of the same `y`: its variance, multiplied by `inflation`, gives the interval. Points
    /// beyond the shorter of `x` and `y` are left out. Takes n² steps and keeps n²/2 slopes.
    pub fn fit(x: &[f64], y: &[f64], kendall: &MannKendall, inflation: f64) -> Option<Self> {
        let mut slopes = pairwise(x, y);
        let slope = median(&mut slopes)?;
        let reach = tail::Z95 * (kendall.variance * inflation).sqrt();
        let count = slopes.len() as f64;
        // Sen's ranks are M1 and M2 + 1, counted from 1; rounded and bounded as SciPy's `theilslopes` does.
        let upper = ((count + reach) / 2.0).round_ties_even().min(count - 1.0) as usize;
        let lower = (((count - reach) / 2.0).round_ties_even() - 1.0).max(0.0) as usize;
        let high = *slopes.select_nth_unstable_by(upper, f64::total_cmp).1;
        let low = *slopes.select_nth_unstable_by(lower, f64::total_cmp).1;
        let mut offsets: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - slope * x).collect();
        let intercept = median(&mut offsets)?;
        Some(Self { slope, low, high, intercept })
    }

    /// Returns the slope alone, for callers that need no interval; `None` unless two points differ in x.
    pub fn slope(x: &[f64], y: &[f64]) -> Option<f64> {
        median(&mut pairwise(x, y))
    }

    /// Returns the line's value at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// Returns the slope between every two points that differ in x.
fn pairwise(x: &[f64], y: &[f64]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(x.len() * x.len().saturating_sub(1) / 2);
    for (i, (&x_first, &y_first)) in x.iter().zip(y).enumerate() {
        for (&x_second, &y_second) in x.iter().zip(y).skip(i + 1) {
            if x_second != x_first {
                slopes.push((y_second - y_first) / (x_second - x_first));
            }
        }
    }
    slopes
}
