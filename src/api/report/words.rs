//! Published values as people read them, for the page and for Markdown.

use super::document::Report;
use crate::{
    api::{
        acknowledge::AcknowledgementView,
        bottlenecks::{CauseView, GainView},
        evidence::{SlowRequestView, SplitView},
        trend::TrendView,
    },
    markup::numbers::{NOTHING, moment, or_dash},
    rules::Unit,
};

/// Parts of an endpoint's time, in the order of [`parts`].
pub(in crate::api) const PARTS: [&str; 8] =
    ["database", "tasks", "calls", "tracked waits", "client", "late", "busy on the CPU", "waiting"];
/// Letters of a name that begins a line.
const LONGEST_NAME: usize = 72;

/// Writes milliseconds.
pub(in crate::api) fn duration(millis: Option<f64>) -> String {
    or_dash(millis.map(|millis| millis / 1e3), Unit::Seconds)
}

/// Writes per cent.
pub(in crate::api) fn percent(percent: Option<f64>) -> String {
    or_dash(percent.map(|percent| percent / 1e2), Unit::Ratio)
}

/// Writes megabytes.
pub(in crate::api) fn memory(megabytes: Option<f64>) -> String {
    or_dash(megabytes.map(|megabytes| megabytes * 1e6), Unit::Bytes)
}

/// Writes what a gain is a share of.
pub(in crate::api) fn share_of(gain: &GainView) -> String {
    let whole = if gain.unit == Unit::Ratio { "of all requests" } else { "of the time of all requests" };
    format!("{} {whole}", Unit::Ratio.render(gain.share))
}

/// Writes a cause as a sentence, with what speaks for it and how sure it is.
pub(in crate::api) fn cause(cause: &CauseView) -> String {
    let others = match cause.or.len() {
        0 => String::new(),
        _ => format!("; or {}", cause.or_titles.join(", or ")),
    };
    format!("Cause ({}): {}{others}. {}.", cause.confidence, cause.title, capitalised(&cause.because))
}

/// Writes who knows of a bottleneck, until when it is sent to nobody for that, and why.
pub(in crate::api) fn acknowledged(acknowledged: &AcknowledgementView) -> String {
    let AcknowledgementView { by, until, reason, .. } = acknowledged;
    format!("by {by} until {}: {reason}", moment(until))
}

/// Writes how many bottlenecks follow from one.
pub(in crate::api) fn followers(number: usize) -> String {
    if number == 1 { "1 more follows from it".to_owned() } else { format!("{number} more follow from it") }
}

/// Returns the parts of an endpoint's time in the order of [`PARTS`].
pub(in crate::api) fn parts(split: &SplitView) -> [f64; 8] {
    let SplitView { late, client, calls, waits, database, tasks, busy, waiting } = *split;
    [database, tasks, calls, waits, client, late, busy, waiting]
}

/// Writes the parts of an endpoint's time.
pub(in crate::api) fn split(split: &SplitView) -> String {
    let known = PARTS.iter().zip(parts(split)).filter(|(_, part)| *part > 0.0);
    let parts = known.map(|(name, part)| format!("{name} {}", Unit::Ratio.render(part)));
    parts.collect::<Vec<_>>().join(", ")
}

/// Writes how a request ended, in a word: its status, or the kind of its error.
pub(in crate::api) fn ending(request: &SlowRequestView) -> String {
    request.error_type.clone().or_else(|| request.status.map(|status| status.to_string())).unwrap_or_default()
}

/// Writes the latest value of a trend.
pub(in crate::api) fn latest(trend: &TrendView) -> String {
    let latest = trend.series.iter().rev().find_map(|value| *value);
    latest.map_or_else(|| NOTHING.to_owned(), |value| trend.unit.render(value))
}

/// Writes the whole report in a sentence or two.
pub(in crate::api) fn headline(report: &Report) -> String {
    let mut text = format!("{}.", capitalised(&report.message));
    let best = report.recommendations.first();
    if let Some(gain) = best.and_then(|best| best.expected_gain.as_ref()) {
        text += &format!(" The fix with the largest gain {}.", gain.summary);
    }
    text
}

/// Writes how many rules are in force, and how many of them are silent.
pub(in crate::api) fn rules_in_force(report: &Report) -> String {
    let (all, silent) = (report.rule_count, report.silent_rules.len());
    let rules = if all == 1 { "1 rule is in force".to_owned() } else { format!("{all} rules are in force") };
    match silent {
        0 => format!("{rules}, and each of them judges something now."),
        silent => format!("{rules}; {silent} of them cannot find anything now, or miss what they are for."),
    }
}

/// Cuts a name that begins a line, such as a long statement; the evidence has all of it.
pub(in crate::api) fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

/// Writes the first letter large.
pub(in crate::api) fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_are_written_with_their_unit() {
        assert_eq!(
            (duration(Some(1204.0)), duration(Some(0.25)), duration(None)),
            ("1.2s".into(), "0.25ms".into(), "–".into())
        );
        assert_eq!((percent(Some(2.4)), memory(Some(54.0))), ("2.4%".into(), "54MB".into()));
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        assert_eq!(shortened("SELECT 1"), "SELECT 1");
        let cut = shortened(&"é".repeat(100));
        assert_eq!((cut.chars().count(), cut.ends_with("é…")), (72, true));
    }
}
