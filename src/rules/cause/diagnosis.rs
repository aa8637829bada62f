//! [`Diagnosis`]: the cause of a finding, and how candidates become one.

use super::catalogue::{self, Entry, WORDS};
use crate::rules::{
    cause_kind::{CauseKind, Confidence},
    severity::Severity,
    template::Template,
};

/// A word of the catalogue's advice with its value.
type Word = (&'static str, String);

/// The cause of a finding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diagnosis {
    pub(crate) kind: CauseKind,
    /// One sentence with the measured numbers.
    pub(crate) because: String,
    pub(crate) confidence: Confidence,
    /// Causes that could not be told from it.
    pub(crate) or: Vec<CauseKind>,
    /// The subject that it follows from, such as the query that makes an endpoint slow.
    pub(crate) of: Option<Origin>,
    at_most: Option<Severity>,
    by_design: Option<&'static str>,
    words: Vec<Word>,
}

/// What a cause lies in, where that is another subject: findings about that one are joined with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Query(String),
    Endpoint(String),
    Task(String),
    Process,
}

impl Diagnosis {
    pub(super) fn new(kind: CauseKind, confidence: Confidence, because: impl Into<String>) -> Self {
        let Entry { at_most, by_design, .. } = *catalogue::entry(kind);
        Self {
            kind,
            because: because.into(),
            confidence,
            or: Vec::new(),
            of: None,
            at_most,
            by_design,
            words: Vec::new(),
        }
    }

    /// Returns a diagnosis of these causes, the first of which is the most telling.
    #[cfg(test)]
    pub(crate) fn of_kinds(kinds: &[CauseKind]) -> Self {
        Self::new(kinds[0], Confidence::Certain, "it was measured").or(&kinds[1..])
    }

    /// Leaves the severity to the rule's thresholds, whatever the catalogue says.
    pub(super) fn at_any_severity(self) -> Self {
        Self { at_most: None, ..self }
    }

    /// Says that it may be by design, so that no finding with it is more severe than this.
    pub(super) fn maybe_by_design(self, what: &'static str, at_most: Severity) -> Self {
        Self { by_design: Some(what), at_most: Some(at_most), ..self }
    }

    /// Adds a word that the catalogue's advice may use.
    pub(super) fn word(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        debug_assert!(WORDS.contains(&name), "{name} is no word of the catalogue");
        self.words.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Puts a text before the reason.
    pub(super) fn preceded_by(self, before: &str) -> Self {
        Self { because: format!("{before}{}", self.because), ..self }
    }

    /// Puts a text after the reason.
    pub(super) fn followed_by(self, after: &str) -> Self {
        Self { because: format!("{}{after}", self.because), ..self }
    }

    /// Says that the cause lies in another subject.
    pub(super) fn of(mut self, origin: Option<Origin>) -> Self {
        self.of = origin;
        self
    }

    /// Adds causes that the measurements do not exclude.
    pub(super) fn or(mut self, others: &[CauseKind]) -> Self {
        self.or.extend(others.iter().filter(|other| **other != self.kind));
        if !self.or.is_empty() {
            self.confidence = Confidence::Possible;
        }
        self
    }

    /// Returns the only cause; `None` where others remain.
    pub(crate) fn decided(&self) -> Option<CauseKind> {
        self.or.is_empty().then_some(self.kind)
    }

    /// Returns every cause that remains: one where it is decided.
    pub(crate) fn possible(&self) -> impl Iterator<Item = CauseKind> {
        std::iter::once(self.kind).chain(self.or.iter().copied())
    }

    pub(crate) fn title(&self) -> &'static str {
        self.entry().title
    }

