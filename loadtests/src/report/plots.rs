//! The plots of a page: an endpoint over time, the distribution of latencies, a search for the capacity.

use pinchpoint::markup::{Band, Chart, Line, Mark, MarkKind, Stroke, XAxis, numbers};

use crate::result::{Capacity, CapacityStep, EndpointResult, OutageResult, PointResult, StepEnd};

/// The percentiles that are drawn.
const PERCENTILES: [(&str, Stroke); 3] = [("p50", Stroke::First), ("p95", Stroke::Second), ("p99", Stroke::Third)];

/// A plot, with the places of its points.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// Writes a y value.
    show_y: fn(f64) -> String,
    axis: Axis,
    x: Vec<f64>,
    lines: Vec<Line>,
    marks: Vec<Mark>,
    bands: Vec<Band>,
}

/// What x is.
#[derive(Clone, Copy, Debug)]
enum Axis {
    /// Seconds since the start of the measurement.
    Time,
    /// Users, or requests a second.
    Load,
    /// Seconds, by factors of ten.
    Latency,
}

impl Plot {
    /// Returns the plot as a part of the page; `None` without a value.
    pub(super) fn chart(&self) -> Option<Chart<'_>> {
        let has_value = self.lines.iter().any(|line| line.values.iter().any(Option::is_some));
        let axis = match self.axis {
            Axis::Time => XAxis::Elapsed,
            Axis::Load => XAxis::Linear(&numbers::number),
            Axis::Latency => XAxis::Logarithmic(&numbers::seconds),
        };
        has_value.then(|| Chart {
            lines: self.lines.clone(),
            marks: self.marks.clone(),
            bands: self.bands.clone(),
            ..Chart::new(self.title.as_str(), &self.show_y, axis, &self.x)
        })
    }
}

/// Latency and throughput of an endpoint over time, with the times shaded in which nothing succeeded.
pub(super) fn over_time(endpoint: &EndpointResult, title: &str, outages: &[OutageResult]) -> [Plot; 2] {
    let points = without_holes(&endpoint.series);
    let x: Vec<f64> = points.iter().map(|point| point.start + point.span / 2.0).collect();
    let values: [fn(&PointResult) -> Option<f64>; 3] = [|point| point.p50, |point| point.p95, |point| point.p99];
    let measured =
        |point: &PointResult, value: fn(&PointResult) -> Option<f64>| value(point).filter(|_| point.requests > 0);
    let latency = PERCENTILES
        .into_iter()
        .zip(values)
        .map(|((name, stroke), value)| line(name, stroke, points.iter().map(|point| measured(point, value)).collect()));
    let band = |outage: &OutageResult| Band {
        from: outage.start,
        to: outage.start + outage.seconds,
        text: "nothing succeeded".to_owned(),
    };
    let bands: Vec<Band> = outages.iter().map(band).collect();
    let latency = Plot {
        show_y: numbers::seconds,
        lines: latency.collect(),
        bands: bands.clone(),
        ..plot(format!("{title}: latency"), Axis::Time, x.clone())
    };
    let per_second = |count: fn(&PointResult) -> u64| {
        let rate = |point: &PointResult| (point.span > 0.0).then(|| count(point) as f64 / point.span);
        points.iter().map(rate).collect()
    };
    let rate = Plot {
        lines: vec![
            line("all", Stroke::First, per_second(|point| point.requests)),
            line("failed", Stroke::Bad, per_second(|point| point.failed)),
        ],
        show_y: numbers::per_second,
        bands,
        ..plot(format!("{title}: requests a second"), Axis::Time, x)
    };
    [latency, rate]
}

