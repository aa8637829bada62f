//! [`Regression`]: endpoints that are slower or fail more often in this version of the service than in the one before.
//!
//! The comparison decides what is more than chance; here its routes become readings. The invariant that a change could break: a value is
//! what was measured, whatever any rule makes of it. Where rules find both the service and its endpoints,
//! [`alert`](crate::alert) hides those that are like the rest.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{endpoints::endpoint_subject, facts::Facts};
use crate::{
    analysis::{Comparison, RouteChange},
    rules::{
        evidence::Fact,
        fact,
        measure::Measure,
        readings::{Question, Reading},
        scope::Scope,
        subject::Subject,
    },
};

/// Share of the endpoints that must be worse for it to be the service, and the fewest, 0 to 1.
const MOST_RATIO: f64 = 0.5;
const FEWEST_WORSE: usize = 3;
/// Requests that an endpoint needs in each version to be counted among those of the service, so that its 95th percentile is known.
const FEWEST_REQUESTS: u64 = 200;

/// The versions that are compared.
#[derive(Clone, Debug)]
pub(crate) struct VersionNames {
    pub(crate) previous: String,
    /// When the version before last wrote what it measured, as RFC 3339.
    pub(crate) previous_until: String,
    pub(crate) version: String,
    /// From when the requests of this version count, as RFC 3339.
    pub(crate) since: String,
}

/// This version of the service beside the one before.
#[derive(Debug)]
pub(crate) struct Regression {
    names: VersionNames,
    /// How long the requests of this version have counted.
    span: Duration,
    routes: Vec<Route>,
    /// The places of the routes by the names of their subjects.
    places: HashMap<Arc<str>, usize>,
    service: Worse,
}

#[derive(Debug)]
struct Route {
    subject: Arc<Subject>,
    change: RouteChange,
    worse: Worse,
}

/// By how much something is worse at least; `None` where that is not known.
#[derive(Clone, Copy, Debug)]
struct Worse {
    slowdown: Option<f64>,
    error_rise: Option<f64>,
}

impl Worse {
    fn get(self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::VersionSlowdown => self.slowdown,
            Measure::VersionErrorRise => self.error_rise,
            _ => None,
        }
    }
}

impl Regression {
    /// Returns what a comparison says. `lately` is the comparison of this version's newest requests alone, where it has older ones.
    pub(crate) fn of(names: VersionNames, span: Duration, comparison: Comparison, lately: Option<&Comparison>) -> Self {
        let latest: HashMap<&str, &RouteChange> = lately
            .iter()
            .flat_map(|comparison| &comparison.routes)
            .map(|change| (change.endpoint.as_str(), change))
            .collect();
        let route = |change: RouteChange| {
            let (method, route) = change.endpoint.split_once(' ')?;
            let subject = endpoint_subject(method, route);
            let lately = latest.get(change.endpoint.as_str()).copied();
            let (slowdown, error_rise) = (change.least_slowdown(lately), change.least_error_rise(lately));
            Some(Route { subject, change, worse: Worse { slowdown, error_rise } })
        };
        let routes: Vec<Route> = comparison.routes.into_iter().filter_map(route).collect();
        let places = routes.iter().enumerate().map(|(place, route)| (route.subject.name.clone(), place)).collect();
        let service = Worse {
            slowdown: of_most(&routes, Measure::VersionSlowdown),
            error_rise: of_most(&routes, Measure::VersionErrorRise),
        };
        Self { names, span, routes, places, service }
    }

    /// Returns the readings of [`Measure::VersionSlowdown`] or [`Measure::VersionErrorRise`], each with the requests of the version that
    /// had fewer.
    pub(crate) fn read(&self, question: &Question<'_>) -> Vec<Reading> {
        let measure = question.measure;
        let reading = |subject: &dyn Fn() -> Arc<Subject>, value: f64, samples: u64| {
            let is_asked_for = samples >= question.min_samples && question.at_least.is_none_or(|least| value >= least);
            is_asked_for.then(|| Reading { subject: subject(), value, samples, span: Some(self.span) })
        };
        if question.scope == Scope::Process {
            let (before, after) = self.requests();
            let value = self.service.get(measure);
            let process = || Arc::new(Subject::new(Scope::Process.as_str(), Vec::new()));
            return value.and_then(|value| reading(&process, value, before.min(after))).into_iter().collect();
        }
        let read =
            |route: &Route| reading(&|| route.subject.clone(), route.worse.get(measure)?, route.fewer_requests());
        self.routes.iter().filter_map(read).collect()
    }

