//! Names of metrics and labels that nothing can have, where that is certain.

use super::problem::ProblemKind;
use crate::names::{self, Kind};

/// What OpenTelemetry's names lack of those of Prometheus.
const UNITS: [&str; 5] = ["", "_seconds", "_bytes", "_total", "_seconds_total"];
/// What Prometheus adds to the name of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

/// Returns what to say about the name of a metric that no rule can see; `None` about every other.
///
/// The service may give its metrics other names than Prometheus takes, such as `mails.sent`.
pub(super) fn metric_mistake(name: &str) -> Option<ProblemKind> {
    let known = |wanted: &str| names::metric(wanted);
    let histogram = PARTS.iter().filter_map(|part| known(name.strip_suffix(part)?));
    if let Some(of) = histogram.into_iter().find(|metric| metric.kind == Kind::Histogram) {
        return Some(ProblemKind::HistogramPart { found: name.to_owned(), of: of.name });
    }
    let written = name.replace('.', "_");
    let suggestion = UNITS.iter().find_map(|unit| known(&format!("{written}{unit}"))).map(|metric| metric.name);
    let is_other = name.contains('.') && suggestion.is_some();
    (is_other || !can_be_name(name)).then(|| {
        let (found, expected) = (name.to_owned(), "queue_wait_seconds; labels belong under match");
        ProblemKind::BadName { what: "metric", found, suggestion, expected }
    })
}

/// Returns what to say about the name of a label that no series can have; `None` about every other.
pub(super) fn label_mistake(name: &str) -> Option<ProblemKind> {
    let (found, expected) = (name.to_owned(), "http_route");
    (!can_be_name(name)).then_some(ProblemKind::BadName { what: "label", found, suggestion: None, expected })
}

fn can_be_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "{}()[]\"'=,".contains(c))
}
