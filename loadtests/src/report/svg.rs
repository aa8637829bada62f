//! [`Plot`]: lines over a common axis as SVG inside the page, without a script.

use std::fmt::Write as _;

use super::escape::escape;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 34.0;
/// Labels of the x axis; odd values must not make a page without end.
const MOST_TICKS: usize = 20;
/// Steps of the grid from 0 to the top.
const GRID: i32 = 4;

/// A plot of lines over a common x axis.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    /// What x is.
    pub(super) x_label: &'static str,
    /// Writes a y value.
    pub(super) show_y: fn(f64) -> String,
    pub(super) x_scale: Scale,
    pub(super) lines: Vec<Line>,
    /// A vertical mark with its text, such as the capacity.
    pub(super) mark: Option<(f64, String)>,
    /// Spans of x that are shaded, each with its text, such as an outage.
    pub(super) bands: Vec<(f64, f64, String)>,
    /// Whether points are drawn as dots too.
    pub(super) dots: bool,
}

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: &'static str,
    /// Points, by ascending x.
    pub(super) points: Vec<(f64, f64)>,
}

/// How an axis grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// By steps.
    Linear,
    /// By factors.
    Logarithmic,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(1e-9).log10(),
        }
    }
}

impl Plot {
    /// Returns the plot as an `<svg>` element; empty without a point.
    pub(super) fn render(&self) -> String {
        let Some(frame) = Frame::around(self) else { return String::new() };
        let title = escape(&self.title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\
             <text class=\"t\" x=\"{LEFT}\" y=\"16\">{title}</text>"
        );
        self.push_bands(&mut svg, &frame);
        self.push_grid(&mut svg, &frame);
        self.push_x_axis(&mut svg, &frame);
        self.push_mark(&mut svg, &frame);
        self.push_legend(&mut svg);
        self.lines.iter().for_each(|line| self.push_line(&mut svg, &frame, line));
        svg.push_str("</svg>");
        svg
    }

    fn push_grid(&self, svg: &mut String, frame: &Frame) {
        for step in 0..=GRID {
            let value = frame.y_max * f64::from(step) / f64::from(GRID);
            let y = frame.y(value);
            let label = if step == 0 { "0".to_owned() } else { escape(&(self.show_y)(value)) };
            push(svg, format_args!("<line class=\"g\" x1=\"{LEFT}\" x2=\"{RIGHT:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"));
            push_text(svg, (LEFT - 6.0, y + 4.0), "end", &label);
        }
    }

    fn push_bands(&self, svg: &mut String, frame: &Frame) {
        for (from, to, text) in &self.bands {
            let [left, right] = [from, to].map(|x| frame.x(*x).clamp(LEFT, RIGHT));
            let (width, height, text) = (right - left, BOTTOM - TOP, escape(text));
            push(
                svg,
                format_args!(
                    "<rect class=\"o\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" \
                     height=\"{height:.1}\"><title>{text}</title></rect>"
                ),
            );
            push_text(svg, (left + 4.0, TOP + 10.0), "start", &text);
        }
    }

    fn push_x_axis(&self, svg: &mut String, frame: &Frame) {
        for (x, label) in frame.x_ticks() {
            push_text(svg, (frame.x(x), BOTTOM + 16.0), "middle", &escape(&label));
        }
        push_text(svg, (RIGHT, HEIGHT - 2.0), "end", &escape(self.x_label));
    }

    fn push_mark(&self, svg: &mut String, frame: &Frame) {
        let Some((x, text)) = &self.mark else { return };
        let x = frame.x(*x);
        push(svg, format_args!("<line class=\"m\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM:.1}\"/>"));
        push_text(svg, (x + 4.0, TOP + 10.0), "start", &escape(text));
    }

    /// The names of the lines, from the right, beside the title.
    fn push_legend(&self, svg: &mut String) {
        let mut left = RIGHT;
        for Line { name, colour, .. } in self.lines.iter().rev() {
            // A character is about seven units wide; the rest is the square and the gaps.
            left -= 26.0 + 7.0 * name.chars().count() as f64;
            push(svg, format_args!("<rect x=\"{left:.1}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"));
            push_text(svg, (left + 14.0, 17.0), "start", &escape(name));
        }
    }

