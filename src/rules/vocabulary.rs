//! The names that the texts and conditions of a scope may use, from the catalogues of measures and facts.
//!
//! A rule file that uses any other name is refused when it is loaded, so every text of a loaded rule can be filled.

use super::{cause_kind::CauseKind, fact, measure, scope::Scope, unit::Unit};
use crate::{context::methods::method_names, names, track};

// Placeholders of a finding itself.
pub(crate) const SUBJECT: &str = "subject";
pub(crate) const VALUE: &str = "value";
pub(crate) const THRESHOLD: &str = "threshold";
pub(crate) const WINDOW: &str = "window";
pub(crate) const SAMPLES: &str = "samples";
pub(crate) const SEVERITY: &str = "severity";
pub(crate) const RULE: &str = "rule";

/// The names that every text may use, whatever the scope, with their meaning.
pub(crate) const ALWAYS: &[(&str, &str)] = &[
    (SUBJECT, "name of the endpoint, query, task or series that is over the threshold"),
    (VALUE, "value of the rule's measure"),
    (THRESHOLD, "threshold that it is over"),
    (WINDOW, "length of time that the value covers"),
    (SAMPLES, "observations in that time"),
    (SEVERITY, "severity of the finding"),
    (RULE, "id of the rule"),
];

/// Returns the facts of a scope that conditions can compare: its measures first.
pub(crate) fn numbers(scope: Scope) -> Vec<(&'static str, Unit)> {
    // Series of any metric have no evidence: only the rule's own measure is known of them.
    let measures = measure::of_scope(scope).filter(|_| scope != Scope::Metric).map(|entry| (entry.name, entry.unit));
    let others = fact::NUMBERS.iter().filter(|(of, ..)| *of == scope).map(|(_, fact, _)| (fact.name, fact.unit));
    measures.chain(others).collect()
}

/// Returns the facts of a scope that are words.
pub(crate) fn words(scope: Scope) -> impl Iterator<Item = &'static str> {
    fact::WORDS.iter().filter(move |(of, ..)| *of == scope).map(|(_, fact, _)| fact.name)
}

/// Returns every value that a word can have; `None` where it can be anything.
pub(crate) fn values_of(word: &str) -> Option<Vec<&'static str>> {
    match word {
        _ if word == fact::CAUSE.name => Some(CauseKind::WORDS.to_vec()),
        _ if word == fact::SLOWNESS.name => Some(fact::SLOWNESS_WORDS.to_vec()),
        _ if word == fact::TOP_FAILURE.name => Some(vec![names::ERROR, names::PANIC]),
        // What is past a limit of series is folded into `other`.
        _ if word == fact::METHOD.name => Some(with_other(method_names())),
        _ if word == fact::OPERATION.name => Some(with_other(track::operations().collect())),
        _ => None,
    }
}

fn with_other(mut known: Vec<&'static str>) -> Vec<&'static str> {
    if !known.contains(&names::OTHER) {
        known.push(names::OTHER);
    }
    known
}

/// Returns the facts of a scope as conditions know them: numbers with their unit, words without.
pub(crate) fn facts(scope: Scope) -> Vec<(&'static str, Option<Unit>)> {
    let numbers = numbers(scope).into_iter().map(|(name, unit)| (name, Some(unit)));
    numbers.chain(words(scope).map(|name| (name, None))).collect()
}

/// Returns the names that the texts of a rule may use.
pub(crate) fn placeholders(scope: Scope) -> Vec<&'static str> {
    ALWAYS.iter().map(|(name, _)| *name).chain(facts(scope).into_iter().map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn a_placeholder_means_one_thing() {
        for scope in Scope::ALL {
            let names = placeholders(scope);
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{scope:?}");
        }
    }

    /// The report renders a number by its name alone.
    #[test]
    fn a_name_has_the_same_unit_in_every_scope() {
        let mut units = HashMap::new();
        for (name, unit) in Scope::ALL.into_iter().flat_map(numbers) {
            assert_eq!(*units.entry(name).or_insert(unit), unit, "{name}");
        }
    }
}
