//! [`Chart`]: several lines over one stretch of time, as SVG that scales with the page.
//!
//! As in the report's plots, horizontal places are per cent and words are HTML beside the plot. A line breaks where nothing was measured. The
//! values stand in attributes too, in words, for the crosshair of the script and for nothing else.

use super::html::{Html, NOTHING};
use crate::rules::Severity;

/// A level within so many times the highest value is drawn; one further up would press the lines flat.
const IN_SIGHT: f64 = 3.0;
/// Marks that are drawn; of more, the latest.
const MARKS: usize = 60;
/// Labels of the time axis.
const TICKS: usize = 4;

/// A line.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Its class in the stylesheet: the first line is the strongest.
    pub(super) class: &'static str,
    /// A value for each point of the time.
    pub(super) values: Vec<Option<f64>>,
}

/// A threshold.
#[derive(Clone)]
pub(super) struct Level {
    pub(super) value: f64,
    pub(super) severity: Severity,
    pub(super) rule: String,
}

/// Something that happened.
#[derive(Clone)]
pub(super) struct Moment {
    /// Seconds since the Unix epoch.
    pub(super) at: f64,
    /// Its class in the stylesheet.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// The time of a chart, in seconds since the Unix epoch.
#[derive(Clone)]
pub(super) struct Times {
    pub(super) from: f64,
    pub(super) to: f64,
    /// The middle of each point.
    pub(super) points: Vec<f64>,
}

impl Times {
    /// Per cent from the left.
    fn place(&self, at: f64) -> f64 {
        (at - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE) * 100.0
    }
}

/// Lines over time.
pub(super) struct Chart<'c> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) times: &'c Times,
    pub(super) lines: Vec<Line>,
    pub(super) levels: Vec<Level>,
    pub(super) moments: &'c [Moment],
    /// Writes a value.
    pub(super) show: fn(f64) -> String,
    /// What stands in place of a plot without a value.
    pub(super) nothing: &'static str,
}

impl Chart<'_> {
    /// Writes it as a figure.
    pub(super) fn write(&self, page: &mut Html) {
        let highest = self.lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(f64::NAN, f64::max);
        page.raw("<figure class=\"chart\" id=\"").raw(self.id);
        if highest.is_nan() {
            page.raw("\"><figcaption>").raw(self.title).raw("</figcaption><p class=\"empty small\">").raw(self.nothing);
            page.raw("</p></figure>");
            return;
        }
        page.raw("\" tabindex=\"0\" role=\"group\" aria-label=\"").text(&self.in_words()).raw("\" data-x=\"");
        let places: Vec<String> = self.times.points.iter().map(|at| short(self.times.place(*at))).collect();
        page.text(&places.join(",")).raw("\" data-times=\"");
        let seconds: Vec<String> = self.times.points.iter().map(|at| format!("{at:.0}")).collect();
        page.text(&seconds.join(",")).raw("\"><figcaption>").raw(self.title).raw("</figcaption><div class=\"legend\">");
        for line in &self.lines {
            page.raw("<span class=\"").raw(line.class).raw("\"><i></i>").raw(line.name).raw(" <b>");
            let latest = line.values.iter().rev().find_map(|value| *value);
            page.text(&latest.map_or_else(|| NOTHING.to_owned(), self.show)).raw("</b></span>");
        }
        page.raw("</div>");
        let in_sight: Vec<&Level> = self.levels.iter().filter(|level| level.value <= highest * IN_SIGHT).collect();
        let top = in_sight.iter().map(|level| level.value).fold(highest, f64::max) * 1.08;
        let top = if top > 0.0 { top } else { 1.0 };
        self.plot(page, &in_sight, top);
        self.axis(page);
        self.levels_in_words(page);
        page.raw("</figure>");
    }

    fn plot(&self, page: &mut Html, levels: &[&Level], top: f64) {
        let height = |value: f64| (1.0 - value / top) * 100.0;
        page.raw("<div class=\"plot\"><span class=\"top small muted\">").text(&(self.show)(top));
        page.raw("</span><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        for quarter in [0.0, 25.0, 50.0, 75.0, 100.0] {
            horizontal(page, "s-grid", quarter);
        }
        for level in levels {
            horizontal(page, class_of(level.severity), height(level.value));
        }
        let inside = self.moments.iter().filter(|moment| (self.times.from..=self.times.to).contains(&moment.at));
        let inside: Vec<&Moment> = inside.collect();
        for moment in inside.iter().skip(inside.len().saturating_sub(MARKS)) {
            let x = self.times.place(moment.at);
            page.raw("<line class=\"mark ")
                .raw(moment.class)
                .raw("\" y1=\"0\" y2=\"100\" x1=\"")
                .number(x)
                .raw("\" x2=\"");
            page.number(x).raw("\" data-x=\"").number(x).raw("\" data-text=\"").text(&moment.text).raw("\"/>");
        }
        for line in &self.lines {
            let values: Vec<String> =
                line.values.iter().map(|value| value.map_or_else(|| NOTHING.to_owned(), self.show)).collect();
            page.raw("<g class=\"").raw(line.class).raw("\" data-name=\"").raw(line.name).raw("\" data-values=\"");
            page.text(&values.join("|")).raw("\">");
            let points: Vec<Option<(f64, f64)>> = self
                .times
                .points
                .iter()
                .zip(&line.values)
                .map(|(at, value)| Some((self.times.place(*at), height((*value)?))))
                .collect();
            for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
                stroke(page, run);
            }
            page.raw("</g>");
        }
        page.raw("</svg></div>");
    }

    fn axis(&self, page: &mut Html) {
        page.raw("<div class=\"axis\">");
        for tick in 0..=TICKS {
            let at = self.times.from + (self.times.to - self.times.from) * tick as f64 / TICKS as f64;
            let timestamp = crate::api::timestamp::of_wall(std::time::Duration::from_secs_f64(at.max(0.0)));
            page.raw("<time data-short datetime=\"").text(&timestamp).raw("\">");
            // As the server's clock has it: hours and minutes, or the day where the time is longer than one.
            let is_long = self.times.to - self.times.from > 2.0 * 24.0 * 3600.0;
            page.text(if is_long { &timestamp[5..10] } else { &timestamp[11..16] }).raw("</time>");
        }
        page.raw("</div>");
    }

    fn levels_in_words(&self, page: &mut Html) {
        if self.levels.is_empty() {
            return;
        }
        page.raw("<p class=\"small muted levels\">Thresholds: ");
        for (at, level) in self.levels.iter().enumerate() {
            page.raw(if at > 0 { ", " } else { "" }).raw("<span class=\"").text(level.severity.as_str()).raw("\">");
            page.text(&(self.show)(level.value))
                .raw(" ")
                .text(level.severity.as_str())
                .raw("</span> (")
                .text(&level.rule)
                .raw(")");
        }
        page.raw("</p>");
    }

    /// The chart for those who do not see it.
    fn in_words(&self) -> String {
        let lines = self.lines.iter().filter_map(|line| {
            let known = || line.values.iter().flatten().copied();
            let show = self.show;
            let (first, last) = (known().next()?, known().next_back()?);
            let highest = known().fold(f64::MIN, f64::max);
            Some(format!("{} first {}, now {}, at most {}", line.name, show(first), show(last), show(highest)))
        });
        format!("{}: {}. Left and right arrow go through the values.", self.title, lines.collect::<Vec<_>>().join("; "))
    }
}