    fn push_line(&self, svg: &mut String, frame: &Frame, line: &Line) {
        let colour = line.colour;
        let places: Vec<(f64, f64)> = line.points.iter().map(|(x, y)| (frame.x(*x), frame.y(*y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        push(svg, format_args!("<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{path}\"/>"));
        for (x, y) in places.iter().filter(|_| self.dots) {
            push(svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
        }
    }
}

/// Where values lie in the picture.
struct Frame {
    x_scale: Scale,
    /// On the scale.
    x_min: f64,
    x_max: f64,
    y_max: f64,
}

impl Frame {
    /// The frame that holds every point of a plot; `None` if it has none.
    fn around(plot: &Plot) -> Option<Self> {
        let points = plot.lines.iter().flat_map(|line| &line.points);
        let (mut x_min, mut x_max, mut y_max) = (f64::INFINITY, f64::NEG_INFINITY, 0.0f64);
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            x_min = x_min.min(plot.x_scale.place(*x));
            x_max = x_max.max(plot.x_scale.place(*x));
            y_max = y_max.max(*y);
        }
        x_min.is_finite().then(|| Self { x_scale: plot.x_scale, x_min, x_max, y_max: nice_above(y_max) })
    }

    fn x(&self, value: f64) -> f64 {
        // A single point has no extent to divide by.
        let extent = if self.x_max > self.x_min { self.x_max - self.x_min } else { 1.0 };
        LEFT + (self.x_scale.place(value) - self.x_min) / extent * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - value / self.y_max * (BOTTOM - TOP)
    }

    /// Values at which the x axis is labelled, and their labels.
    fn x_ticks(&self) -> Vec<(f64, String)> {
        let label = |value: f64| {
            if value >= 1000.0 { format!("{value:.0}") } else { format!("{}", (value * 1e4).round() / 1e4) }
        };
        let ticks: Vec<f64> = match self.x_scale {
            Scale::Linear => {
                let step = nice_above((self.x_max - self.x_min) / 8.0);
                let (first, last) = ((self.x_min / step).ceil() as i64, (self.x_max / step).floor() as i64);
                (first..=last).take(MOST_TICKS).map(|n| n as f64 * step).collect()
            }
            Scale::Logarithmic => {
                let (first, last) = (self.x_min.ceil() as i32, self.x_max.floor() as i32);
                let decades: Vec<f64> = (first..=last).take(MOST_TICKS).map(|power| 10f64.powi(power)).collect();
                // Within one decade only the ends say where the line lies.
                if decades.len() >= 2 { decades } else { [self.x_min, self.x_max].map(|at| 10f64.powf(at)).into() }
            }
        };
        ticks.into_iter().map(|tick| (tick, label(tick))).collect()
    }
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    svg.write_fmt(element).expect("writing to a string cannot fail");
}

/// Adds a text that is escaped already.
fn push_text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    push(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
}

/// Returns the next number of 1, 2, 2.5, 5 times a power of ten.
fn nice_above(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|nice| *nice >= value * 0.999_999)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_ends_at_a_round_number() {
        for (value, nice) in [(0.0, 1.0), (0.013, 0.02), (7.0, 10.0), (10.0, 10.0), (230.0, 250.0)] {
            assert!((nice_above(value) - nice).abs() < 1e-9, "{value}: {}", nice_above(value));
        }
    }

    #[test]
    fn plot_is_one_element_without_anything_from_outside() {
        let line = |points| Line { name: "p50 <&>".to_owned(), colour: "#123", points };
        let mut plot = Plot {
            title: "a".to_owned(),
            x_label: "s",
            show_y: |y| y.to_string(),
            x_scale: Scale::Linear,
            lines: vec![line(vec![(0.0, 1.0), (5.0, 2.0)])],
            bands: vec![(1.0, 2.0, "gone <b>".to_owned())],
            mark: Some((3.0, "here".to_owned())),
            dots: true,
        };
        let svg = plot.render();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && !svg.contains("http") && !svg.contains("NaN"));
        assert!(svg.contains("p50 &lt;&amp;&gt;"));
        plot.x_scale = Scale::Logarithmic;
        assert!(!plot.render().contains("NaN"));
        plot.lines = vec![line(vec![(1.0, 0.0)])];
        assert!(!plot.render().contains("NaN"));
        plot.lines = vec![line(Vec::new())];
        assert_eq!(plot.render(), "");
    }
}
