//! [`Recorded`]: series that are described become what the monitor measures.
//!
//! Counters and histograms grow by the difference of two values; a value that is smaller than the one before is a restart, and
//! counts from 0. Where a series begins with the test, its first value is where it stands.

use std::collections::BTreeMap;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};

use super::{
    labels::SeriesName,
    notation::Sample,
    series::{Part, Series},
};
use crate::monitor::Simulation;

static METADATA: Metadata<'static> = Metadata::new("pinchpoint", Level::INFO, Some("pinchpoint"));

/// Points that the observations between two edges are spread over.
const POINTS: u64 = 20;
/// What is longer than the last edge is so much longer.
const BEYOND: f64 = 1.1;

/// What is recorded of some series.
pub(super) enum Recorded {
    Counter {
        key: Key,
        samples: Vec<Sample>,
        handle: Option<Counter>,
        grown: Grown,
        scale: f64,
        counted: u64,
    },
    /// A gauge, or a total that is kept as one.
    Gauge {
        key: Key,
        samples: Vec<Sample>,
        handle: Option<Gauge>,
        total: Option<Grown>,
    },
    Histogram {
        key: Key,
        handle: Option<Histogram>,
        sum: Option<Growing>,
        counts: Vec<(f64, Growing)>,
    },
}

/// What a counter has grown by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grown {
    last: Option<f64>,
    total: f64,
}

impl Grown {
    /// Takes the value at a step, and returns by how much it grew.
    fn take(&mut self, value: f64, step: usize) -> f64 {
        let grew = match self.last {
            Some(last) if value >= last => value - last,
            None if step == 0 => 0.0,
            _ => value.max(0.0),
        };
        self.last = Some(value);
        self.total += grew;
        grew
    }
}

/// A part of a histogram.
#[derive(Clone, Debug)]
pub(super) struct Growing {
    samples: Vec<Sample>,
    grown: Grown,
}

impl Growing {
    fn new(samples: Vec<Sample>) -> Self {
        Self { samples, grown: Grown::default() }
    }

    fn take(&mut self, step: usize) -> f64 {
        match self.samples.get(step) {
            Some(Sample::Value(value)) => self.grown.take(*value, step),
            Some(Sample::Stale) => {
                self.grown.last = None;
                0.0
            }
            Some(Sample::Missing) | None => 0.0,
        }
    }
}

/// Groups the series of each histogram.
///
/// # Errors
/// Returns which part of a histogram is missing, or stands beside one that says the same, with the place of its series in `all`.
pub(super) fn recorded(all: Vec<Series>) -> Result<Vec<Recorded>, (usize, String)> {
    let mut each = Vec::new();
    let mut histograms: BTreeMap<SeriesName, Vec<(usize, Series)>> = BTreeMap::new();
    for (place, series) in all.into_iter().enumerate() {
        let key = key(&series.name);
        let Series { name, part, samples } = series;
        let grown = Grown::default();
        match part {
            Part::Counter => each.push(Recorded::Counter { key, samples, handle: None, grown, scale: 1.0, counted: 0 }),
            Part::Nanos => each.push(Recorded::Counter { key, samples, handle: None, grown, scale: 1e9, counted: 0 }),
            Part::Total => each.push(Recorded::Gauge { key, samples, handle: None, total: Some(grown) }),
            Part::Gauge => each.push(Recorded::Gauge { key, samples, handle: None, total: None }),
            Part::Bucket(_) | Part::Sum | Part::Count => {
                histograms.entry(name.clone()).or_default().push((place, Series { name, part, samples }));
            }
        }
    }
    for (name, parts) in histograms {
        each.push(histogram(&name, parts)?);
    }
    Ok(each)
}

