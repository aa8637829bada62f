//! Failures by kind, each with its count and one example.
//!
//! The number of kinds is bounded, since the text of a server's error pages must not fill the generator's memory. Past the
//! bound, failures of new kinds are counted under one last kind.

use std::collections::BTreeMap;

use crate::printable::printable_line;

/// Characters of a kind.
const LONGEST: usize = 160;
/// More kinds of one endpoint are usually one kind whose message has an id or a time in it.
const MOST_KINDS: usize = 40;
/// The kind past the bound.
const REST: &str = "further failures, each of a kind of its own";

/// Why one request failed, short enough to be a line in a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FailureKind(String);

impl FailureKind {
    /// Makes a kind of a message, on one line and cut at 160 characters. Parts of a response may be in it.
    pub(crate) fn new(message: &str) -> Self {
        let line = printable_line(message);
        let mut short: String = line.chars().take(LONGEST).collect();
        if short.len() < line.len() {
            short.push('…');
        }
        Self(short)
    }

    /// Returns the message.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A failure kind's count and example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How many requests failed in this way.
    pub(crate) count: u64,
    /// Start of the response's body, if it had one.
    pub(crate) example: Option<String>,
}

/// Failures of one endpoint by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(BTreeMap<FailureKind, Failure>);

impl Failures {
    /// Counts a failure and keeps the first example of each kind.
    pub(crate) fn record(&mut self, kind: FailureKind, example: Option<String>) {
        self.count(kind, Failure { count: 1, example });
    }

    /// Adds the failures of another part of the same endpoint.
    pub(crate) fn add(&mut self, other: Self) {
        for (kind, failure) in other.0 {
            self.count(kind, failure);
        }
    }

    /// Removes and returns all failures.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Returns the failures, the most frequent first.
    pub(crate) fn by_count(&self) -> Vec<(&FailureKind, &Failure)> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, failure)| std::cmp::Reverse(failure.count));
        all
    }

    fn count(&mut self, kind: FailureKind, more: Failure) {
        let kind =
            if self.0.len() >= MOST_KINDS && !self.0.contains_key(&kind) { FailureKind::new(REST) } else { kind };
        let failure = self.0.entry(kind).or_default();
        failure.count += more.count;
        if failure.example.is_none() {
            failure.example = more.example;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_bounded_and_none_is_lost() {
        let mut failures = Failures::default();
        for n in 0..1000 {
            failures.record(FailureKind::new(&format!("error {n}")), None);
        }
        assert_eq!(failures.0.len(), MOST_KINDS + 1);
        assert_eq!(failures.by_count().iter().map(|(_, failure)| failure.count).sum::<u64>(), 1000);
        assert_eq!(failures.by_count()[0].0.as_str(), REST);
    }

    #[test]
    fn message_is_one_short_line() {
        let kind = FailureKind::new(&format!("a\n  b {}", "x".repeat(500)));
        assert!(kind.as_str().starts_with("a b x"));
        assert_eq!(kind.as_str().chars().count(), LONGEST + 1);
    }
}