fn class_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "level s-low",
        Severity::Medium => "level s-medium",
        Severity::High => "level s-high",
        Severity::Critical => "level s-critical",
    }
}

fn horizontal(page: &mut Html, class: &'static str, y: f64) {
    page.raw("<line class=\"")
        .raw(class)
        .raw("\" x1=\"0\" x2=\"100\" y1=\"")
        .number(y)
        .raw("\" y2=\"")
        .number(y)
        .raw("\"/>");
}

/// Writes points that follow each other without a gap.
fn stroke(page: &mut Html, run: &[Option<(f64, f64)>]) {
    if let [Some((x, y))] = run {
        // Browsers draw a line of no length as its round ends, and a polyline of one point not at all.
        page.raw("<path class=\"dot\" d=\"M").number(*x).raw(",").number(*y).raw("h0\"/>");
        return;
    }
    page.raw("<polyline points=\"");
    for (x, y) in run.iter().flatten() {
        page.number(*x).raw(",").number(*y).raw(" ");
    }
    page.raw("\"/>");
}

fn short(place: f64) -> String {
    let text = format!("{place:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: Vec<Option<f64>>, levels: Vec<Level>, moments: &[Moment]) -> String {
        let times = Times { from: 0.0, to: 40.0, points: vec![5.0, 15.0, 25.0, 35.0] };
        let lines = vec![Line { name: "p95", class: "l1", values }];
        let chart = Chart {
            id: "c",
            title: "Response time",
            times: &times,
            lines,
            levels,
            moments,
            show: |value| format!("{value:.0}ms"),
            nothing: "No request.",
        };
        let mut page = Html::default();
        chart.write(&mut page);
        page.finish()
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let page = written(vec![Some(1.0), Some(2.0), None, Some(3.0)], Vec::new(), &[]);
        assert_eq!((page.matches("<polyline").count(), page.matches("<path class=\"dot\"").count()), (1, 1), "{page}");
        assert!(
            page.contains("data-values=\"1ms|2ms|–|3ms\"") && page.contains("data-x=\"12.5,37.5,62.5,87.5\""),
            "{page}"
        );
        assert!(page.contains("p95 first 1ms, now 3ms, at most 3ms"), "{page}");
    }

    #[test]
    fn a_threshold_far_up_is_said_and_not_drawn() {
        let level = |value: f64| Level { value, severity: Severity::High, rule: "slow <x>".to_owned() };
        let page = written(vec![Some(1.0); 4], vec![level(2.0), level(50.0)], &[]);
        assert_eq!(page.matches("class=\"level s-high\"").count(), 1, "{page}");
        assert!(page.contains("50ms high</span> (slow &lt;x&gt;)"), "{page}");
    }

    #[test]
    fn what_happened_is_marked_where_it_is_in_the_time() {
        let moment = |at: f64| Moment { at, class: "began", text: "\"<b>\"".to_owned() };
        let page = written(vec![Some(0.0); 4], Vec::new(), &[moment(-1.0), moment(20.0), moment(99.0)]);
        assert_eq!(page.matches("class=\"mark began\"").count(), 1, "{page}");
        assert!(page.contains("data-x=\"50\" data-text=\"&quot;&lt;b&gt;&quot;\""), "{page}");
    }

    #[test]
    fn without_a_value_there_is_a_sentence() {
        let page = written(vec![None; 4], Vec::new(), &[]);
        assert!(page.contains("No request.") && !page.contains("<svg"), "{page}");
    }
}
