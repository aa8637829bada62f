//! [`XAxis`]: what stands along the bottom of a [`Chart`](super::Chart).
//!
//! Labels stand at equal distances from one end to the other, so that a row of words needs no place of its own for each. All
//! but a wall clock therefore end at round values. Invariant: nothing measured lies outside of an axis.

use jiff::{Timestamp, tz::TimeZone};

use super::{html::Html, numbers};

/// Steps between labels, at most: six labels fit on a phone.
const MOST_STEPS: f64 = 5.0;
/// Steps that people count time in, in seconds; below and above, those of [`ROUND`].
const TIMES: [f64; 16] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0];
/// Round numbers, of any power of ten.
const ROUND: [f64; 6] = [1.0, 2.0, 2.5, 4.0, 5.0, 10.0];
const DAY: f64 = 86_400.0;

/// What the places along a chart mean. All values are given by ascending x.
#[derive(Clone)]
pub enum XAxis<'a> {
    /// Seconds since the Unix epoch, shown in a time zone.
    WallClock(TimeZone),
    /// Seconds since a start; the axis begins at 0.
    Elapsed,
    /// Any value, and how it is written.
    Linear(&'a dyn Fn(f64) -> String),
    /// Any value above 0, by factors of ten, and how it is written.
    Logarithmic(&'a dyn Fn(f64) -> String),
}

impl std::fmt::Debug for XAxis<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WallClock(_) => "WallClock",
            Self::Elapsed => "Elapsed",
            Self::Linear(_) => "Linear",
            Self::Logarithmic(_) => "Logarithmic",
        })
    }
}

/// An axis around the values of a chart.
pub(super) struct Scale<'a> {
    axis: &'a XAxis<'a>,
    /// In seconds, values, or powers of ten.
    low: f64,
    high: f64,
    steps: u32,
}

impl<'a> Scale<'a> {
    pub(super) fn around(axis: &'a XAxis<'a>, values: &[f64]) -> Self {
        let places = values.iter().filter(|value| value.is_finite()).map(|value| axis.place(*value));
        let (low, high) =
            places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 0.0) };
        match axis {
            XAxis::WallClock(_) => {
                let span = high - low;
                let whole_minutes = |steps: &u32| (span / f64::from(*steps)) % 60.0 == 0.0;
                let steps = if span < 2.0 { 1 } else { [4, 5, 3, 6].into_iter().find(whole_minutes).unwrap_or(4) };
                Self { axis, low, high, steps }
            }
            XAxis::Elapsed => Self::round(axis, 0.0, high, time_step(high / MOST_STEPS)),
            XAxis::Linear(_) => Self::round(axis, low, high, round_above((high - low) / MOST_STEPS)),
            XAxis::Logarithmic(_) => {
                let span = high.ceil() - low.floor();
                Self::round(axis, low, high, (span / MOST_STEPS).ceil().max(1.0))
            }
        }
    }

    /// An axis whose ends are multiples of a step.
    fn round(axis: &'a XAxis<'a>, low: f64, high: f64, step: f64) -> Self {
        let low = (low / step).floor() * step;
        let steps = ((high - low) / step - 1e-9).ceil().clamp(1.0, 2.0 * MOST_STEPS);
        Self { axis, low, high: low + steps * step, steps: steps as u32 }
    }

    /// Returns where a value lies, in per cent from the left.
    pub(super) fn percent(&self, value: f64) -> f64 {
        let extent = self.high - self.low;
        // Of a single moment nothing is known but that it is the latest.
        if extent <= 0.0 { 100.0 } else { ((self.axis.place(value) - self.low) / extent * 100.0).clamp(0.0, 100.0) }
    }

    /// Writes a value as its axis does.
    pub(super) fn write(&self, value: f64) -> String {
        match self.axis {
            _ if !value.is_finite() => numbers::NOTHING.to_owned(),
            XAxis::WallClock(zone) => self.clock(value, zone),
            XAxis::Elapsed if value == 0.0 => "0".to_owned(),
            XAxis::Elapsed => numbers::seconds(value),
            XAxis::Linear(write) | XAxis::Logarithmic(write) => write(value),
        }
    }

    fn clock(&self, seconds: f64, zone: &TimeZone) -> String {
        let span = self.high - self.low;
        let format = match () {
            // Minutes would be wrong by as much as half a step.
            () if span < 1200.0 && (span / f64::from(self.steps)) % 60.0 != 0.0 => "%H:%M:%S",
            () if span <= DAY => "%H:%M",
            () if span <= 3.0 * DAY => "%-d %b %H:%M",
            () => "%-d %b",
        };
        moment(seconds).to_zoned_datetime(zone.clone()).strftime(format).to_string()
    }

    /// Writes a value as an element: a moment of the wall clock carries its date and its zone.
    pub(super) fn label(&self, page: &mut Html, value: f64) {
        match self.axis {
            XAxis::WallClock(zone) => {
                let zoned = moment(value).to_zoned_datetime(zone.clone());
                let full = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
                page.raw("<time").attribute("datetime", &full);
                // What a script writes in the zone of the reader has no more room.
                page.raw(match self.high - self.low {
                    ..600.0 => "",
                    ..=DAY => " data-short=\"time\"",
                    _ => " data-short=\"day\"",
                });
                page.element(">", &self.write(value), "</time>");
            }
            _ => _ = page.element("<span>", &self.write(value), "</span>"),
        }
    }

    /// Returns the values of the labels, at equal distances from end to end.
    pub(super) fn labels(&self) -> impl Iterator<Item = f64> {
        let step = (self.high - self.low) / f64::from(self.steps);
        let last = if step > 0.0 { self.steps } else { 0 };
        (0..=last).map(move |at| self.axis.value(self.low + f64::from(at) * step))
    }

    /// Returns how many steps there are between the first label and the last.
    pub(super) fn steps(&self) -> u32 {
        self.steps
    }
}