    /// Returns what the causes mean that could not be told from it.
    pub(crate) fn or_titles(&self) -> impl Iterator<Item = &'static str> {
        self.or.iter().map(|kind| catalogue::entry(*kind).title)
    }

    /// Returns the highest severity that a finding with this cause deserves; `None` where the rule decides.
    pub(crate) fn at_most(&self) -> Option<Severity> {
        self.at_most
    }

    /// Returns what the finding may be by design, such as "a long poll".
    pub(crate) fn by_design(&self) -> Option<&'static str> {
        self.by_design.or_else(|| self.or.iter().find_map(|kind| catalogue::entry(*kind).by_design))
    }

    /// Returns the advice that follows. Of a cause that is not decided it is what to measure, and what to do in each case.
    pub(crate) fn advice(&self) -> Vec<String> {
        if self.or.is_empty() {
            return self.filled(self.entry()).collect();
        }
        let undecided = self.fill(self.entry().undecided).filter(|how| !how.is_empty());
        let first = undecided.map(|how| format!("To tell them apart, {how}"));
        let each = self.possible().filter_map(|kind| {
            let entry = catalogue::entry(kind);
            Some(format!("If {}: {}", entry.title, lower_first(&self.filled(entry).next()?)))
        });
        first.into_iter().chain(each).collect()
    }

    fn entry(&self) -> &'static Entry {
        catalogue::entry(self.kind)
    }

    /// Returns each piece of advice in its most specific form whose words are known.
    fn filled(&self, entry: &'static Entry) -> impl Iterator<Item = String> {
        entry.advice.iter().filter_map(|forms| forms.iter().find_map(|form| self.fill(form)))
    }

    fn fill(&self, text: &str) -> Option<String> {
        let template = Template::parse(text, WORDS).ok()?;
        template.render(&|name| self.words.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

/// Makes one diagnosis of those that remain, the most telling first; `None` of none.
pub(super) fn of_candidates(mut candidates: Vec<Diagnosis>) -> Option<Diagnosis> {
    if candidates.is_empty() {
        return None;
    }
    let first = candidates.remove(0);
    let others: Vec<_> = candidates.iter().map(|other| other.kind).filter(|kind| *kind != first.kind).collect();
    let mut because = first.because.clone();
    for other in candidates.iter().filter(|other| other.kind != first.kind) {
        because += &format!("; {}", other.because);
    }
    let mut words = first.words.clone();
    for (name, value) in candidates.into_iter().flat_map(|other| other.words) {
        if !words.iter().any(|(known, _)| *known == name) {
            words.push((name, value));
        }
    }
    Some(Diagnosis { because, words, ..first }.or(&others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CauseKind::*;

    #[test]
    fn one_candidate_is_the_cause_and_two_are_both_possible() {
        let of = |kind| Diagnosis::new(kind, Confidence::Likely, format!("{kind} was measured"));
        assert_eq!(of_candidates(vec![]), None);
        let one = of_candidates(vec![of(Computing)]).expect("a cause");
        assert_eq!((one.kind, one.decided(), one.confidence), (Computing, Some(Computing), Confidence::Likely));
        let two = of_candidates(vec![of(Computing), of(BlockingCall)]).expect("a cause");
        assert_eq!(
            (two.kind, &*two.or, two.decided(), two.confidence),
            (Computing, &[BlockingCall][..], None, Confidence::Possible)
        );
        assert_eq!(two.because, "computing was measured; blocking_call was measured");
    }

    #[test]
    fn advice_on_two_causes_says_what_to_measure_first() {
        let both = Diagnosis::new(Computing, Confidence::Possible, "").or(&[BlockingCall]);
        let advice = both.advice();
        assert!(advice[0].starts_with("To tell them apart, compare the CPU time"), "{advice:?}");
        assert!(advice[1].starts_with("If it computes on a worker of the runtime: move the computation"), "{advice:?}");
        assert!(advice[2].starts_with("If a blocking call holds a worker"), "{advice:?}");
    }

    #[test]
    fn the_most_specific_form_that_can_be_filled_is_said() {
        let named = Diagnosis::new(NPlusOne, Confidence::Certain, "")
            .word("endpoint", Some("GET /a"))
            .word("calls", Some("12"))
            .word("query", Some("SELECT 1"));
        assert_eq!(named.advice().len(), 1, "{:?}", named.advice());
        let unnamed = Diagnosis::new(NPlusOne, Confidence::Certain, "");
        assert!(unnamed.advice()[0].starts_with("Fetch all rows at once, with a join, "));
    }
}
