//! A replay as a picture: a lane for each rule and subject, a bar for each time that it fired.
//!
//! One file that needs nothing else. Horizontal places are per cent and texts have a fixed size above their lanes, so that it is read on
//! a phone as well as on a wide screen; colours follow the reader's light or dark setting.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use pinchpoint::replay::{PastAlert, Replay};

use super::report::{Report, key, length, minute};

/// Lanes that are drawn: those that fire the longest.
const LANES: usize = 100;
/// Characters of a subject that are shown: what fits on a phone.
const SHOWN: usize = 44;
const LANE_HEIGHT: u32 = 62;
const TOP: u32 = 96;
/// A bar is at least this wide, in per cent: a minute of a week would not be seen.
const LEAST_WIDTH: f64 = 0.4;

const STYLE: &str = "\
svg{font:13px system-ui,sans-serif;background:#fff;color-scheme:light dark}text{fill:#222}.dim{fill:#666;font-size:12px}\
.rule{font-weight:600}.track{fill:#eef0f3}.low{fill:#7a9cc6}.medium{fill:#d9a514}.high{fill:#e0701b}.critical{fill:#c22a3a}\
.line{stroke:#999;stroke-width:1}\
@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#e6e6e6}.dim{fill:#a8adb5}.track{fill:#2a2e35}.line{stroke:#777}}";

/// Draws a report.
pub(super) fn svg(report: &Report) -> String {
    let Replay { from, to, .. } = report.today;
    let lanes = lanes(report);
    let left_out = lanes.len().saturating_sub(LANES);
    let shown = &lanes[..lanes.len() - left_out];
    let bars = if report.tried.is_some() { 2 } else { 1 };
    let height = TOP + LANE_HEIGHT * u32::try_from(shown.len()).unwrap_or(0) + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100%\" height=\"{height}\" role=\"img\" \
         aria-label=\"What rules would have found\"><style>{STYLE}</style>\n"
    );
    let title = if bars == 2 {
        "Fired under today's rules (upper bar) and the tried ones (lower bar)"
    } else {
        "Fired under today's rules"
    };
    let _ = writeln!(svg, "<title>{title}</title>");
    let (first, second) = if bars == 2 {
        ("Upper bars: today's rules", "Lower bars: the tried rules")
    } else {
        ("Bars: when today's rules fired", "")
    };
    let _ = writeln!(svg, "<text x=\"2%\" y=\"20\">{first}</text><text x=\"2%\" y=\"38\">{second}</text>");
    for (nth, severity) in ["low", "medium", "high", "critical"].into_iter().enumerate() {
        let x = 2 + nth * 24;
        let _ = writeln!(
            svg,
            "<rect class=\"{severity}\" x=\"{x}%\" y=\"50\" width=\"10\" height=\"10\"/>\
             <text class=\"dim\" x=\"{x}%\" dx=\"14\" y=\"60\">{severity}</text>"
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"dim\" x=\"2%\" y=\"82\">{}</text><text class=\"dim\" x=\"98%\" y=\"82\" text-anchor=\"end\">{}</text>\
         <line class=\"line\" x1=\"2%\" x2=\"98%\" y1=\"88\" y2=\"88\"/>",
        minute(from),
        minute(to)
    );
    let place = |at: Duration| {
        let whole = to.saturating_sub(from).as_secs_f64().max(1.0);
        2.0 + 96.0 * (at.saturating_sub(from).as_secs_f64() / whole).clamp(0.0, 1.0)
    };
    for (nth, lane) in shown.iter().enumerate() {
        let y = TOP + LANE_HEIGHT * u32::try_from(nth).unwrap_or(0);
        let (rule, subject) = lane.key;
        let _ = writeln!(
            svg,
            "<g><title>{} {}</title><text class=\"rule\" x=\"2%\" y=\"{}\">{}</text><text class=\"dim\" x=\"2%\" y=\"{}\">{}</text>",
            escaped(rule),
            escaped(subject),
            y + 14,
            escaped(rule),
            y + 30,
            escaped(&cut(subject)),
        );
        for (bar, alerts) in [&lane.today, &lane.tried].into_iter().take(bars).enumerate() {
            let y = y + 36 + u32::try_from(bar).unwrap_or(0) * 10;
            let _ = writeln!(svg, "<rect class=\"track\" x=\"2%\" y=\"{y}\" width=\"96%\" height=\"8\"/>");
            for alert in alerts {
                let x = place(alert.fired).min(98.0 - LEAST_WIDTH);
                let end = place(alert.resolved.unwrap_or(to));
                let width = (end - x).max(LEAST_WIDTH);
                let _ = writeln!(
                    svg,
                    "<rect class=\"{}\" x=\"{x:.2}%\" y=\"{y}\" width=\"{width:.2}%\" height=\"8\"><title>{}, for {}: {} ({})</title></rect>",
                    alert.severity,
                    minute(alert.fired),
                    length(alert.lasted(to)),
                    escaped(&alert.worst),
                    escaped(&alert.threshold),
                );
            }
        }
        svg += "</g>\n";
    }
    let y = height - 14;
    let words = match (shown.len(), left_out) {
        (0, _) => "Nothing would have fired.".to_owned(),
        (_, 0) => String::new(),
        (_, more) => format!("and {more} more, which fired for less time"),
    };
    let _ = writeln!(svg, "<text class=\"dim\" x=\"2%\" y=\"{y}\">{words}</text></svg>");
    svg
}

/// What fired of a rule on a subject.
struct Lane<'a> {
    key: (&'a str, &'a str),
    today: Vec<&'a PastAlert>,
    tried: Vec<&'a PastAlert>,
}

impl Lane<'_> {
    fn lasted(&self, end: Duration) -> Duration {
        self.today.iter().chain(&self.tried).map(|alert| alert.lasted(end)).sum()
    }
}

/// Returns the lanes, the one that fires the longest first.
fn lanes(report: &Report) -> Vec<Lane<'_>> {
    let mut lanes: BTreeMap<(&str, &str), Lane<'_>> = BTreeMap::new();
    let of = |key| Lane { key, today: Vec::new(), tried: Vec::new() };
    for alert in &report.today.alerts {
        lanes.entry(key(alert)).or_insert_with(|| of(key(alert))).today.push(alert);
    }
    for alert in report.tried.iter().flat_map(|replay| &replay.alerts) {
        lanes.entry(key(alert)).or_insert_with(|| of(key(alert))).tried.push(alert);
    }
    let mut lanes: Vec<Lane<'_>> = lanes.into_values().collect();
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.lasted(report.today.to)));
    lanes
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // XML 1.0 forbids most of them, and a line feed means nothing here.
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
