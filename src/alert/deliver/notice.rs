//! [`Notice`]: a finding as an alert, with labels that tell it from every other and annotations that explain it.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use xxhash_rust::xxh64::xxh64;

use super::Moment;
use crate::{
    names,
    rules::{
        Bottleneck, Severity, Unit,
        alert_labels::{ALERT_NAME, DESCRIPTION, LEVEL, RUNBOOK_URL, SUMMARY, alert_name, level, runbook},
    },
};

/// Labels and annotations, by name.
pub(super) type Texts = BTreeMap<String, String>;

/// Annotation: the cause, as far as the measurements name one.
pub(super) const CAUSE: &str = "cause";
/// Annotation: what was measured.
pub(super) const EVIDENCE: &str = "evidence";
/// Annotation: what to do, one line each.
pub(super) const ADVICE: &str = "advice";
/// Annotation: the version of the service.
const VERSION: &str = "version";
/// Annotation: who acknowledged it, until when and why.
const ACKNOWLEDGED: &str = "acknowledged";

/// Lines of advice in an annotation; `/performance/bottlenecks` has all.
const MOST_ADVICE: usize = 5;
/// Characters of an annotation: a message of many alerts stays below what chat services accept.
const LONGEST: usize = 1_000;

/// The service that the alerts are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Labels of every alert: `job` and `instance` as Prometheus has them, and those of the settings.
    pub(crate) labels: Texts,
    /// The version of the service. An annotation, since an alert outlives a release.
    pub(crate) version: Option<String>,
}

/// A finding as an alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// Hash of the labels.
    pub(crate) id: u64,
    pub(crate) severity: Severity,
    pub(crate) labels: Texts,
    pub(crate) annotations: Texts,
    /// When it began, since the Unix epoch.
    pub(crate) began: Duration,
    /// Whether a person has acknowledged it, so that it is not delivered.
    pub(crate) is_acknowledged: bool,
}

