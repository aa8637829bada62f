//! [`Case`]: what a diagnosis reads.

use crate::{
    context::Part,
    rules::{
        evidence::{Evidence, Fact},
        fact::{self, NumberFact, WordFact},
        measure::Measure,
        scope::Scope,
        unit::Unit,
    },
};

/// A subject over a threshold, with the evidence about it and about what it depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) scope: Scope,
    pub(crate) measure: Measure,
    pub(crate) subject: &'a str,
    pub(crate) evidence: &'a Evidence,
    /// What it depends on most: of an endpoint the query in which it spends the most time, of the process the endpoint that
    /// blocks the runtime.
    pub(crate) origin: Option<&'a Evidence>,
    /// The process in the same window.
    pub(crate) process: Option<&'a Evidence>,
}

impl<'a> Case<'a> {
    pub(super) fn number(&self, fact: NumberFact) -> Option<f64> {
        self.evidence.number(fact.name)
    }

    pub(super) fn word(&self, fact: WordFact) -> Option<&'a str> {
        word(self.evidence, fact)
    }

    pub(super) fn of_process(&self, fact: NumberFact) -> Option<f64> {
        self.process?.number(fact.name)
    }

    pub(super) fn word_of_process(&self, fact: WordFact) -> Option<&'a str> {
        word(self.process?, fact)
    }

    /// Returns the case of the query in which the endpoint spends the most time.
    pub(super) fn top_query(&self) -> Option<Case<'a>> {
        let (share, evidence) = (self.evidence.queries.first()?, self.origin?);
        Some(Case {
            scope: Scope::Query,
            measure: Measure::AvgDuration,
            subject: &share.query,
            evidence,
            origin: None,
            ..*self
        })
    }

    /// Names what an untracked wait could be for: a connection, where there are queries and no wait for one is seen.
    pub(super) fn unseen_pool(&self) -> Option<&'static str> {
        let is_seen = self.evidence.uses.iter().any(|used| used.part == Part::Pool);
        (!self.evidence.queries.is_empty() && !is_seen).then_some("a connection of the database's pool")
    }

    /// Returns how late the runtime polls what is ready: the 99th percentile, in seconds.
    pub(super) fn lag(&self) -> Option<f64> {
        self.of_process(fact::SCHEDULING_LAG).or_else(|| self.number(fact::SCHEDULING_LAG))
    }
}

fn word(evidence: &Evidence, fact: WordFact) -> Option<&str> {
    match evidence.fact(fact.name)? {
        Fact::Word(word) => Some(word),
        Fact::Number(..) => None,
    }
}

pub(super) fn seconds(value: f64) -> String {
    Unit::Seconds.render(value)
}

pub(super) fn percent(ratio: f64) -> String {
    // Less than a twentieth of a percent is no part of an explanation.
    if (0.0..0.0005).contains(&ratio) {
        return Unit::Ratio.render(0.0);
    }
    Unit::Ratio.render(if ratio >= 0.1 { (ratio * 100.0).round() / 100.0 } else { ratio })
}

pub(super) fn count(value: f64) -> String {
    Unit::Count.render(if value < 10.0 { (value * 10.0).round() / 10.0 } else { value.round() })
}

/// Shortens a statement for the inside of a sentence.
pub(super) fn shown(statement: &str) -> String {
    Fact::Word(statement.into()).render()
}
