//! [`Activity`]: endpoints and tasks that ran before and do not any more, or far less.
//!
//! It compares what ran with the rhythm of the days before. The invariant that a change could break: what the whole service lacks is a
//! finding about the service, and none about each of its endpoints.

use std::{cell::OnceCell, sync::Arc, time::Duration};

use super::{endpoints::endpoint_subject, facts::Facts, index::WindowIndex, tasks::task_subject};
use crate::{
    analysis::{Silence, TrafficDrop},
    names,
    rules::{
        evidence::Fact,
        fact,
        measure::Measure,
        readings::{Question, Reading},
        scope::Scope,
        subject::Subject,
    },
    store::{Regular, RhythmOf, Rhythms},
};

/// Share of the endpoints that must be silent for it to be the service, and the fewest, 0 to 1.
const MOST_RATIO: f64 = 0.5;
const FEWEST_SILENT: usize = 3;
/// Share of the usual below which an endpoint counts among those that have less, 0 to 1.
const LESS_RATIO: f64 = 0.5;

/// What ran of what usually runs, at one moment.
#[derive(Debug)]
pub(crate) struct Activity<'a> {
    rhythms: &'a Rhythms,
    /// In seconds since the Unix epoch.
    now: u64,
    silences: OnceCell<Silences>,
    drops: OnceCell<Drops>,
}

/// How long each has been silent, by its place among the rhythms; `None` where it is not known how long is usual.
#[derive(Debug)]
struct Silences {
    service: Option<Silence>,
    each: Vec<Option<Silence>>,
    silent_endpoints: usize,
    regular_endpoints: usize,
}

/// How much less each has run, by its place among the rhythms.
#[derive(Debug)]
struct Drops {
    service: Option<TrafficDrop>,
    each: Vec<Option<TrafficDrop>>,
    /// Share of its usual traffic that the middle endpoint has, where most have less; otherwise 1.
    common: f64,
}

impl<'a> Activity<'a> {
    /// Returns what ran up to the last tick that measured: where the monitor is stopped, no time passes.
    pub(crate) fn of(rhythms: &'a Rhythms) -> Self {
        let now = rhythms.time().until().unwrap_or(0);
        Self { rhythms, now, silences: OnceCell::new(), drops: OnceCell::new() }
    }

    /// Returns the readings of [`Measure::AbsentFor`] or [`Measure::DropRatio`].
    pub(super) fn read(&self, question: &Question<'_>, index: &WindowIndex<'_>) -> Vec<Reading> {
        let is_asked_for = |value: &f64| question.at_least.is_none_or(|least| *value >= least);
        if question.scope == Scope::Process {
            let value = self.service(question.measure, index).filter(is_asked_for);
            let subject = || Arc::new(Subject::new(Scope::Process.as_str(), Vec::new()));
            return value.map(|value| reading(subject(), question.measure, value)).into_iter().collect();
        }
        let of_scope =
            self.rhythms.all().iter().enumerate().filter(|(_, regular)| scope(&regular.of) == question.scope);
        let read = |(place, regular): (usize, &Arc<Regular>)| {
            let value = self.value(place, question.measure, index).filter(is_asked_for)?;
            Some(reading(subject(&regular.of), question.measure, value))
        };
        of_scope.filter_map(read).collect()
    }

    /// Returns a measure of the subject in a place; `None` where it is not known, or where the whole service has it.
    fn value(&self, place: usize, measure: Measure, index: &WindowIndex<'_>) -> Option<f64> {
        let is_endpoint = scope(&self.rhythms.all()[place].of) == Scope::Endpoint;
        let silences = self.silences(index);
        if is_endpoint && is_absent(silences.service) {
            return None;
        }
        let silence = silences.each[place];
        match measure {
            Measure::AbsentFor => silence.map(|silence| silence.absent_seconds),
            _ if is_absent(silence) => None,
            _ => {
                let drops = self.drops(index);
                Some(drops.each[place]?.ratio(if is_endpoint { drops.common } else { 1.0 }))
            }
        }
    }

    /// Returns a measure of the whole service.
    fn service(&self, measure: Measure, index: &WindowIndex<'_>) -> Option<f64> {
        let silence = self.silences(index).service;
        match measure {
            Measure::AbsentFor => silence.map(|silence| silence.absent_seconds),
            _ if is_absent(silence) => None,
            _ => {
                let drops = self.drops(index);
                let ratio = drops.service?.ratio(1.0);
                Some(if drops.common < 1.0 { ratio } else { 0.0 })
            }
        }
    }

    /// Returns the facts about a subject that the days before say.
    pub(super) fn facts(&self, scope: Scope, of: &Subject, index: &WindowIndex<'_>) -> Vec<(&'static str, Fact)> {
        let text = |label: &str| of.label(label).unwrap_or_default().to_owned();
        let meant = match scope {
            Scope::Endpoint => RhythmOf::Endpoint { method: text(names::METHOD), route: text(names::ROUTE) },
            Scope::Task => RhythmOf::Task(text(names::TASK_NAME)),
            Scope::Process | Scope::Query | Scope::Metric | Scope::Slo => RhythmOf::Task(String::new()),
        };
        let (silences, drops) = (self.silences(index), self.drops(index));
        let (silence, drop, ratio) = match (scope, self.rhythms.find(&meant)) {
            (Scope::Process, _) => (silences.service, drops.service, self.service(Measure::DropRatio, index)),
            (Scope::Endpoint | Scope::Task, Some(place)) => {
                (silences.each[place], drops.each[place], self.value(place, Measure::DropRatio, index))
            }
            _ => return Vec::new(),
        };
        let mut facts = Facts::default();
        facts.number(fact::ABSENT_FOR, silence.map(|silence| silence.absent_seconds));
        facts.number(fact::DROP_RATIO, ratio);
        facts.number(fact::USUAL_GAP, silence.and_then(|silence| silence.usual_gap));
        facts.number(fact::MISSED, silence.and_then(|silence| silence.usual_count).map(f64::round));
        facts.number(fact::USUAL_RATE, drop.map(|drop| drop.usual / drop.seconds.max(1.0)));
        if scope == Scope::Process {
            facts.number(fact::SILENT_ENDPOINTS, Some(silences.silent_endpoints as f64));
            facts.number(fact::REGULAR_ENDPOINTS, Some(silences.regular_endpoints as f64));
        }
        facts.into_vec()
    }

