//! The labels and annotations that every alert on a finding has, exported or delivered, and the words in them.

use super::severity::Severity;

/// Label: the name of the alert, as Prometheus calls it.
#[cfg(any(feature = "deliver", feature = "export"))]
pub(crate) const ALERT_NAME: &str = "alertname";
/// Label: the severity in the words of those who route by `critical`, `warning` and `info`.
pub(crate) const LEVEL: &str = "level";
/// Label: which of the monitor's own problems an alert is about.
#[cfg(feature = "export")]
pub(crate) const PROBLEM: &str = "problem";
/// Annotation: one line.
pub(crate) const SUMMARY: &str = "summary";
/// Annotation: what it means, and what to do.
pub(crate) const DESCRIPTION: &str = "description";
/// Annotation: where to read more.
pub(crate) const RUNBOOK_URL: &str = "runbook_url";

/// Returns the name of the alert on findings of a severity.
pub(crate) fn alert_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "PinchpointCriticalBottleneck",
        Severity::High => "PinchpointHighBottleneck",
        Severity::Medium | Severity::Low => "PinchpointBottleneck",
    }
}

/// Returns the value of [`LEVEL`]. Alertmanager's users route by two or three words; four severities become three, and
/// only [`Severity::Critical`] is worth a page at night.
pub(crate) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "warning",
        Severity::Medium | Severity::Low => "info",
    }
}

/// Returns the address of a section of a document in `docs/`.
pub(crate) fn runbook(document: &str, section: &str) -> String {
    format!("{}/blob/main/docs/{document}#{section}", env!("CARGO_PKG_REPOSITORY"))
}
