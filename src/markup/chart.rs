//! [`Chart`]: lines over a common axis.
//!
//! The lines are an SVG that stretches to the width of the page with strokes that do not; every word is HTML beside it, so
//! that it wraps and stays readable on a phone. Invariants: a line breaks where nothing was measured, never falls to 0 and is
//! never drawn across; and whatever the drawing says by colour it says by a dash and by words too.

use super::{
    axis::{Scale, XAxis, round_above},
    html::Html,
    plot::{LIMIT_IN_SIGHT, level, runs},
};

/// Marks and bands that are listed in words below a chart.
const LISTED: usize = 8;

/// Lines over a common axis, from 0 up.
///
/// ```
/// use pinchpoint::markup::{Chart, Html, Line, Stroke, XAxis, numbers};
///
/// let x = [0.0, 1.0, 2.0, 3.0];
/// let line = Line { name: "p95".into(), stroke: Stroke::Second, values: vec![Some(0.1), None, Some(0.2), Some(0.4)] };
/// let chart = Chart { lines: vec![line], ..Chart::new("Latency", &numbers::seconds, XAxis::Elapsed, &x) };
/// let mut html = Html::default();
/// chart.html(&mut html);
/// assert!(html.finish().contains("p95: first 100ms, last 400ms, highest 400ms"));
/// ```
#[derive(Clone)]
pub struct Chart<'a> {
    /// What is drawn.
    pub title: String,
    /// Writes a value of a line.
    pub y: &'a dyn Fn(f64) -> String,
    /// What x means.
    pub axis: XAxis<'a>,
    /// The x of each point, ascending.
    pub x: &'a [f64],
    /// The lines.
    pub lines: Vec<Line>,
    /// Thresholds.
    pub levels: Vec<Level>,
    /// What happened at a moment.
    pub marks: Vec<Mark>,
    /// What lasted.
    pub bands: Vec<Band>,
    /// Whether marks and bands are listed in words below it.
    pub lists_marks: bool,
    /// Whether a script may read the values: the figure takes the focus, and carries them as `data-…`.
    pub interactive: bool,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// How it is drawn.
    pub stroke: Stroke,
    /// A value for each x; nothing where nothing was measured.
    pub values: Vec<Option<f64>>,
}

/// How a line is drawn: each has a dash of its own beside its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// The first or only line, and medians: whole.
    First,
    /// 95th percentiles: dashed.
    Second,
    /// 99th percentiles: dotted.
    Third,
    /// Failures: thick.
    Bad,
}

/// A threshold.
#[derive(Clone, Debug)]
pub struct Level {
    /// In the unit of the lines.
    pub value: f64,
    /// What it is, with its value: `critical above 5s`.
    pub text: String,
    /// `critical`, `high`, `medium` or `low`: the class that gives its colour.
    pub severity: &'static str,
}

/// What happened at a moment.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When or where.
    pub x: f64,
    /// What kind of thing.
    pub kind: MarkKind,
    /// What.
    pub text: String,
}

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A finding began.
    Began,
    /// A finding ended.
    Ended,
    /// Rules were reloaded.
    Reload,
    /// Another version began to run.
    Version,
    /// The process began to run, or any other beginning.
    Run,
}

/// What lasted from one x to another.
#[derive(Clone, Debug)]
pub struct Band {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What it was.
    pub text: String,
}

impl Stroke {
    /// The opening of its group in the drawing, up to the attributes.
    fn group(self) -> &'static str {
        match self {
            Self::First => "<g class=\"line l-1\"",
            Self::Second => "<g class=\"line l-2\"",
            Self::Third => "<g class=\"line l-3\"",
            Self::Bad => "<g class=\"line l-bad\"",
        }
    }

    /// A piece of it for the legend.
    fn key(self) -> &'static str {
        match self {
            Self::First => "<svg class=\"key l-1\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>",
            Self::Second => "<svg class=\"key l-2\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>",
            Self::Third => "<svg class=\"key l-3\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>",
            Self::Bad => "<svg class=\"key l-bad\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>",
        }
    }
}

impl MarkKind {
    /// A letter that tells it from the others, in the drawing and in words.
    fn sign(self) -> &'static str {
        match self {
            Self::Began => "▲",
            Self::Ended => "▽",
            Self::Reload => "↻",
            Self::Version => "◆",
            Self::Run => "●",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Began => "<g class=\"mark m-began\"",
            Self::Ended => "<g class=\"mark m-ended\"",
            Self::Reload => "<g class=\"mark m-reload\"",
            Self::Version => "<g class=\"mark m-version\"",
            Self::Run => "<g class=\"mark m-run\"",
        }
    }
}