    fn silences(&self, index: &WindowIndex<'_>) -> &Silences {
        self.silences.get_or_init(|| {
            let (rhythms, now) = (self.rhythms, self.now);
            let silence = |regular: &Arc<Regular>| {
                let silence = regular.rhythm.silence(now, rhythms.time()).filter(|_| regular.is_current)?;
                // What has begun and not ended is there.
                (!is_absent(Some(silence)) || in_progress(&regular.of, index) == 0.0).then_some(silence)
            };
            let each: Vec<Option<Silence>> = rhythms.all().iter().map(silence).collect();
            let endpoints = || {
                let all = rhythms.all().iter().zip(&each);
                all.filter(|(regular, _)| scope(&regular.of) == Scope::Endpoint).filter_map(|(_, silence)| *silence)
            };
            let silent = || endpoints().filter(|silence| is_absent(Some(*silence)));
            let (silent_endpoints, regular_endpoints) = (silent().count(), endpoints().count());
            let are_most =
                silent_endpoints >= FEWEST_SILENT && silent_endpoints as f64 >= MOST_RATIO * regular_endpoints as f64;
            let service = match rhythms.service().silence(now, rhythms.time()) {
                Some(whole) if is_absent(Some(whole)) => (in_progress_in_all(index) == 0.0).then_some(whole),
                // Such as where only health checks still come.
                _ if are_most => silent().min_by(|a, b| a.absent_seconds.total_cmp(&b.absent_seconds)),
                whole => whole,
            };
            Silences { service, each, silent_endpoints, regular_endpoints }
        })
    }

    fn drops(&self, index: &WindowIndex<'_>) -> &Drops {
        self.drops.get_or_init(|| {
            let (rhythms, now) = (self.rhythms, self.now);
            let drop = |regular: &Arc<Regular>| {
                let drop = regular.rhythm.drop(now, rhythms.time()).filter(|_| regular.is_current)?;
                // What has begun and not ended has come.
                let is_less = drop.share() < LESS_RATIO;
                Some(if is_less { drop.and_in_progress(in_progress(&regular.of, index)) } else { drop })
            };
            let each: Vec<Option<TrafficDrop>> = rhythms.all().iter().map(drop).collect();
            let endpoints = rhythms.all().iter().zip(&each);
            let endpoints = endpoints.filter(|(regular, _)| scope(&regular.of) == Scope::Endpoint);
            let mut shares: Vec<f64> = endpoints.filter_map(|(_, drop)| drop.map(|drop| drop.share())).collect();
            shares.sort_by(f64::total_cmp);
            // Of two the one with more: it takes both for it to be the service.
            let middle = shares.get(shares.len() / 2).copied().unwrap_or(1.0);
            let service = rhythms.service().drop(now, rhythms.time());
            let service = service.map(|drop| drop.and_in_progress(in_progress_in_all(index)));
            let is_common = middle < LESS_RATIO && service.is_some_and(|drop| drop.ratio(1.0) > 0.0);
            Drops { service, each, common: if is_common { middle } else { 1.0 } }
        })
    }
}

fn is_absent(silence: Option<Silence>) -> bool {
    silence.is_some_and(|silence| silence.absent_seconds > 0.0)
}

/// Returns how many requests have begun and not ended.
fn in_progress_in_all(index: &WindowIndex<'_>) -> f64 {
    let endpoints = index.endpoints();
    endpoints.all.iter().filter_map(|endpoint| endpoint.measure(Measure::Active, endpoints)).sum()
}

/// Returns how many have begun and not ended.
fn in_progress(of: &RhythmOf, index: &WindowIndex<'_>) -> f64 {
    let endpoints = index.endpoints();
    let active = match of {
        RhythmOf::Endpoint { method, route } => {
            endpoints.index_of(method, route).and_then(|place| endpoints.all[place].measure(Measure::Active, endpoints))
        }
        RhythmOf::Task(name) => {
            let task = index.tasks().iter().find(|task| task.subject.label(names::TASK_NAME) == Some(name));
            task.and_then(|task| task.measure(Measure::Active, endpoints)).map(|(active, _)| active)
        }
    };
    active.unwrap_or(0.0)
}

fn scope(of: &RhythmOf) -> Scope {
    match of {
        RhythmOf::Endpoint { .. } => Scope::Endpoint,
        RhythmOf::Task(_) => Scope::Task,
    }
}

fn subject(of: &RhythmOf) -> Arc<Subject> {
    match of {
        RhythmOf::Endpoint { method, route } => endpoint_subject(method, route),
        RhythmOf::Task(name) => task_subject(name),
    }
}

fn reading(subject: Arc<Subject>, measure: Measure, value: f64) -> Reading {
    // A silence is itself the time that it covers.
    let span = (measure == Measure::AbsentFor).then(|| Duration::from_secs_f64(value.max(0.0)));
    Reading { subject, value, samples: 1, span }
}

#[cfg(test)]
#[path = "activity_tests.rs"]
pub(super) mod tests;
