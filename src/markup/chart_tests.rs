//! What a chart shows, and that nothing in it leaves its place.

use jiff::tz::TimeZone;

use super::{Band, Chart, Html, Level, Line, Mark, MarkKind, Stroke, XAxis, numbers};

const NOON: f64 = 1_764_590_400.0;

fn drawn(chart: &Chart<'_>) -> String {
    let mut page = Html::default();
    chart.html(&mut page);
    page.finish()
}

fn line(name: &str, values: &[Option<f64>]) -> Line {
    Line { name: name.into(), stroke: Stroke::First, values: values.into() }
}

#[test]
fn a_chart_matches_its_snapshot() {
    let x = [NOON, NOON + 60.0, NOON + 120.0, NOON + 600.0];
    let lines = vec![
        line("p50", &[Some(0.1), Some(0.2), None, Some(0.4)]),
        Line { stroke: Stroke::Second, ..line("p95", &[Some(0.9), None, Some(1.2), None]) },
        Line { stroke: Stroke::Third, ..line("p99", &[None; 4]) },
    ];
    let level = |value, severity| Level { value, text: format!("{severity} above {value}s"), severity };
    let chart = Chart {
        lines,
        levels: vec![level(1.0, "high"), level(5.0, "critical")],
        marks: vec![Mark { x: NOON + 60.0, kind: MarkKind::Began, text: "slow_endpoint <b>".into() }],
        bands: vec![Band { from: NOON + 120.0, to: NOON + 180.0, text: "not running".into() }],
        interactive: true,
        ..Chart::new("Latency of \"x\"", &numbers::seconds, XAxis::WallClock(TimeZone::UTC), &x)
    };
    insta::assert_snapshot!(drawn(&chart).replace("><", ">\n<"));
}

#[test]
fn a_line_breaks_where_nothing_was_measured_and_a_single_point_is_a_dot() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0];
    let values = [Some(1.0), Some(2.0), None, Some(3.0), Some(f64::NAN)];
    let chart = Chart { lines: vec![line("a", &values)], ..Chart::new("t", &numbers::number, XAxis::Elapsed, &x) };
    let page = drawn(&chart);
    assert_eq!((page.matches("<polyline").count(), page.matches("class=\"dot\"").count()), (1, 1), "{page}");
    assert!(page.contains("a <b>3</b> at 3s"), "an old value says when it was: {page}");
    assert!(!page.contains("data-") && !page.contains("tabindex") && !page.contains("NaN"), "{page}");
}

#[test]
fn a_threshold_far_above_is_said_and_not_drawn() {
    let x = [0.0, 1.0];
    let level = |value: f64| Level { value, text: format!("high above {value}"), severity: "high" };
    let chart = Chart {
        lines: vec![line("a", &[Some(1.0), Some(1.0)])],
        levels: vec![level(3.0), level(3.1)],
        ..Chart::new("t", &numbers::number, XAxis::Elapsed, &x)
    };
    let page = drawn(&chart);
    assert_eq!(page.matches("<line class=\"level\"").count(), 1, "{page}");
    assert!(page.contains("Far above what is drawn: high above 3.1."), "{page}");
}

#[test]
fn odd_input_makes_a_chart_too() {
    let plain = |value: f64| numbers::number(value);
    for axis in [XAxis::Elapsed, XAxis::WallClock(TimeZone::UTC), XAxis::Linear(&plain), XAxis::Logarithmic(&plain)] {
        for x in [&[][..], &[0.0], &[f64::NAN, 1.0], &[-1.0, f64::INFINITY], &[5.0, 5.0]] {
            for values in [&[][..], &[None], &[Some(0.0), Some(-1.0), Some(2.0)], &[Some(f64::INFINITY)]] {
                let lines = vec![line("a", values)];
                let marks = vec![Mark { x: 1e300, kind: MarkKind::Run, text: String::new() }];
                let bands = vec![Band { from: 9.0, to: -9.0, text: String::new() }];
                let chart =
                    Chart { lines, marks, bands, interactive: true, ..Chart::new("t", &plain, axis.clone(), x) };
                let page = drawn(&chart);
                assert!(page.starts_with("<figure") && page.ends_with("</figure>\n"));
                for wrong in ["NaN", "inf\"", "inf,", " x=\"-", "data-x=\"-", "points=\"-", "d=\"M-"] {
                    assert!(!page.contains(wrong), "{wrong} in {page}");
                }
            }
        }
    }
}