impl std::fmt::Debug for Chart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chart").field("title", &self.title).field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl<'a> Chart<'a> {
    /// A chart without a line yet.
    pub fn new(title: impl Into<String>, y: &'a dyn Fn(f64) -> String, axis: XAxis<'a>, x: &'a [f64]) -> Self {
        Self {
            title: title.into(),
            y,
            axis,
            x,
            lines: Vec::new(),
            levels: Vec::new(),
            marks: Vec::new(),
            bands: Vec::new(),
            lists_marks: true,
            interactive: false,
        }
    }

    /// Writes it on the page.
    pub fn html(&self, page: &mut Html) {
        let frame = Frame::around(self);
        page.raw("<figure class=\"chart\"");
        if self.interactive {
            self.points(page, &frame);
        }
        page.element("><figcaption>", &self.title, "</figcaption>");
        self.legend(page, &frame);
        page.raw("<div class=\"graph\"><div class=\"y\" aria-hidden=\"true\">");
        for value in [frame.top, frame.top / 2.0] {
            page.element("<span>", &(self.y)(value), "</span>");
        }
        page.raw("<span>0</span></div>");
        self.drawing(page, &frame);
        page.raw("<div class=\"x\">");
        frame.x.labels().for_each(|value| frame.x.label(page, value));
        page.raw("</div></div>");
        self.words(page, &frame);
        page.raw("</figure>\n");
    }

    /// The attributes that a script reads.
    fn points(&self, page: &mut Html, frame: &Frame<'_>) {
        page.raw(" tabindex=\"0\" data-x=\"");
        for (at, x) in self.x.iter().enumerate() {
            page.raw(if at > 0 { "," } else { "" }).number(frame.x.percent(*x));
        }
        page.raw("\"");
        let joined = |each: &dyn Fn(f64) -> String, by| self.x.iter().map(|x| each(*x)).collect::<Vec<_>>().join(by);
        match self.axis {
            XAxis::WallClock(_) => {
                page.attribute("data-times", &joined(&|x| format!("{:.0}", if x.is_finite() { x } else { 0.0 }), ","))
            }
            _ => page.attribute("data-labels", &joined(&|x| frame.x.write(x), "|")),
        };
    }

    fn legend(&self, page: &mut Html, frame: &Frame<'_>) {
        page.raw("<div class=\"legend\">");
        for line in &self.lines {
            page.raw("<span>").raw(line.stroke.key()).text(&line.name);
            match self.last_of(line) {
                Some((x, value)) => {
                    page.element(" <b>", &(self.y)(value), "</b>");
                    // An old value must not pass for the latest.
                    if self.x.last().is_some_and(|last| x < *last) {
                        page.raw(" at ").text(&frame.x.write(x));
                    }
                }
                None => _ = page.element(" <b>", super::numbers::NOTHING, "</b>"),
            }
            page.raw("</span>");
        }
        for level in frame.in_sight(&self.levels) {
            page.raw("<span class=\"").text(level.severity);
            page.raw("\"><svg class=\"key level\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>");
            page.text(&level.text).raw("</span>");
        }
        page.raw("</div>");
    }

    fn drawing(&self, page: &mut Html, frame: &Frame<'_>) {
        page.raw("<div class=\"plot\"><svg class=\"lines\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\"");
        page.attribute("aria-label", &self.alternative()).raw(">");
        for band in &self.bands {
            let [left, right] = [band.from, band.to].map(|x| frame.x.percent(x));
            // At least a pixel or more, so that a short one still shows.
            page.raw("<rect class=\"band\" y=\"0\" height=\"100\" x=\"").number(left);
            page.raw("\" width=\"").number((right - left).max(0.3)).raw("\"/>");
        }
        for height in [0.0, 50.0, 100.0] {
            level(page, "<line class=\"s-grid\" x1=\"0\" x2=\"100\" y1=\"", height);
        }
        for at in 0..=frame.x.steps() {
            let place = f64::from(at) / f64::from(frame.x.steps()) * 100.0;
            page.raw("<line class=\"s-grid\" y1=\"0\" y2=\"100\" x1=\"").number(place);
            page.raw("\" x2=\"").number(place).raw("\"/>");
        }
        for one in frame.in_sight(&self.levels) {
            page.raw("<g class=\"").text(one.severity).raw("\">");
            level(page, "<line class=\"level\" x1=\"0\" x2=\"100\" y1=\"", frame.height(one.value));
            page.raw("</g>");
        }
        for mark in &self.marks {
            let place = frame.x.percent(mark.x);
            page.raw(mark.kind.class()).raw(" data-x=\"").number(place).raw("\"");
            page.attribute("data-text", &mark.text).raw("><path d=\"M").number(place).raw(",0v100\"/></g>");
        }
        self.lines.iter().for_each(|line| self.line(page, frame, line));
        page.raw("</svg></div>");
    }

    fn line(&self, page: &mut Html, frame: &Frame<'_>, line: &Line) {
        page.raw(line.stroke.group());
        if self.interactive {
            let written = |value: &Option<f64>| {
                let known = value.filter(|value| value.is_finite());
                known.map_or_else(|| super::numbers::NOTHING.to_owned(), self.y)
            };
            let values: Vec<String> = line.values.iter().take(self.x.len()).map(written).collect();
            page.attribute("data-name", &line.name).attribute("data-values", &values.join("|"));
        }
        page.raw(">");
        let known: Vec<Option<f64>> = line.values.iter().map(|value| value.filter(|value| value.is_finite())).collect();
        for (at, run) in runs(&known[..known.len().min(self.x.len())]) {
            let places = self.x[at..].iter().zip(&run).map(|(x, y)| (frame.x.percent(*x), frame.height(*y)));
            if let [_] = run[..] {
                // Browsers draw a line of no length as its round ends, and a polyline of one point not at all.
                for (x, y) in places {
                    page.raw("<path class=\"dot\" d=\"M").number(x).raw(",").number(y).raw("h0\"/>");
                }
                continue;
            }
            page.raw("<polyline points=\"");
            for (at, (x, y)) in places.enumerate() {
                page.raw(if at > 0 { " " } else { "" }).number(x).raw(",").number(y);
            }
            page.raw("\"/>");
        }
        page.raw("</g>");
    }

    /// What the drawing shows, for those who do not see it.
    fn alternative(&self) -> String {
        let line = |line: &Line| {
            let known = || line.values.iter().take(self.x.len()).flatten().copied().filter(|value| value.is_finite());
            match (known().next(), known().next_back()) {
                (Some(first), Some(last)) => {
                    let [first, last, highest] = [first, last, known().fold(first, f64::max)].map(self.y);
                    format!("{}: first {first}, last {last}, highest {highest}", line.name)
                }
                _ => format!("{}: nothing was measured", line.name),
            }
        };
        let lines: Vec<String> = self.lines.iter().map(line).collect();
        format!("{}. {}", self.title, lines.join("; "))
    }

    /// What is too far away to be drawn, and what the marks and bands are.
    fn words(&self, page: &mut Html, frame: &Frame<'_>) {
        let far: Vec<&str> = self.levels.iter().filter(|level| !frame.sees(level)).map(|level| &*level.text).collect();
        if !far.is_empty() {
            page.raw("<p class=\"small muted\">Far above what is drawn: ").text(&far.join(", ")).raw(".</p>");
        }
        if !self.lists_marks || (self.marks.is_empty() && self.bands.is_empty()) {
            return;
        }
        page.raw("<ul class=\"marks\">");
        for mark in self.marks.iter().rev().take(LISTED).rev() {
            page.raw("<li>").raw(mark.kind.sign()).raw(" ");
            frame.x.label(page, mark.x);
            page.raw(" ").text(&mark.text).raw("</li>");
        }
        for band in self.bands.iter().take(LISTED) {
            page.raw("<li><svg class=\"key band\" aria-hidden=\"true\"><path d=\"M0,5h22\"/></svg>");
            frame.x.label(page, band.from);
            page.raw(" to ");
            frame.x.label(page, band.to);
            page.raw(" ").text(&band.text).raw("</li>");
        }
        let left = [self.marks.len(), self.bands.len()].map(|all| all.saturating_sub(LISTED)).iter().sum::<usize>();
        if left > 0 {
            page.raw("<li>and ").text(&left.to_string()).raw(" more</li>");
        }
        page.raw("</ul>");
    }

    /// The last value of a line, with its x.
    fn last_of(&self, line: &Line) -> Option<(f64, f64)> {
        let mut points = self.x.iter().zip(&line.values).rev();
        points.find_map(|(x, value)| Some((*x, value.filter(|value| value.is_finite())?)))
    }
}

