//! [`Facts`]: the facts of one investigation, with the rules by which several scopes derive them.

use super::durations::{Durations, divide};
use crate::{
    names,
    rules::{
        evidence::{Fact, HeldBy, UseShare},
        fact::{self, NumberFact, WordFact},
        measure::{self, Measure},
        scope::Scope,
    },
    store::OutcomeClass,
};

/// Durations within this factor of each other are of one kind.
const NEAR: f64 = 3.0;

/// Facts with their values. A fact without a value is left out, so that a condition on it does not hold.
#[derive(Default)]
pub(super) struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    /// Returns the facts in the order in which they were added.
    pub(super) fn into_vec(self) -> Vec<(&'static str, Fact)> {
        self.0
    }

    /// Adds every measure of a scope.
    pub(super) fn measures(&mut self, scope: Scope, value: impl Fn(Measure) -> Option<f64>) {
        for entry in measure::of_scope(scope) {
            self.number(entry.fact(), value(entry.measure));
        }
    }

    /// Adds a number, unless it is missing or not finite.
    pub(super) fn number(&mut self, fact: NumberFact, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        self.0.extend(value.map(|value| (fact.name, Fact::Number(value, fact.unit))));
    }

    /// Adds a word, unless it is missing.
    pub(super) fn word(&mut self, fact: WordFact, word: Option<&str>) {
        self.0.extend(word.map(|word| (fact.name, Fact::Word(word.into()))));
    }

    /// Adds who holds what an endpoint waits for most, of what is known to be held; `uses` has the most time first.
    pub(super) fn holder(&mut self, uses: &[UseShare]) {
        let Some(holder) = uses.iter().find_map(|used| used.holder.as_ref()) else { return };
        if let HeldBy::Endpoint(name) | HeldBy::Task(name) = &holder.who {
            self.word(fact::LONGEST_HOLDER, Some(name));
            self.number(fact::LONGEST_HOLDER_AVG_HOLD, Some(holder.avg_seconds));
            self.number(fact::LONGEST_HOLDER_RATIO, Some(holder.ratio));
        }
    }

    /// Adds how often a limit, in seconds, was passed: always, often, rarely or once.
    pub(super) fn slowness(&mut self, durations: &Durations<'_>, slow: Option<f64>) {
        let Some(limit) = slow else { return };
        let (above, all) = (durations.count_above(limit), durations.count());
        self.number(fact::OVER_THRESHOLD_RATIO, divide(above as f64, all as f64));
        self.word(fact::SLOWNESS, slowness(above, all));
    }

    /// Adds how the durations spread: the shortest, and how many are slow, fast or between.
    pub(super) fn spread(&mut self, durations: &Durations<'_>) {
        let (shortest, longest, median) = (durations.min(), durations.max(), durations.median());
        self.number(fact::MIN_DURATION, shortest);
        let (Some(shortest), Some(longest), Some(median)) = (shortest, longest, median) else { return };
        // Slow is what comes near the longest, fast what comes near the kind that most are of.
        let slow = longest / NEAR;
        let fast = if median < slow { median } else { shortest } * NEAR;
        let (above_slow, above_fast) = (durations.count_above(slow), durations.count_above(fast.min(slow)));
        self.number(fact::SLOW_RATIO, divide(above_slow as f64, durations.count() as f64));
        self.number(fact::BETWEEN_RATIO, divide((above_fast - above_slow) as f64, durations.count() as f64));
    }

    /// Adds how long those took that were cut short, and the median of the others.
    pub(super) fn cut_short(&mut self, durations: &Durations<'_>) {
        let cut = OutcomeClass::Cancellation;
        self.number(fact::OK_P50_DURATION, durations.median_of(OutcomeClass::Success));
        self.number(fact::CANCELLED_MIN_DURATION, durations.min_of(cut));
        self.number(fact::CANCELLED_MAX_DURATION, durations.max_of(cut));
        self.number(fact::CANCELLED_AVG_DURATION, durations.cancelled_mean());
    }

    /// Adds what distinguishes failures: the share of panics, and whether they take longer than successes.
    pub(super) fn failures(&mut self, durations: &Durations<'_>) {
        let counts = durations.by_outcome();
        let panics = counts.iter().find(|known| known.outcome.name == names::PANIC).map_or(0, |known| known.count);
        self.number(fact::PANIC_RATIO, divide(panics as f64, durations.failed() as f64));
        self.failed(durations);
    }

    /// Adds how long failures take, and successes.
    pub(super) fn failed(&mut self, durations: &Durations<'_>) {
        self.number(fact::FAILED_AVG_DURATION, durations.failed_mean());
        self.number(fact::FAILED_MIN_DURATION, durations.min_of(OutcomeClass::Failure));
        self.number(fact::FAILED_MAX_DURATION, durations.max_of(OutcomeClass::Failure));
        self.number(fact::OK_AVG_DURATION, durations.succeeded_mean());
    }

    /// Adds the most frequent outcome of a class, and its share of that class.
    pub(super) fn top(&mut self, durations: &Durations<'_>, class: OutcomeClass, name: WordFact, ratio: NumberFact) {
        let counts = durations.by_outcome();
        let of_class = || counts.iter().filter(|known| known.outcome.class == class);
        let all: u64 = of_class().map(|known| known.count).sum();
        if let Some(top) = of_class().next() {
            self.word(name, Some(top.outcome.name));
            self.number(ratio, divide(top.count as f64, all as f64));
        }
    }
}

/// Returns the word for how often a limit was passed; `None` where it never was. From 90 % it is always, from 10 %
/// often.
fn slowness(above: u64, all: u64) -> Option<&'static str> {
    match above as f64 / all as f64 {
        _ if above == 0 => None,
        _ if above == 1 && all > 1 => Some("once"),
        ratio if ratio >= 0.9 => Some("always"),
        ratio if ratio >= 0.1 => Some("often"),
        _ => Some("rarely"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowness_is_always_often_rarely_or_once() {
        let counts = [(0, 9), (1, 1), (1, 2), (1, 1000), (2, 1000), (100, 1000), (899, 1000), (900, 1000), (9, 9)];
        let expected = [
            None,
            Some("always"),
            Some("once"),
            Some("once"),
            Some("rarely"),
            Some("often"),
            Some("often"),
            Some("always"),
            Some("always"),
        ];
        assert_eq!(counts.map(|(above, all)| slowness(above, all)), expected);
    }
}
