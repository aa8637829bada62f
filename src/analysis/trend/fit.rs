//! [`Fit`]: a line and a step fitted to one series, and the choice between them.

use super::super::statistics::{MannKendall, Step, TheilSen, inflation, median};

/// P-value below which a change counts as real.
pub(super) const LEVEL: f64 = 0.01;

/// Both shapes fitted to one series.
pub(super) struct Fit {
    pub(super) line: TheilSen,
    step: Option<Step>,
    step_fits_better: bool,
    p_line: f64,
    p_step: f64,
}

/// How a series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Bit by bit, over the whole period.
    Gradual,
    /// At once, at the given time.
    Step {
        /// Middle of the first bucket after the step.
        at_seconds: f64,
    },
}

impl Fit {
    /// Fits both shapes; `None` where all points are at one time.
    pub(super) fn of(x: &[f64], y: &[f64], kendall: &MannKendall) -> Option<Self> {
        let line = TheilSen::fit(x, y, kendall, 1.0)?;
        let step = Step::locate(y);
        let off_line: Vec<f64> = x.iter().zip(y).map(|(&x, y)| y - line.at(x)).collect();
        let off_step: Option<Vec<f64>> =
            step.map(|step| y.iter().enumerate().map(|(index, y)| y - step.at(index)).collect());
        let size = |residuals: &[f64]| residuals.iter().map(|residual| residual.abs()).sum::<f64>();
        // Serial correlation is estimated from the residuals of the better shape: those of a step from a straight line
        // are strongly correlated, and would hide the step from its own test.
        let better = off_step.filter(|off_step| size(off_step) < size(&off_line));
        let factor = inflation(better.as_deref().unwrap_or(&off_line));
        let line = if factor > 1.0 { TheilSen::fit(x, y, kendall, factor)? } else { line };
        Some(Self {
            line,
            step,
            step_fits_better: better.is_some(),
            p_line: kendall.p_value(factor),
            p_step: step.map_or(1.0, |step| step.p_value(y, factor)),
        })
    }

    /// Returns the smaller of the two p-values, with Bonferroni's correction for both.
    pub(super) fn p_value(&self) -> f64 {
        (2.0 * self.p_line.min(self.p_step)).min(1.0)
    }

    /// Returns the shape to report, its change, and the level that it started from.
    pub(super) fn change(&self, x: &[f64], y: &[f64]) -> (Shape, f64, f64) {
        // Bonferroni: each of the two tests gets half of the level.
        let certain = LEVEL / 2.0;
        let is_step =
            if self.step_fits_better { self.p_step < certain } else { self.p_line >= certain && self.p_step < certain };
        if let Some(step) = self.step.filter(|_| is_step) {
            return (Shape::Step { at_seconds: x[step.index] }, step.after - step.before, step.before);
        }
        let (first, last) = (x[0], x[x.len() - 1]);
        let start = self.line.at(first);
        // A line through a late rise can start below zero, which no measure does: then the first quarter's median
        // counts.
        let start = if start > 0.0 { start } else { median(&mut y[..y.len() / 4].to_vec()).unwrap_or(0.0) };
        (Shape::Gradual, self.line.at(last) - self.line.at(first), start)
    }
}