impl Notice {
    /// Makes the alert of a bottleneck; `acknowledged` says by whom and why it is not delivered.
    pub(crate) fn of(
        bottleneck: &Bottleneck,
        identity: &Identity,
        acknowledged: Option<String>,
        moment: Moment,
    ) -> Self {
        let (rule, severity, subject) = (&*bottleneck.rule.id, bottleneck.severity, &*bottleneck.subject.name);
        let mut annotations = Texts::from([
            (SUMMARY.to_owned(), format!("{rule} ({severity}): {subject}")),
            (DESCRIPTION.to_owned(), sentences(&bottleneck.description, &bottleneck.impact)),
            (EVIDENCE.to_owned(), evidence(bottleneck)),
            (RUNBOOK_URL.to_owned(), runbook("rules.md", rule)),
        ]);
        let cause = bottleneck.cause.as_ref().map(|cause| {
            let others: Vec<_> = cause.or_titles().collect();
            let or = if others.is_empty() { String::new() } else { format!(" Or: {}.", others.join("; ")) };
            format!("{} ({}): {}{or}", cause.title(), cause.confidence.as_str(), cause.because)
        });
        let advice = bottleneck.recommendations.iter().take(MOST_ADVICE).cloned().collect::<Vec<_>>().join("\n");
        let advice = (!advice.is_empty()).then_some(advice);
        let is_acknowledged = acknowledged.is_some();
        let further =
            [(CAUSE, cause), (ADVICE, advice), (VERSION, identity.version.clone()), (ACKNOWLEDGED, acknowledged)];
        annotations.extend(further.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
        annotations.values_mut().for_each(shorten);
        let labels = labels(identity, severity, [(names::RULE, rule), (names::SUBJECT, subject)]);
        let began = moment.wall.saturating_sub(moment.now.saturating_duration_since(bottleneck.since));
        Self { id: fingerprint(&labels), severity, labels, annotations, began, is_acknowledged }
    }

    /// Makes the alert with which `pinchpoint alerts test` tries a receiver.
    pub(crate) fn test(identity: &Identity, wall: Duration) -> Self {
        let mut labels = labels(identity, Severity::Low, [(names::RULE, "test"), (names::SUBJECT, "test")]);
        labels.insert(ALERT_NAME.to_owned(), "PinchpointTest".to_owned());
        let annotations = Texts::from([
            (SUMMARY.to_owned(), "Test of Pinchpoint's notifications".to_owned()),
            (DESCRIPTION.to_owned(), "Sent by `pinchpoint alerts test`. Nothing is wrong.".to_owned()),
            (RUNBOOK_URL.to_owned(), runbook("delivery.md", "try-it")),
        ]);
        let id = fingerprint(&labels);
        Self { id, severity: Severity::Low, labels, annotations, began: wall, is_acknowledged: false }
    }

    pub(super) fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }

    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Labels that every alert has, which those of the settings never replace.
pub(crate) const OWN_LABELS: [&str; 5] = [ALERT_NAME, LEVEL, names::SEVERITY, names::RULE, names::SUBJECT];

/// Returns the labels of an alert. Those of the settings never replace what tells alerts apart.
pub(super) fn labels<const N: usize>(identity: &Identity, severity: Severity, of_finding: [(&str, &str); N]) -> Texts {
    let of_severity =
        [(ALERT_NAME, alert_name(severity)), (LEVEL, level(severity)), (names::SEVERITY, severity.as_str())];
    let own = of_severity.into_iter().chain(of_finding).map(|(name, value)| (name.to_owned(), value.to_owned()));
    // A label without a value is none to Prometheus, and Alertmanager refuses it.
    identity.labels.clone().into_iter().chain(own).filter(|(_, value)| !value.is_empty()).collect()
}

/// Returns the hash of the labels: the same alert has the same after a restart.
pub(super) fn fingerprint(labels: &Texts) -> u64 {
    let mut text = String::new();
    for (name, value) in labels {
        // No UTF-8 text has this byte as a character of a name, so that two sets of labels are never one text.
        let _ = write!(text, "{name}\u{1f}{value}\u{1e}");
    }
    xxh64(text.as_bytes(), 0)
}

/// Returns what was measured, in one line.
fn evidence(bottleneck: &Bottleneck) -> String {
    let unit = bottleneck.rule.unit;
    let (value, limit) = (unit.render(bottleneck.value), unit.render(bottleneck.threshold.limit));
    let window = Unit::Seconds.render(bottleneck.window.as_secs_f64());
    let samples = match bottleneck.compared_samples() {
        Some((before, now)) => format!("{before} requests in the version before, {now} in this one in {window}"),
        None => format!("{} samples in {window}", bottleneck.samples),
    };
    let operator = bottleneck.threshold.operator.as_str();
    format!("{} {value}, threshold {operator} {limit}, {samples}", bottleneck.rule.measure_name)
}

/// Returns two texts of a rule as sentences of one text.
fn sentences(one: &str, other: &str) -> String {
    let texts = [one, other].map(str::trim).into_iter().filter(|text| !text.is_empty());
    texts.map(|text| text.trim_end_matches('.')).collect::<Vec<_>>().join(". ")
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
}

/// Returns whether a text can be the name of a label: `[a-zA-Z_][a-zA-Z0-9_]*`, as in Prometheus.
pub(crate) fn is_label_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::notice, *};

    #[test]
    fn a_fingerprint_is_that_of_the_labels_alone() {
        let (one, other) = (notice("GET /a", Severity::High), notice("GET /b", Severity::High));
        assert_ne!(one.id, other.id);
        let mut later = notice("GET /a", Severity::High);
        later.annotations.clear();
        later.began = Duration::ZERO;
        assert_eq!(fingerprint(&later.labels), one.id);
        assert_ne!(notice("GET /a", Severity::Critical).id, one.id, "each severity is an alert of its own");
    }

    #[test]
    fn labels_of_the_settings_tell_services_apart_and_replace_none_of_the_findings() {
        let labels_of = [("job", "shop"), ("rule", "x"), ("empty", "")];
        let identity = Identity {
            labels: labels_of.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            version: None,
        };
        let labels = labels(&identity, Severity::High, [(names::RULE, "slow_endpoint")]);
        assert_eq!((labels["job"].as_str(), labels["rule"].as_str()), ("shop", "slow_endpoint"));
        assert!(!labels.contains_key("empty"));
        assert_ne!(
            fingerprint(&labels),
            fingerprint(&super::labels(&Identity::default(), Severity::High, [(names::RULE, "slow_endpoint")]))
        );
    }

    #[test]
    fn names_of_labels_are_prometheuss() {
        for good in ["team", "_x", "a1"] {
            assert!(is_label_name(good), "{good}");
        }
        for wrong in ["", "1a", "a-b", "a b", "é"] {
            assert!(!is_label_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn two_texts_are_two_sentences() {
        assert_eq!(sentences("It is slow.", "It takes 2s"), "It is slow. It takes 2s");
        assert_eq!(sentences("It is slow", ""), "It is slow");
    }

    #[test]
    fn long_texts_are_cut() {
        let mut text = "é".repeat(LONGEST + 1);
        shorten(&mut text);
        assert_eq!(text.chars().count(), LONGEST + 1);
        assert!(text.ends_with('…'));
    }
}
