//! The labels and annotations that every exported alert has, and the words in them.

use crate::rules::Severity;

/// Label: the severity in the words of those who route by `critical`, `warning` and `info`.
pub(super) const LEVEL: &str = "level";
/// Label: which of the monitor's own problems an alert is about.
pub(super) const PROBLEM: &str = "problem";
/// Annotation: one line.
pub(super) const SUMMARY: &str = "summary";
/// Annotation: what it means, and what to do.
pub(super) const DESCRIPTION: &str = "description";
/// Annotation: where to read more.
pub(super) const RUNBOOK_URL: &str = "runbook_url";

/// Returns the value of [`LEVEL`]. Alertmanager's users route by two or three words; four severities become three, and
/// only [`Severity::Critical`] is worth a page at night.
pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "warning",
        Severity::Medium | Severity::Low => "info",
    }
}

/// Returns the address of a section of a document in `docs/`.
pub(super) fn runbook(document: &str, section: &str) -> String {
    format!("{}/blob/main/docs/{document}#{section}", env!("CARGO_PKG_REPOSITORY"))
}
