//! Plots as SVG inside the page: no script, no network.

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its name.
    pub(super) name: String,
    /// Colour.
    pub(super) colour: &'static str,
    /// Points, by ascending x.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot of lines over a common x axis.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// What it shows.
    pub(super) title: String,
    /// What x is.
    pub(super) x_label: &'static str,
    /// How a y value is written.
    pub(super) show_y: fn(f64) -> String,
    /// Whether x grows by factors.
    pub(super) x_scale: Scale,
    /// Lines.
    pub(super) lines: Vec<Line>,
    /// A vertical mark, such as the capacity.
    pub(super) mark: Option<(f64, String)>,
    /// Whether points are drawn as dots too.
    pub(super) dots: bool,
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

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 34.0;

impl Plot {
    /// The plot as an `<svg>` element; empty without a point.
    pub(super) fn render(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points).filter(|(x, y)| x.is_finite() && y.is_finite());
        let (mut x_min, mut x_max, mut y_max) = (f64::INFINITY, f64::NEG_INFINITY, 0.0f64);
        for (x, y) in points() {
            x_min = x_min.min(self.x_scale.place(*x));
            x_max = x_max.max(self.x_scale.place(*x));
            y_max = y_max.max(*y);
        }
        if !x_min.is_finite() {
            return String::new();
        }
        let y_max = nice_above(y_max);
        let x_span = if x_max > x_min { x_max - x_min } else { 1.0 };
        let to_x = |x: f64| LEFT + (self.x_scale.place(x) - x_min) / x_span * (WIDTH - LEFT - RIGHT);
        let to_y = |y: f64| HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\
             <text class=\"t\" x=\"{LEFT}\" y=\"16\">{title}</text>",
            title = escape(&self.title)
        );
        for step in 0..=4 {
            let value = y_max * f64::from(step) / 4.0;
            let y = to_y(value);
            svg.push_str(&format!(
                "<line class=\"g\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                if step == 0 { "0".to_owned() } else { escape(&(self.show_y)(value)) }
            ));
        }
        for (x, text) in self.x_ticks(x_min, x_max) {
            svg.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                to_x(x),
                HEIGHT - BOTTOM + 16.0,
                escape(&text)
            ));
        }
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 2.0,
            escape(self.x_label)
        ));
        if let Some((x, text)) = &self.mark {
            svg.push_str(&format!(
                "<line class=\"m\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1:.1}\"/>\
                 <text x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>",
                to_x(*x),
                HEIGHT - BOTTOM,
                to_x(*x) + 4.0,
                TOP + 10.0,
                escape(text)
            ));
        }
        let mut legend = WIDTH - RIGHT;
        for line in self.lines.iter().rev() {
            legend -= 26.0 + 7.0 * line.name.chars().count() as f64;
            svg.push_str(&format!(
                "<rect x=\"{legend:.1}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"17\">{}</text>",
                line.colour,
                legend + 14.0,
                escape(&line.name)
            ));
        }
        for line in &self.lines {
            let path: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", to_x(*x), to_y(*y))).collect();
            svg.push_str(&format!(
                "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>",
                line.colour,
                path.join(" ")
            ));
            if self.dots {
                for (x, y) in &line.points {
                    svg.push_str(&format!(
                        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{}\"/>",
                        to_x(*x),
                        to_y(*y),
                        line.colour
                    ));
                }
            }
        }
        svg.push_str("</svg>");
        svg
    }

    fn x_ticks(&self, min: f64, max: f64) -> Vec<(f64, String)> {
        let text = |value: f64| {
            if value >= 1000.0 { format!("{value:.0}") } else { format!("{}", (value * 1e4).round() / 1e4) }
        };
        match self.x_scale {
            Scale::Linear => {
                let step = nice_above((max - min) / 8.0);
                let first = (min / step).ceil() as i64;
                let last = (max / step).floor() as i64;
                (first..=last).take(20).map(|n| n as f64 * step).map(|x| (x, text(x))).collect()
            }
            Scale::Logarithmic => {
                let (first, last) = (min.ceil() as i32, max.floor() as i32);
                let decades: Vec<(f64, String)> =
                    (first..=last).take(20).map(|power| 10f64.powi(power)).map(|x| (x, text(x))).collect();
                if decades.len() >= 2 {
                    decades
                } else {
                    [min, max].map(|at| (10f64.powf(at), text(10f64.powf(at)))).into()
                }
            }
        }
    }
}

/// The next number of 1, 2, 2.5, 5 times a power of ten.
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

/// Text inside HTML, SVG or XML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write these.
            control if control.is_control() && !matches!(control, '\n' | '\t') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
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