    /// Returns the requests of both versions that the service as a whole is compared by.
    fn requests(&self) -> (u64, u64) {
        let counted = self.routes.iter().filter(|route| route.is_counted()).map(|route| route.change.requests);
        counted.fold((0, 0), |sum, requests| (sum.0 + requests.0, sum.1 + requests.1))
    }

    /// Returns the facts about a subject in both versions.
    pub(super) fn facts(&self, scope: Scope, of: &Subject) -> Vec<(&'static str, Fact)> {
        match scope {
            Scope::Endpoint => {
                self.places.get(&of.name).map_or_else(Vec::new, |place| self.endpoint(&self.routes[*place]))
            }
            Scope::Process => self.process(),
            Scope::Query | Scope::Task | Scope::Metric | Scope::Slo => Vec::new(),
        }
    }

    fn endpoint(&self, route: &Route) -> Vec<(&'static str, Fact)> {
        let RouteChange { requests, median, p95, errors, .. } = route.change;
        let mut facts = self.both();
        facts.number(fact::VERSION_SLOWDOWN, route.worse.slowdown);
        facts.number(fact::VERSION_ERROR_RISE, route.worse.error_rise);
        facts.number(fact::PREVIOUS_P50_DURATION, median.map(|shift| shift.before_seconds));
        facts.number(fact::VERSION_P50_DURATION, median.map(|shift| shift.after_seconds));
        facts.number(fact::PREVIOUS_P95_DURATION, p95.map(|shift| shift.before_seconds));
        facts.number(fact::VERSION_P95_DURATION, p95.map(|shift| shift.after_seconds));
        facts.number(fact::PREVIOUS_ERROR_RATIO, errors.map(|errors| errors.before_ratio));
        facts.number(fact::VERSION_ERROR_RATIO, errors.map(|errors| errors.after_ratio));
        facts.number(fact::PREVIOUS_REQUESTS, Some(requests.0 as f64));
        facts.number(fact::VERSION_REQUESTS, Some(requests.1 as f64));
        facts.into_vec()
    }

    fn process(&self) -> Vec<(&'static str, Fact)> {
        let counted = || self.routes.iter().filter(|route| route.is_counted());
        let worse = |measure| counted().filter(|route| route.worse.get(measure) > Some(0.0)).count() as f64;
        let requests = self.requests();
        let mut facts = self.both();
        facts.number(fact::VERSION_SLOWDOWN, self.service.slowdown);
        facts.number(fact::VERSION_ERROR_RISE, self.service.error_rise);
        facts.number(fact::COMPARED_ENDPOINTS, Some(counted().count() as f64));
        facts.number(fact::SLOWER_ENDPOINTS, Some(worse(Measure::VersionSlowdown)));
        facts.number(fact::FAILING_ENDPOINTS, Some(worse(Measure::VersionErrorRise)));
        facts.number(fact::PREVIOUS_REQUESTS, Some(requests.0 as f64));
        facts.number(fact::VERSION_REQUESTS, Some(requests.1 as f64));
        facts.into_vec()
    }

    /// Returns the facts about the two versions themselves.
    fn both(&self) -> Facts {
        let VersionNames { previous, previous_until, version, since } = &self.names;
        let mut facts = Facts::default();
        facts.word(fact::PREVIOUS_VERSION, Some(previous));
        facts.word(fact::PREVIOUS_UNTIL, Some(previous_until));
        facts.word(fact::VERSION, Some(version));
        facts.word(fact::VERSION_SINCE, Some(since));
        facts
    }
}

impl Route {
    fn fewer_requests(&self) -> u64 {
        self.change.requests.0.min(self.change.requests.1)
    }

    fn is_counted(&self) -> bool {
        self.fewer_requests() >= FEWEST_REQUESTS
    }
}

/// Returns by how much at least half of the endpoints are worse at least; 0 where fewer of them are, `None` without any.
fn of_most(routes: &[Route], measure: Measure) -> Option<f64> {
    let counted = routes.iter().filter(|route| route.is_counted());
    let mut values: Vec<f64> = counted.filter_map(|route| route.worse.get(measure)).collect();
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    let half = (MOST_RATIO * values.len() as f64).ceil() as usize;
    let value = values.get(half.max(FEWEST_WORSE) - 1).copied();
    value.or_else(|| (!values.is_empty()).then_some(0.0))
}

#[cfg(test)]
#[path = "regression_tests.rs"]
pub(crate) mod tests;
