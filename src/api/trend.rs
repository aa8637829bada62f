//! [`TrendView`]: one trend as it is published.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{timestamp, units};
use crate::{
    analysis::{Direction, FEWEST_BUCKETS, Movement, Shape, Trend},
    rules::{SeriesTrend, Unit},
};

/// Which way a measure goes.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct TrendView {
    /// `improving`, `degrading`, `stable`, or `unknown` with too few data.
    #[serde(serialize_with = "direction_name")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "degrading"))]
    pub(super) direction: Direction,
    /// The verdict in words.
    pub(super) message: String,
    /// Unit of `change`, `series` and, per hour, of the slope: `ms`, `percent`, `mb` or `per_second`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub(super) unit: TrendUnit,
    /// From the beginning to the end, or the height of the step.
    pub(super) change: Option<f64>,
    /// The same as a share of the value at the beginning; null where that was zero.
    pub(super) change_percent: Option<f64>,
    pub(super) slope_per_hour: Option<f64>,
    /// 95 % interval of the slope.
    pub(super) slope_low: Option<f64>,
    pub(super) slope_high: Option<f64>,
    /// 1 less the p-value: the share of series without any change that look less changed than this one. It holds where
    /// neighbouring buckets are not much alike; waves longer than the period look like a change.
    pub(super) confidence: Option<f64>,
    /// `gradual`, or `step` for a change at one moment.
    pub(super) shape: Option<&'static str>,
    /// The moment of a step.
    pub(super) step_at: Option<String>,
    /// Observations behind the verdict: requests, or readings of the memory.
    pub(super) samples: Option<u64>,
    /// Time buckets with enough observations, after poor ones were pooled with their neighbours.
    pub(super) bucket_count: usize,
    /// How many of them a verdict needs.
    pub(super) needed_buckets: usize,
    /// The value of each bucket.
    pub(super) series: Vec<Option<f64>>,
}

/// A unit that trends are published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum TrendUnit {
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "percent")]
    Percent,
    #[serde(rename = "mb")]
    Megabytes,
    #[serde(rename = "per_second")]
    PerSecond,
}

/// The time that a trend is about.
#[derive(Clone, Copy)]
pub(super) struct Coverage {
    /// Length of a time bucket.
    pub(super) width: Duration,
    /// How much of the requested time there are data of.
    pub(super) covered: Duration,
    pub(super) requested: Duration,
}

impl TrendUnit {
    /// Converts a value from the core's unit: seconds, a ratio, bytes, events a second.
    pub(super) fn publish(self, value: f64) -> f64 {
        match self {
            Self::Millis => units::millis(value),
            Self::Percent => units::percent(value),
            Self::Megabytes => units::megabytes(value),
            Self::PerSecond => units::round_millis(value),
        }
    }

    /// Writes a published value for people.
    pub(super) fn render(self, value: f64) -> String {
        match self {
            Self::Millis => Unit::Seconds.render(value / 1e3),
            Self::Percent => Unit::Ratio.render(value / 1e2),
            Self::Megabytes => Unit::Bytes.render(value * 1e6),
            Self::PerSecond => Unit::PerSecond.render(value),
        }
    }

    /// Writes the size of a change for people. A rate of 2 % that doubles is up by 2 percentage points and not by 2 %.
    fn render_change(self, change: f64) -> String {
        match self {
            Self::Percent => format!("{} percentage points", Unit::Count.render(change)),
            Self::PerSecond => format!("{} requests a second", Unit::Count.render(change)),
            Self::Millis | Self::Megabytes => self.render(change),
        }
    }
}

/// Returns the published name of a direction.
pub(super) fn direction_str(direction: Direction) -> &'static str {
    match direction {
        Direction::Improving => "improving",
        Direction::Degrading => "degrading",
        Direction::Stable => "stable",
        Direction::Unknown => "unknown",
    }
}

fn direction_name<S: Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(direction_str(*direction))
}

impl TrendView {
    pub(super) fn of(judged: &SeriesTrend, unit: TrendUnit, coverage: Coverage) -> Self {
        let series = judged.series.iter().map(|value| value.map(|value| unit.publish(value))).collect();
        let unknown = Self {
            direction: judged.trend.direction(),
            message: String::new(),
            unit,
            change: None,
            change_percent: None,
            slope_per_hour: None,
            slope_low: None,
            slope_high: None,
            confidence: None,
            shape: None,
            step_at: None,
            samples: None,
            bucket_count: 0,
            needed_buckets: FEWEST_BUCKETS,
            series,
        };
        match &judged.trend {
            Trend::Unknown { buckets, needed, each, samples } => Self {
                message: missing_data((*buckets, *needed), *each, *samples, coverage),
                bucket_count: *buckets,
                needed_buckets: *needed,
                ..unknown
            },
            Trend::Known(movement) => {
                let (shape, step_at) = shape(movement, coverage.width);
                Self {
                    message: movement_in_words(movement, unit, step_at.as_deref()),
                    change: Some(unit.publish(movement.change)),
                    change_percent: movement.change_ratio.map(units::percent),
                    slope_per_hour: Some(unit.publish(movement.slope_per_hour)),
                    slope_low: Some(unit.publish(movement.slope_interval.0)),
                    slope_high: Some(unit.publish(movement.slope_interval.1)),
                    confidence: Some(units::round_micros(movement.confidence())),
                    shape: Some(shape),
                    step_at,
                    samples: Some(movement.samples as u64),
                    bucket_count: movement.buckets,
                    ..unknown
                }
            }
        }
    }
}

