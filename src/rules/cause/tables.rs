//! [`Table`]: evidence for tests, as a table of facts.

use super::{Case, Diagnosis};
use crate::rules::{
    evidence::{Blocker, EndpointShare, Evidence, Fact, QueryShare, UseShare},
    fact::{NumberFact, WordFact},
    measure::Measure,
    scope::Scope,
};

#[derive(Clone, Debug)]
pub(super) struct Table {
    scope: Scope,
    measure: Measure,
    subject: &'static str,
    own: Evidence,
    origin: Option<Evidence>,
    process: Option<Evidence>,
}

fn of(scope: Scope, subject: &'static str) -> Table {
    let own = Evidence::default();
    Table { scope, measure: Measure::AvgDuration, subject, own, origin: None, process: None }
}

pub(super) fn endpoint() -> Table {
    of(Scope::Endpoint, "GET /a")
}

pub(super) fn query() -> Table {
    of(Scope::Query, "SELECT * FROM a WHERE b = ?")
}

pub(super) fn task() -> Table {
    of(Scope::Task, "job")
}

pub(super) fn process() -> Table {
    of(Scope::Process, "process")
}

impl Table {
    pub(super) fn measure(self, measure: Measure) -> Self {
        Self { measure, ..self }
    }

    pub(super) fn subject(self, subject: &'static str) -> Self {
        Self { subject, ..self }
    }

    pub(super) fn number(mut self, fact: NumberFact, value: f64) -> Self {
        self.own.facts.push((fact.name, Fact::Number(value, fact.unit)));
        self
    }

    pub(super) fn word(mut self, fact: WordFact, word: &str) -> Self {
        self.own.facts.push((fact.name, Fact::Word(word.into())));
        self
    }

    /// Adds a query of the endpoint: its calls in one request and its share of the time.
    pub(super) fn issues(mut self, query: &str, calls: f64, time_ratio: f64) -> Self {
        self.own.queries.push(QueryShare {
            query: query.into(),
            calls: (calls * 100.0) as u64,
            calls_per_request: Some(calls),
            seconds: time_ratio * 100.0,
            time_ratio: Some(time_ratio),
            alone_seconds: time_ratio * 100.0,
            failed: 0,
            repeats: 0,
            most_at_once: 1,
            place: None,
        });
        self
    }

    /// Adds an endpoint that issues the query.
    pub(super) fn used_by(mut self, share: EndpointShare) -> Self {
        self.own.endpoints.push(share);
        self
    }

    /// Adds something else that the endpoint uses.
    pub(super) fn uses(mut self, used: UseShare) -> Self {
        self.own.uses.push(used);
        self
    }

    /// Takes another table as what is known about the subject that it depends on most.
    pub(super) fn origin(self, origin: Table) -> Self {
        Self { origin: Some(origin.own), ..self }
    }

    pub(super) fn process(mut self, fact: NumberFact, value: f64) -> Self {
        let process = self.process.get_or_insert_default();
        process.facts.push((fact.name, Fact::Number(value, fact.unit)));
        self
    }

    /// Adds an endpoint that blocks the runtime for so many seconds in all.
    pub(super) fn blocker(mut self, endpoint: &str, seconds: f64) -> Self {
        let blocker = Blocker {
            endpoint: endpoint.into(),
            polls: 50,
            seconds,
            longest: Some(seconds / 50.0),
            others: None,
            most_others: None,
            waited: Vec::new(),
        };
        self.process.get_or_insert_default().blockers.push(blocker);
        self
    }

    pub(super) fn read(&self, diagnose: impl Fn(&Case<'_>) -> Option<Diagnosis>) -> Option<Diagnosis> {
        let process = if self.scope == Scope::Process { Some(&self.own) } else { self.process.as_ref() };
        diagnose(&Case {
            scope: self.scope,
            measure: self.measure,
            subject: self.subject,
            evidence: &self.own,
            origin: self.origin.as_ref(),
            process,
        })
    }
}