/// Where values lie in the drawing.
struct Frame<'a> {
    x: Scale<'a>,
    highest: f64,
    lowest_level: f64,
    /// The upper end: round, and at least the highest value.
    top: f64,
}

impl<'a> Frame<'a> {
    fn around(chart: &'a Chart<'a>) -> Self {
        let known = chart.lines.iter().flat_map(|line| line.values.iter().take(chart.x.len())).flatten();
        let highest = known.copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let lowest_level = chart.levels.iter().map(|level| level.value).fold(f64::INFINITY, f64::min);
        let mut frame = Self { x: Scale::around(&chart.axis, chart.x), highest, lowest_level, top: highest };
        let levels = chart.levels.iter().filter(|level| frame.sees(level)).map(|level| level.value);
        frame.top = round_above(levels.fold(highest, f64::max));
        frame
    }

    /// Whether a threshold is near enough to be drawn. Where all values are zero the lowest one gives the scale.
    fn sees(&self, level: &Level) -> bool {
        level.value <= if self.highest > 0.0 { self.highest * LIMIT_IN_SIGHT } else { self.lowest_level }
    }

    fn in_sight<'l>(&'l self, levels: &'l [Level]) -> impl Iterator<Item = &'l Level> {
        levels.iter().filter(|level| self.sees(level))
    }

    /// Per cent from the top.
    fn height(&self, value: f64) -> f64 {
        (100.0 * (1.0 - value / self.top)).clamp(0.0, 100.0)
    }
}
