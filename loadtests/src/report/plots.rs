//! The plots of a page: an endpoint over time, the distribution of latencies, a search for the capacity.

use super::svg::{Line, Plot, Scale};
use crate::{
    result::{Capacity, CapacityStep, EndpointResult, OutageResult, PointResult, StepEnd},
    span::show_seconds,
};

const BLUE: &str = "#2563eb";
const AMBER: &str = "#d97706";
const RED: &str = "#dc2626";

/// The percentiles that are drawn, with their colours.
const PERCENTILES: [(&str, &str); 3] = [("p50", BLUE), ("p95", AMBER), ("p99", RED)];

/// Latency and throughput of an endpoint over time, with the times shaded in which nothing succeeded.
pub(super) fn over_time(endpoint: &EndpointResult, title: &str, outages: &[OutageResult]) -> [Plot; 2] {
    let middle = |point: &PointResult| point.start + point.span / 2.0;
    let measured = || endpoint.series.iter().filter(|point| point.requests > 0);
    let values: [fn(&PointResult) -> Option<f64>; 3] = [|point| point.p50, |point| point.p95, |point| point.p99];
    let latency = PERCENTILES.iter().zip(values).map(|((name, colour), value)| {
        line(name, colour, measured().filter_map(|point| Some((middle(point), value(point)?))).collect())
    });
    let band = |outage: &OutageResult| {
        let text = format!("no success for {}", show_seconds(outage.seconds));
        (outage.start, outage.start + outage.seconds, text)
    };
    let bands: Vec<_> = outages.iter().map(band).collect();
    let latency = Plot {
        show_y: show_seconds,
        lines: latency.collect(),
        bands: bands.clone(),
        ..plot(format!("{title}: latency"), "seconds")
    };
    let per_second = |count: fn(&PointResult) -> u64| {
        let points = endpoint.series.iter().filter(|point| point.span > 0.0);
        points.map(|point| (middle(point), count(point) as f64 / point.span)).collect()
    };
    let rate = Plot {
        lines: vec![
            line("all", BLUE, per_second(|point| point.requests)),
            line("failed", RED, per_second(|point| point.failed)),
        ],
        bands,
        ..plot(format!("{title}: requests a second"), "seconds")
    };
    [latency, rate]
}

/// How the latencies of successful requests are distributed.
pub(super) fn distribution(total: &EndpointResult) -> Plot {
    let count: u64 = total.distribution.iter().map(|(_, count)| count).sum();
    let share = |(edge, cell): &(f64, u64)| (edge * 1e3, *cell as f64 / count.max(1) as f64);
    Plot {
        show_y: |share| format!("{:.1} %", share * 100.0),
        x_scale: Scale::Logarithmic,
        lines: vec![line("share", BLUE, total.distribution.iter().map(share).collect())],
        ..plot("Distribution of successful requests".to_owned(), "milliseconds")
    }
}

/// Latency and throughput against the loads that a search tried.
pub(super) fn capacity(capacity: &Capacity) -> [Plot; 2] {
    // An interrupted step has measured next to nothing.
    let mut steps: Vec<&CapacityStep> =
        capacity.steps.iter().filter(|step| step.ended != StepEnd::Interrupted).collect();
    steps.sort_by(|a, b| a.load.total_cmp(&b.load));
    let against_load = |value: fn(&CapacityStep) -> Option<f64>| {
        steps.iter().filter_map(|step| Some((step.load, value(step)?))).collect::<Vec<_>>()
    };
    let mark = capacity.capacity.map(|load| (load, format!("capacity: {load}")));
    let values: [fn(&CapacityStep) -> Option<f64>; 3] = [|step| step.p50, |step| step.p95, |step| step.p99];
    let percentiles = PERCENTILES.iter().zip(values);
    let latency = Plot {
        show_y: show_seconds,
        lines: percentiles.map(|((name, colour), value)| line(name, colour, against_load(value))).collect(),
        mark: mark.clone(),
        dots: true,
        ..plot(format!("Latency against load ({})", capacity.unit), "load")
    };
    let throughput = Plot {
        lines: vec![line("requests a second", BLUE, against_load(|step| Some(step.requests_per_second)))],
        mark,
        dots: true,
        ..plot("Requests a second against load: the knee is where it bends".to_owned(), "load")
    };
    [latency, throughput]
}

fn line(name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.to_owned(), colour, points }
}

fn plot(title: String, x_label: &'static str) -> Plot {
    Plot {
        title,
        x_label,
        show_y: |value| format!("{}", (value * 100.0).round() / 100.0),
        x_scale: Scale::Linear,
        lines: Vec::new(),
        mark: None,
        bands: Vec::new(),
        dots: false,
    }
}
