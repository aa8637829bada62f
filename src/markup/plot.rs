//! The pieces of plots: inline SVG that scales with the page.
//!
//! Horizontal places are per cent, so that a plot fills the width of the page and its marks stay round. Words are HTML
//! beside the plot, not text inside it, so that they wrap and stay readable on a phone.

use super::{html::Html, numbers};

/// A limit within so many times the highest value is drawn; one further up would press the curve flat.
pub(crate) const LIMIT_IN_SIGHT: f64 = 3.0;

/// A bar for a share.
pub(crate) fn share(page: &mut Html, share: f64) {
    page.raw("<svg height=\"8\" role=\"img\" aria-label=\"share\"><rect class=\"f-track\" width=\"100%\" height=\"8\" rx=\"4\"/>");
    page.raw("<rect class=\"f-gain\" height=\"8\" rx=\"4\" width=\"")
        .number(share.clamp(0.0, 1.0) * 100.0)
        .raw("%\"/></svg>");
}

/// A logarithmic axis.
pub(crate) struct LogAxis {
    low: f64,
    high: f64,
}

impl LogAxis {
    /// An axis of whole decades around the values.
    pub(crate) fn around(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) =
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(log), high.max(log)));
        if !low.is_finite() {
            return Self { low: 0.0, high: 3.0 };
        }
        let low = low.floor();
        Self { low, high: high.ceil().max(low + 1.0) }
    }

    /// Per cent from the left.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let log = value.max(f64::MIN_POSITIVE).log10();
        ((log - self.low) / (self.high - self.low) * 100.0).clamp(0.0, 100.0)
    }

    pub(crate) fn decades(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low as i32, self.high as i32);
        (low..=high).map(|decade| 10_f64.powi(decade))
    }
}

/// A horizontal line; `open` is its tag up to the height.
pub(crate) fn level(page: &mut Html, open: &'static str, y: f64) {
    page.raw(open).number(y).raw("\" y2=\"").number(y).raw("\"/>");
}

/// Points of a polyline.
pub(crate) fn curve(page: &mut Html, places: &[(f64, f64)]) {
    for (x, y) in places {
        page.number(*x).raw(",").number(*y).raw(" ");
    }
}

/// The labels of a trend's axes.
pub(crate) struct TimeAxis {
    /// The highest value, as people write it.
    pub(crate) top: String,
    /// Length of a bucket.
    pub(crate) seconds: f64,
}

/// The values of a trend's buckets, from zero to the highest; where nothing was measured the line breaks.
pub(crate) fn sparkline(page: &mut Html, series: &[Option<f64>], axis: &TimeAxis) {
    let highest = series.iter().flatten().copied().fold(0.0, f64::max);
    page.raw("<div class=\"spark\">");
    curve_only(page, series, "trend");
    if highest > 0.0 {
        let span = numbers::seconds(series.len() as f64 * axis.seconds);
        page.element("<div class=\"axis\"><span>", &span, " ago</span><span>0 to ");
        page.text(&axis.top).raw("</span><span>now</span></div>");
    }
    page.raw("</div>");
}

/// The curve alone; `words` are for those who do not see it.
pub(crate) fn curve_only(page: &mut Html, series: &[Option<f64>], words: &str) {
    let highest = series.iter().flatten().copied().fold(0.0, f64::max);
    let step = 100.0 / (series.len().max(2) - 1) as f64;
    page.raw("<svg height=\"34\" viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" role=\"img\"");
    page.attribute("aria-label", words).raw(">");
    page.raw("<line class=\"s-grid\" x1=\"0\" x2=\"100\" y1=\"100\" y2=\"100\"/>");
    let height = |value: f64| if highest > 0.0 { 95.0 * (1.0 - value / highest) + 2.5 } else { 97.5 };
    for (at, run) in runs(series) {
        if let [value] = run[..] {
            // Browsers draw a line of no length as its round ends, and a polyline of one point not at all.
            let (x, y) = (at as f64 * step, height(value));
            page.raw("<path class=\"s-dot\" d=\"M").number(x).raw(",").number(y).raw("h0\"/>");
            continue;
        }
        page.raw("<polyline class=\"s-line\" points=\"");
        for (offset, value) in run.iter().enumerate() {
            page.number((at + offset) as f64 * step).raw(",").number(height(*value)).raw(" ");
        }
        page.raw("\"/>");
    }
    page.raw("</svg>");
}

/// Returns the stretches without a gap, each with the place of its first value.
pub(super) fn runs(series: &[Option<f64>]) -> Vec<(usize, Vec<f64>)> {
    let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
    for (at, value) in series.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some((from, run))) if *from + run.len() == at => run.push(*value),
            (Some(value), _) => runs.push((at, vec![*value])),
            (None, _) => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let series = [Some(1.0), Some(2.0), None, None, Some(3.0)];
        assert_eq!(runs(&series), [(0, vec![1.0, 2.0]), (4, vec![3.0])]);
        assert_eq!(runs(&[None]), []);
    }

    #[test]
    fn a_bucket_between_two_gaps_shows() {
        let drawn = |series: &[Option<f64>]| {
            let mut page = Html::default();
            sparkline(&mut page, series, &TimeAxis { top: "3ms".into(), seconds: 60.0 });
            page.finish()
        };
        let page = drawn(&[Some(1.0), None, Some(3.0)]);
        assert_eq!((page.matches("s-dot").count(), page.matches("<polyline").count()), (2, 0), "{page}");
        assert!(page.contains("d=\"M100,2.5h0\"") && page.contains(">3m ago<") && page.contains("0 to 3ms"), "{page}");
        let page = drawn(&[Some(1.0), Some(2.0), None, Some(3.0), None]);
        assert_eq!((page.matches("s-dot").count(), page.matches("<polyline").count()), (1, 1), "{page}");
    }

    #[test]
    fn an_axis_spans_whole_decades_and_keeps_everything_inside() {
        let axis = LogAxis::around([3.0, 450.0, 0.0].into_iter());
        assert_eq!(axis.decades().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!((axis.place(1.0), axis.place(1000.0), axis.place(0.0), axis.place(1e9)), (0.0, 100.0, 0.0, 100.0));
        assert!((axis.place(31.622_776_601_683_79) - 50.0).abs() < 1e-9);
        let single = LogAxis::around([10.0].into_iter());
        assert_eq!(single.decades().collect::<Vec<_>>(), [10.0, 100.0]);
        assert_eq!(LogAxis::around(std::iter::empty()).decades().count(), 4);
    }
}
