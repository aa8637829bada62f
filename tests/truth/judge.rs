//! [`Judgement`]: what the monitor said about a service, beside what is true.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::truth::{ANY, Expected, Truth};

/// The cause of whatever is slow on a machine that has too little processor time.
const STARVED: &str = "cpu_starved";

/// Every finding that was there at some time, as it was last, with its worst severity.
#[derive(Default)]
pub(crate) struct Seen(BTreeMap<(String, String), (Value, Severity)>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    fn of(finding: &Value) -> Self {
        match text(finding, "/severity") {
            "critical" => Self::Critical,
            "high" => Self::High,
            "medium" => Self::Medium,
            _ => Self::Low,
        }
    }
}

impl Seen {
    /// Adds what one answer of `/performance/bottlenecks` has.
    pub(crate) fn add(&mut self, answer: &Value) {
        for finding in answer["bottlenecks"].as_array().into_iter().flatten() {
            let key = (text(finding, "/type").to_owned(), text(finding, "/subject").to_owned());
            let severity = Severity::of(finding);
            let entry = self.0.entry(key).or_insert((Value::Null, severity));
            *entry = (finding.clone(), severity.max(entry.1));
        }
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Value> {
        self.0.values().map(|(finding, _)| finding)
    }

    /// Returns the findings that were high or critical at some time.
    fn accusations(&self) -> impl Iterator<Item = &Value> {
        self.0.values().filter(|(_, severity)| *severity >= Severity::High).map(|(finding, _)| finding)
    }
}

/// Whether an expected finding has its cause.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Rightly(String),
    Wrongly(String),
    /// The finding has no cause.
    Not,
}

/// An expected finding: `None` where it was not found.
pub(crate) struct Outcome {
    pub(crate) expected: Expected,
    pub(crate) found: Option<(String, Named)>,
}

/// What was right and what was wrong about one service.
pub(crate) struct Judgement {
    pub(crate) truth: Truth,
    pub(crate) outcomes: Vec<Outcome>,
    /// Texts that must not be there, each with its finding.
    pub(crate) misleading: Vec<String>,
    /// Findings of high severity about what is innocent.
    pub(crate) accused: Vec<String>,
    /// Why the service could not be run to its end.
    pub(crate) broken: Option<String>,
}

impl Judgement {
    /// Judges what was seen. `starved` says that the service really had too little processor time: then that is a right cause of
    /// whatever is slow.
    pub(crate) fn of(truth: Truth, seen: &Seen, starved: bool) -> Self {
        let outcomes = truth.expected.iter().map(|expected| {
            let found = seen.findings().filter(|finding| is_expected(finding, expected));
            let mut found: Vec<_> = found.map(|finding| (label(finding), named(finding, expected, starved))).collect();
            // Of several rules that fire on the subject one with the right cause suffices.
            found.sort_by_key(|(_, named)| !matches!(named, Named::Rightly(_)));
            Outcome { expected: expected.clone(), found: found.into_iter().next() }
        });
        let outcomes = outcomes.collect();
        let accused = seen.accusations().filter(|finding| is_innocent(finding, &truth)).map(label).collect();
        let misleading = seen.findings().flat_map(|finding| misleading(finding, &truth)).collect();
        Self { outcomes, misleading, accused, broken: None, truth }
    }

    pub(crate) fn broken(truth: Truth, why: String) -> Self {
        Self { truth, outcomes: Vec::new(), misleading: Vec::new(), accused: Vec::new(), broken: Some(why) }
    }

    /// Returns whether the monitor is right about the service.
    pub(crate) fn is_right(&self) -> bool {
        let right = |outcome: &Outcome| match &outcome.found {
            None => !outcome.expected.required,
            Some((_, named)) => matches!(named, Named::Rightly(_)),
        };
        self.broken.is_none()
            && self.outcomes.iter().all(right)
            && self.misleading.is_empty()
            && self.accused.is_empty()
    }
}

fn text<'a>(finding: &'a Value, pointer: &str) -> &'a str {
    finding.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn label(finding: &Value) -> String {
    let subject: String = text(finding, "/subject").chars().take(60).collect();
    format!("{} {subject} [{}]", text(finding, "/type"), text(finding, "/severity"))
}

fn is_about(finding: &Value, subject: &str) -> bool {
    subject == ANY || text(finding, "/subject").contains(subject)
}

fn is_expected(finding: &Value, expected: &Expected) -> bool {
    let rule = text(finding, "/type");
    expected.rules.iter().any(|expected| *expected == ANY || *expected == rule) && is_about(finding, expected.subject)
}

fn named(finding: &Value, expected: &Expected, starved: bool) -> Named {
    let kind = text(finding, "/cause/kind");
    let kinds: Vec<_> = [kind].into_iter().chain(words(finding, "/cause/or")).filter(|kind| !kind.is_empty()).collect();
    let right = expected.causes.contains(&kind) || starved && kind == STARVED;
    let said = said(finding);
    let names = expected.names.is_empty() || expected.names.iter().any(|name| said.contains(&name.to_lowercase()));
    match (kind, right && names) {
        ("", _) => Named::Not,
        (_, true) => Named::Rightly(kinds.join(" or ")),
        (_, false) if right => Named::Wrongly(format!("{} without {}", kinds.join(" or "), expected.names.join(", "))),
        (_, false) => Named::Wrongly(kinds.join(" or ")),
    }
}

fn words<'a>(finding: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    finding.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Returns what a finding says, in small letters.
fn said(finding: &Value) -> String {
    let texts = ["/description", "/impact", "/cause/because", "/expected_gain/summary"];
    let texts = texts.iter().map(|pointer| text(finding, pointer)).chain(words(finding, "/recommendations"));
    texts.collect::<Vec<_>>().join("\n").to_lowercase()
}

fn misleading(finding: &Value, truth: &Truth) -> Vec<String> {
    let said = said(finding);
    let rule = text(finding, "/type");
    let never = truth.never.iter().filter(|(of, _)| *of == ANY || *of == rule);
    let found = never.filter(|(_, never)| said.contains(&never.to_lowercase()));
    found.map(|(_, never)| format!("“{never}” in {}", label(finding))).collect()
}

/// Returns whether a finding accuses what the truth says nothing bad about. What follows from an expected finding does not,
/// nor does a finding that blames the machine.
fn is_innocent(finding: &Value, truth: &Truth) -> bool {
    let sick = truth.expected.iter().filter(|expected| expected.required);
    let sick: Vec<_> = sick.map(|expected| expected.subject).collect();
    let expected = |subject: &str| sick.iter().any(|sick| *sick == ANY || subject.contains(sick));
    let tolerated = |(rule, subject): &(&str, &str)| {
        (*rule == ANY || text(finding, "/type") == *rule) && is_about(finding, subject)
    };
    let cause = text(finding, "/caused_by/subject");
    let follows = !cause.is_empty() && expected(cause);
    let starved = text(finding, "/cause/kind") == STARVED;
    !(expected(text(finding, "/subject")) || follows || starved || truth.tolerated.iter().any(tolerated))
}