/// Returns the published name of a movement's shape, and the moment of a step.
fn shape(movement: &Movement, width: Duration) -> (&'static str, Option<String>) {
    match movement.shape {
        Shape::Gradual => ("gradual", None),
        Shape::Step { at_seconds } => {
            // `at_seconds` is the middle of the first bucket after the step; the step is dated to that bucket's start.
            let start = (at_seconds - width.as_secs_f64() / 2.0).max(0.0);
            ("step", Some(timestamp::of_wall(Duration::from_secs_f64(start))))
        }
    }
}

fn movement_in_words(movement: &Movement, unit: TrendUnit, step_at: Option<&str>) -> String {
    if movement.withheld {
        return "stable: the mean changed by no more than failed requests explain".to_owned();
    }
    if movement.direction == Direction::Stable {
        return "stable: no change that is both certain and large enough to matter".to_owned();
    }
    let direction = direction_str(movement.direction);
    let verb = if movement.change > 0.0 { "up" } else { "down" };
    let change = unit.render_change(unit.publish(movement.change.abs()));
    let share = movement.change_ratio.map_or_else(String::new, |ratio| format!(" ({:+.0}%)", ratio * 100.0));
    let how = match step_at {
        Some(at) => format!("at once, at {at}"),
        None => format!("gradually over {}", Unit::Seconds.render(movement.span.as_secs_f64())),
    };
    format!("{direction}: {verb} by {change}{share} {how}")
}

/// Says how many buckets are missing, and how long they take at the rate of those that there are.
fn missing_data((buckets, needed): (usize, usize), each: f64, samples: f64, coverage: Coverage) -> String {
    let Coverage { width, covered, requested } = coverage;
    let of_requests = if each > 0.0 { format!(" with at least {each} requests each") } else { String::new() };
    let missing = format!("too little data: {buckets} time buckets{of_requests}, {needed} are needed");
    let mut seconds = needed.saturating_sub(buckets) as f64 * width.as_secs_f64();
    if each > 0.0 {
        if samples <= 0.0 {
            return format!("{missing}; there was no request");
        }
        let rate = samples / covered.as_secs_f64().max(1.0);
        seconds = seconds.max((needed as f64 * each - samples) / rate);
    }
    let total = covered.as_secs_f64() + seconds;
    if total > requested.as_secs_f64() {
        format!("{missing}; at this traffic they take about {}, longer than the requested time", about(total))
    } else {
        format!("{missing}; at this traffic they take about {} more", about(seconds))
    }
}

/// Writes a time to wait for people: rounded up, so that it is long enough.
fn about(seconds: f64) -> String {
    let step = match seconds {
        ..60.0 => 1.0,
        ..3600.0 => 60.0,
        // A tenth of an hour.
        _ => 360.0,
    };
    Unit::Seconds.render((seconds / step).ceil() * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_say_how_long_they_take() {
        let coverage = |covered: u64, requested: u64| Coverage {
            width: Duration::from_secs(60),
            covered: Duration::from_secs(covered * 60),
            requested: Duration::from_secs(requested * 60),
        };
        #[track_caller]
        fn check(message: &str, end: &str) {
            assert_eq!(message.strip_prefix("too little data: "), Some(end));
        }
        check(
            &missing_data((3, 8), 0.0, 3.0, coverage(3, 60)),
            "3 time buckets, 8 are needed; at this traffic they take about 5m more",
        );
        check(
            &missing_data((0, 8), 20.0, 0.0, coverage(30, 60)),
            "0 time buckets with at least 20 requests each, 8 are needed; there was no request",
        );
        // Two calls a minute: 160 of them take 80 minutes.
        check(
            &missing_data((3, 8), 20.0, 60.0, coverage(30, 60)),
            "3 time buckets with at least 20 requests each, 8 are needed; at this traffic they take about 1.4h, longer \
             than the requested time",
        );
        check(
            &missing_data((3, 8), 20.0, 60.0, coverage(30, 24 * 60)),
            "3 time buckets with at least 20 requests each, 8 are needed; at this traffic they take about 50m more",
        );
        check(
            &missing_data((2, 8), 5.0, 1000.0, coverage(2, 60)),
            "2 time buckets with at least 5 requests each, 8 are needed; at this traffic they take about 6m more",
        );
    }

    #[test]
    fn waiting_times_are_rounded_up_and_read_as_every_duration() {
        let texts = [0.2, 59.1, 60.0, 61.0, 3599.0, 3601.0, 86_400.0].map(about);
        assert_eq!(texts, ["1s", "1m", "1m", "2m", "1h", "1.1h", "24h"]);
    }
}
