//! The catalogue of causes: each once, with what tells it from its neighbours, and what to do about it.
//!
//! docs/causes.md is made of it, and so is the advice of every finding. The functions that decide between the causes stand
//! beside it, one file for each kind of subject. Invariant: a neighbour's entry names the measurement that tells the two
//! apart, so that a reader can check the decision.

mod clients;
mod database;
mod endings;
mod process;
mod queues;
#[cfg(feature = "schema")]
pub(super) mod reference;
mod runtime;

use crate::rules::{cause_kind::CauseKind, severity::Severity};

/// One cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: CauseKind,
    pub(crate) title: &'static str,
    /// What is measured where this is the cause.
    #[cfg_attr(not(any(test, feature = "schema")), expect(dead_code, reason = "only the reference shows it"))]
    pub(crate) signature: &'static str,
    /// Causes that look alike, each with the measurement that tells it from this one.
    #[cfg_attr(not(any(test, feature = "schema")), expect(dead_code, reason = "only the reference shows it"))]
    pub(crate) neighbours: &'static [(CauseKind, &'static str)],
    /// What to measure where it cannot be told from a neighbour; follows "To tell them apart, ".
    pub(crate) undecided: &'static str,
    /// What to do: each piece of advice in several forms, the most specific first. `{name}` stands for a word of the
    /// [diagnosis](super::Diagnosis); the first form whose words are all known is said.
    pub(crate) advice: &'static [&'static [&'static str]],
    /// How sure a diagnosis of it is.
    #[cfg_attr(not(any(test, feature = "schema")), expect(dead_code, reason = "only the reference shows it"))]
    pub(crate) certainty: &'static str,
    /// What it may be by design, such as "a long poll".
    pub(crate) by_design: Option<&'static str>,
    /// The highest severity of a finding with this cause, where the rule's thresholds would overstate it.
    pub(crate) at_most: Option<Severity>,
}

/// The words that advice may use, each filled by the diagnosis where it knows it.
pub(crate) const WORDS: &[&str] = &[
    "subject",
    "query",
    "calls",
    "endpoint",
    "task",
    "call",
    "wait",
    "blocker",
    "places",
    "pool",
    "storm",
    "stretch",
    "seen_in",
    "duration",
    "error",
    "suspects",
    "holder",
    "why",
    "commit",
    "savepoint",
    "limit",
    "limited",
    "unauthorized",
    "missing",
];

/// What is said of a wait that is not tracked, where the endpoint issues queries and no wait for a connection is seen.
const UNSEEN_POOL: &[&str] =
    &["Waiting for {pool} would look the same, and no such wait is seen: sqlx shows all of them with \
     PoolOptions::acquire_time_level(log::LevelFilter::Debug), other pools with track_wait(\"pool\", name, future)"];

/// A cause without neighbours or limits; each entry sets what it has.
const NONE: Entry = Entry {
    kind: CauseKind::Unknown,
    title: "",
    signature: "",
    neighbours: &[],
    undecided: "",
    advice: &[],
    certainty: "",
    by_design: None,
    at_most: None,
};

/// The groups of the catalogue, with their titles.
pub(crate) const GROUPS: [(&str, &[Entry]); 6] = [
    ("The runtime and the CPU", runtime::ENTRIES),
    ("The database", database::ENTRIES),
    ("Queues, calls and tasks", queues::ENTRIES),
    ("Clients", clients::ENTRIES),
    ("How requests and runs end", endings::ENTRIES),
    ("The process, and what was not measured", process::ENTRIES),
];

/// Returns the entry of a cause.
pub(crate) fn entry(kind: CauseKind) -> &'static Entry {
    let mut all = GROUPS.iter().flat_map(|(_, entries)| entries.iter());
    all.find(|entry| entry.kind == kind).unwrap_or(&NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::template::Template;

    #[test]
    fn every_cause_has_one_entry_that_is_complete() {
        for kind in CauseKind::ALL {
            let entries: Vec<_> = GROUPS.iter().flat_map(|(_, all)| *all).filter(|entry| entry.kind == *kind).collect();
            let [entry] = entries[..] else { panic!("{kind} has {} entries", entries.len()) };
            for text in [entry.title, entry.signature, entry.certainty] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{kind}: {text:?}");
            }
            assert_eq!(entry.neighbours.is_empty(), entry.undecided.is_empty(), "{kind}");
            for (neighbour, difference) in entry.neighbours {
                assert!(*neighbour != *kind && !difference.is_empty(), "{kind} and {neighbour}");
            }
        }
    }

    #[test]
    fn the_first_advice_can_be_said_whatever_was_measured() {
        for kind in CauseKind::ALL {
            for forms in entry(*kind).advice {
                forms.iter().for_each(|form| drop(Template::parse(form, WORDS).expect(form)));
            }
            let first = entry(*kind).advice.first().and_then(|forms| forms.last());
            assert!(first.is_some_and(|form| !form.contains('{')), "{kind}: {first:?}");
        }
    }
}
