//! [`Trace`]: the values of a series, written as promtool reads them.

use std::fmt;

/// Values are multiples of its reciprocal, a millionth: then what promtool adds up is the value that follows to the last bit. A
/// counter that were a little less than what was added up would be one that began anew.
const FINEST: f64 = (1 << 20) as f64;

/// The values of one series, by scrape; `None` where it was not there.
#[derive(Debug, Default)]
pub(super) struct Trace(Vec<Option<f64>>);

impl Trace {
    /// Sets the value of a scrape; those before it that are not set are missing.
    pub(super) fn set(&mut self, at: usize, value: f64) {
        self.0.resize(self.0.len().max(at + 1), None);
        self.0[at] = Some((value * FINEST).round() / FINEST);
    }

    /// Notes that the series was not there at a scrape, or that the scrape failed.
    pub(super) fn miss(&mut self, at: usize) {
        self.0.resize(self.0.len().max(at + 1), None);
    }

    /// Returns whether nothing was counted.
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().flatten().all(|value| *value == 0.0)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        let mut separator = "";
        let mut is_there = false;
        while let Some(first) = rest.first() {
            f.write_str(separator)?;
            separator = " ";
            let length = match first {
                // What a Prometheus notes at the first scrape without the series: its value is the last one no longer.
                None if is_there => {
                    f.write_str("stale")?;
                    1
                }
                None => {
                    let missing = rest.iter().take_while(|value| value.is_none()).count();
                    write!(f, "_x{missing}")?;
                    missing
                }
                Some(first) => line(*first, rest, f)?,
            };
            is_there = first.is_some();
            rest = &rest[length..];
        }
        Ok(())
    }
}

/// Writes the longest line that begins the values, and returns how many they are.
fn line(first: f64, values: &[Option<f64>], f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
    let step = values.get(1).copied().flatten().map(|second| second - first);
    let Some(step) = step.filter(|step| step.is_finite() && first.is_finite()) else {
        write!(f, "{first}")?;
        return Ok(1);
    };
    let mut next = first;
    let is_next = |value: &&Option<f64>| {
        let is_next = **value == Some(next);
        next += step;
        is_next
    };
    let length = values.iter().take_while(is_next).count();
    let more = length - 1;
    match step {
        _ if more == 0 => write!(f, "{first}")?,
        0.0 => write!(f, "{first}x{more}")?,
        ..0.0 => write!(f, "{first}{step}x{more}")?,
        _ => write!(f, "{first}+{step}x{more}")?,
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[Option<f64>], expected: &str) {
        let mut trace = Trace::default();
        values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some((at, (*value)?)))
            .for_each(|(at, value)| trace.set(at, value));
        assert_eq!(trace.to_string(), expected);
    }

    #[test]
    fn values_in_a_line_are_written_once() {
        check(&[Some(1.0), Some(1.0), Some(1.0)], "1x2");
        check(&[Some(0.0), Some(2.5), Some(5.0), Some(5.0), Some(4.0), Some(3.0)], "0+2.5x2 5-1x2");
        check(&[Some(897.0), Some(897.0 - 1e-11)], "897x1");
        check(&[Some(7.0)], "7");
    }

    #[test]
    fn a_series_that_vanished_is_stale() {
        let mut trace = Trace::default();
        trace.set(0, 3.0);
        trace.miss(1);
        trace.miss(2);
        assert_eq!(trace.to_string(), "3 stale _x1");
    }

    #[test]
    fn what_is_missing_is_not_a_value() {
        check(&[None, None, Some(3.0), None, Some(4.0)], "_x2 3 stale 4");
        check(&[Some(3.0), None, None, None, Some(4.0)], "3 stale _x2 4");
        check(&[Some(f64::NAN), Some(1.0), Some(1.0)], "NaN 1x1");
    }
}