/// The points of a series, with an empty one wherever a time has none, since nothing was answered then.
fn without_holes(series: &[PointResult]) -> Vec<PointResult> {
    let mut points: Vec<PointResult> = Vec::with_capacity(series.len());
    for point in series {
        if let Some(end) = points.last().map(|before| before.start + before.span) {
            let hole = point.start - end;
            if hole > point.span / 100.0 {
                points.push(PointResult { start: end, span: hole, ..PointResult::default() });
            }
        }
        points.push(PointResult { distribution: Default::default(), ..point.clone() });
    }
    points
}

/// How the latencies of successful requests are distributed.
pub(super) fn distribution(total: &EndpointResult) -> Plot {
    let count: u64 = total.distribution.iter().map(|(_, count)| count).sum();
    let share = |(_, cell): &(f64, u64)| Some(*cell as f64 / count.max(1) as f64);
    Plot {
        show_y: numbers::ratio,
        lines: vec![line("share", Stroke::First, total.distribution.iter().map(share).collect())],
        ..plot(
            "Distribution of successful requests by latency".to_owned(),
            Axis::Latency,
            total.distribution.iter().map(|(edge, _)| *edge).collect(),
        )
    }
}

/// Latency and throughput against the loads that a search tried.
pub(super) fn capacity(capacity: &Capacity) -> [Plot; 2] {
    // An interrupted step has measured next to nothing.
    let mut steps: Vec<&CapacityStep> =
        capacity.steps.iter().filter(|step| step.ended != StepEnd::Interrupted).collect();
    steps.sort_by(|a, b| a.load.total_cmp(&b.load));
    let x: Vec<f64> = steps.iter().map(|step| step.load).collect();
    let unit = &capacity.unit;
    let mark = |x| Mark { x, kind: MarkKind::Version, text: format!("{unit}: the capacity") };
    let marks: Vec<Mark> = capacity.capacity.map(mark).into_iter().collect();
    let values: [fn(&CapacityStep) -> Option<f64>; 3] = [|step| step.p50, |step| step.p95, |step| step.p99];
    let percentiles = PERCENTILES.into_iter().zip(values);
    let latency = Plot {
        show_y: numbers::seconds,
        lines: percentiles
            .map(|((name, stroke), value)| line(name, stroke, steps.iter().map(|step| value(step)).collect()))
            .collect(),
        marks: marks.clone(),
        ..plot(format!("Latency against load ({unit})"), Axis::Load, x.clone())
    };
    let rate = steps.iter().map(|step| Some(step.requests_per_second)).collect();
    let throughput = Plot {
        show_y: numbers::per_second,
        lines: vec![line("requests a second", Stroke::First, rate)],
        marks,
        ..plot(format!("Requests a second against load ({unit}): the knee is where it bends"), Axis::Load, x)
    };
    [latency, throughput]
}

fn line(name: &str, stroke: Stroke, values: Vec<Option<f64>>) -> Line {
    Line { name: name.to_owned(), stroke, values }
}

fn plot(title: String, axis: Axis, x: Vec<f64>) -> Plot {
    Plot { title, show_y: numbers::number, axis, x, lines: Vec::new(), marks: Vec::new(), bands: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_over_a_time_without_requests() {
        let point = |start: f64, requests: u64| PointResult {
            start,
            span: 1.0,
            requests,
            p50: Some(0.1),
            p95: Some(0.1),
            p99: Some(0.1),
            ..PointResult::default()
        };
        // The third second has no request, and the series no point for the fifth and the sixth.
        let series = vec![point(0.0, 9), point(1.0, 9), point(2.0, 0), point(3.0, 9), point(6.0, 9)];
        let endpoint = EndpointResult { series, ..EndpointResult::default() };
        let [latency, rate] = over_time(&endpoint, "all", &[]);
        assert_eq!(latency.x, [0.5, 1.5, 2.5, 3.5, 5.0, 6.5]);
        let known: Vec<bool> = latency.lines[0].values.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, false, true, false, true]);
        assert_eq!(rate.lines[0].values[2..5], [Some(0.0), Some(9.0), Some(0.0)], "no request is a rate of 0");
    }
}