impl XAxis<'_> {
    fn place(&self, value: f64) -> f64 {
        match self {
            Self::Logarithmic(_) => value.max(1e-9).log10(),
            _ => value,
        }
    }

    fn value(&self, place: f64) -> f64 {
        match self {
            Self::Logarithmic(_) => 10_f64.powf(place),
            _ => place,
        }
    }
}

/// Returns a moment of the wall clock; the epoch for what lies outside of its years.
fn moment(seconds: f64) -> Timestamp {
    // `as` keeps what is too large inside, and jiff refuses it.
    Timestamp::from_millisecond((seconds * 1e3) as i64).unwrap_or_default()
}

fn time_step(seconds: f64) -> f64 {
    let known = (seconds > 0.5).then(|| TIMES.into_iter().find(|step| *step >= seconds)).flatten();
    known.unwrap_or_else(|| round_above(seconds))
}

/// Returns the next round number; 1 for what is not above 0.
pub(super) fn round_above(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    ROUND.into_iter().map(|step| step * power).find(|round| *round >= value * 0.999_999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &XAxis<'_>, values: &[f64], expected: &[&str]) {
        let scale = Scale::around(axis, values);
        let labels: Vec<String> = scale.labels().map(|value| scale.write(value)).collect();
        assert_eq!(labels, expected);
        for value in values.iter().filter(|value| value.is_finite()) {
            assert!((0.0..=100.0).contains(&scale.percent(*value)));
        }
    }

    #[test]
    fn labels_are_round_and_reach_from_end_to_end() {
        check(&XAxis::Elapsed, &[0.5, 9.5], &["0", "2s", "4s", "6s", "8s", "10s"]);
        check(&XAxis::Elapsed, &[0.5, 61.0], &["0", "15s", "30s", "45s", "1m", "1.25m"]);
        check(&XAxis::Elapsed, &[0.3], &["0", "100ms", "200ms", "300ms"]);
        check(&XAxis::Elapsed, &[], &["0", "1s"]);
        let plain = |value: f64| numbers::number(value);
        check(&XAxis::Linear(&plain), &[20.0, 40.0, 80.0], &["20", "40", "60", "80"]);
        check(&XAxis::Linear(&plain), &[7.0], &["7", "8"]);
        check(&XAxis::Logarithmic(&plain), &[0.003, 2.0], &["0.001", "0.01", "0.1", "1", "10"]);
        check(&XAxis::Logarithmic(&plain), &[1e-6, 1e6], &["0.000001", "0.001", "1", "1000", "1000000"]);
        check(&XAxis::Logarithmic(&plain), &[0.0, f64::NAN], &["0.000000001", "0.00000001"]);
    }

    #[test]
    fn a_clock_says_as_much_as_its_span_needs() {
        let clock = XAxis::WallClock(TimeZone::UTC);
        let noon = 1_764_590_400.0;
        check(&clock, &[noon, noon + 60.0], &["12:00:00", "12:00:15", "12:00:30", "12:00:45", "12:01:00"]);
        check(&clock, &[noon, noon + 900.0], &["12:00", "12:03", "12:06", "12:09", "12:12", "12:15"]);
        check(&clock, &[noon, noon + 3600.0], &["12:00", "12:15", "12:30", "12:45", "13:00"]);
        check(&clock, &[noon, noon + 4.0 * DAY], &["1 Dec", "2 Dec", "3 Dec", "4 Dec", "5 Dec"]);
        check(&clock, &[noon], &["12:00"]);
        check(&clock, &[f64::MAX], &["00:00"]);
        let mut page = Html::default();
        Scale::around(&clock, &[noon]).label(&mut page, noon);
        assert_eq!(page.finish(), "<time datetime=\"2025-12-01T12:00:00+00:00\">12:00</time>");
    }

    #[test]
    fn a_round_number_is_at_least_the_value() {
        for (value, round) in [(0.0, 1.0), (0.013, 0.02), (7.0, 10.0), (10.0, 10.0), (230.0, 250.0)] {
            assert!((round_above(value) - round).abs() < 1e-9, "{value}: {}", round_above(value));
        }
    }
}