fn histogram(name: &SeriesName, parts: Vec<(usize, Series)>) -> Result<Recorded, (usize, String)> {
    let place = parts[0].0;
    let (mut sum, mut count, mut counts) = (None, None, Vec::new());
    for (place, Series { part, samples, .. }) in parts {
        let growing = Growing::new(samples);
        match part {
            Part::Sum => sum = Some(growing),
            Part::Count => count = Some(growing),
            Part::Bucket(edge) if counts.iter().any(|(known, _)| *known == edge) => {
                return Err((place, format!("{}: two series with the same edge", name.metric)));
            }
            Part::Bucket(edge) => counts.push((edge, growing)),
            Part::Counter | Part::Nanos | Part::Total | Part::Gauge => {}
        }
    }
    let metric = &name.metric;
    match (&sum, count, counts.is_empty()) {
        (Some(_), Some(count), true) => counts.push((f64::INFINITY, count)),
        (None, None, false) => counts.sort_by(|a, b| a.0.total_cmp(&b.0)),
        (.., true) => {
            return Err((place, format!("expected {metric}_sum and {metric}_count together, or {metric}_bucket")));
        }
        (.., false) => {
            let reason = "the buckets say how long the observations are and how many";
            return Err((
                place,
                format!("{metric}_bucket beside {metric}_sum or {metric}_count; expected either, since {reason}"),
            ));
        }
    }
    Ok(Recorded::Histogram { key: key(name), handle: None, sum, counts })
}

fn key(name: &SeriesName) -> Key {
    let labels: Vec<Label> = name.labels.iter().map(|(name, value)| Label::new(name.clone(), value.clone())).collect();
    Key::from_parts(name.metric.clone(), labels)
}

impl Recorded {
    /// Records the values of a step. Returns how many observations it made.
    pub(super) fn record(&mut self, step: usize, simulation: &Simulation) -> u64 {
        let recorder = simulation.recorder();
        match self {
            Self::Counter { key, samples, handle, grown, scale, counted } => match samples.get(step) {
                Some(Sample::Value(value)) => {
                    grown.take(*value, step);
                    let until = (grown.total * *scale + 1e-6) as u64;
                    let handle = handle.get_or_insert_with(|| recorder.register_counter(key, &METADATA));
                    handle.increment(until.saturating_sub(*counted));
                    *counted = until;
                }
                Some(Sample::Stale) => (*handle, grown.last) = (None, None),
                Some(Sample::Missing) | None => {}
            },
            Self::Gauge { key, samples, handle, total } => match samples.get(step) {
                Some(Sample::Value(value)) => {
                    let shown = total.as_mut().map_or(*value, |grown| {
                        grown.take(*value, step);
                        grown.total
                    });
                    handle.get_or_insert_with(|| recorder.register_gauge(key, &METADATA)).set(shown);
                }
                Some(Sample::Stale) => *handle = None,
                Some(Sample::Missing) | None => {}
            },
            Self::Histogram { key, handle, sum, counts } => {
                let handle = handle.get_or_insert_with(|| recorder.register_histogram(key, &METADATA));
                return observe(handle, sum.as_mut().map(|sum| sum.take(step)), counts, step);
            }
        }
        0
    }
}

/// Records observations: all alike where their sum is known, or else spread evenly between their edges.
fn observe(handle: &Histogram, sum: Option<f64>, counts: &mut [(f64, Growing)], step: usize) -> u64 {
    let (mut lower, mut below, mut all) = (0.0, 0.0, 0);
    for (upper, counted) in counts {
        let up_to = counted.take(step);
        let count = (up_to - below).max(0.0).round() as u64;
        (below, all) = (up_to.max(below), all + count);
        match sum {
            Some(sum) if count > 0 => {
                handle.record_many(sum / count as f64, usize::try_from(count).unwrap_or(usize::MAX))
            }
            Some(_) => {}
            None => spread(handle, (lower, if upper.is_finite() { *upper } else { lower * BEYOND }), count),
        }
        lower = *upper;
    }
    all
}

fn spread(handle: &Histogram, (lower, upper): (f64, f64), count: u64) {
    let points = count.min(POINTS);
    for point in 0..points {
        let value = lower + (upper - lower) * (point as f64 + 0.5) / points as f64;
        let times = count / points + u64::from(point < count % points);
        handle.record_many(value, usize::try_from(times).unwrap_or(usize::MAX));
    }
}
