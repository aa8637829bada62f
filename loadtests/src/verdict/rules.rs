//! [`Rules`]: the service's own rules, applied to what users saw.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pinchpoint::{LoadError, ObservedEndpoint, RuleSet, Severity};
use thiserror::Error;

use super::check::{Check, CheckSource, CheckStatus};
use crate::record::{Outcome, RankedLatencies, Tally};

/// Rules that cannot be loaded.
#[derive(Debug, Error)]
#[error("cannot use the rules of {path}")]
pub(crate) struct RulesError {
    path: PathBuf,
    source: LoadError,
}

/// The rules, and how severe a breach must be to fail the test.
#[derive(Debug)]
pub(crate) struct Rules {
    set: Option<RuleSet>,
    fail_on: Severity,
}

impl Rules {
    /// Loads the rules of a path; without one, those of the folder `rules` if it exists, otherwise the built-in ones.
    ///
    /// # Errors
    ///
    /// [`RulesError`] with every mistake in the files.
    pub(crate) fn load(path: Option<&Path>, none: bool, fail_on: Severity) -> Result<Self, RulesError> {
        let here = Path::new("rules");
        let path = path.or_else(|| here.is_dir().then_some(here));
        let set = match path {
            _ if none => None,
            None => Some(RuleSet::embedded()),
            Some(path) => Some(
                RuleSet::check_files(&[path.to_owned()])
                    .map_err(|source| RulesError { path: path.to_owned(), source })?,
            ),
        };
        Ok(Self { set, fail_on })
    }

    /// Returns the rules that were breached. Those that held are not listed, since there are many.
    pub(crate) fn judge(&self, tally: &Tally, span: Duration) -> Vec<Check> {
        let Some(set) = &self.set else { return Vec::new() };
        let courses: Vec<_> =
            tally.endpoints().iter().filter(|course| course.tally.count() > course.tally.of(Outcome::Unsent)).collect();
        let ranked: Vec<RankedLatencies> = courses.iter().map(|course| course.tally.ranked()).collect();
        let quantiles: Vec<_> = ranked.iter().map(|ranked| move |q: f64| time(ranked.quantile_seconds(q))).collect();
        let names: Vec<String> = courses.iter().map(|course| course.name.to_string()).collect();
        let endpoints: Vec<ObservedEndpoint<'_>> = courses
            .iter()
            .zip(&names)
            .zip(&ranked)
            .zip(&quantiles)
            .map(|(((course, name), ranked), quantile)| {
                let refused = course.tally.refused();
                ObservedEndpoint {
                    name,
                    method: &course.name.method,
                    route: &course.route,
                    // What cannot be sent is no failure of the service.
                    requests: course.tally.count() - course.tally.of(Outcome::Unsent),
                    // Counted by outcome, so that a 500 whose body breaks off is one failure, and what a scenario expects is none.
                    failed: course.tally.of(Outcome::Rejected) - refused + course.tally.of(Outcome::Broken),
                    refused,
                    given_up: course.tally.of(Outcome::TimedOut),
                    mean: time(ranked.mean_seconds()),
                    longest: time(ranked.max_seconds()),
                    quantile,
                }
            })
            .collect();
        let breaches = set.judge_observed(&endpoints, span);
        breaches
            .into_iter()
            .map(|breach| Check {
                source: CheckSource::Rule { id: breach.rule, severity: breach.severity.as_str() },
                subject: breach.endpoint,
                condition: format!("not {}", breach.condition),
                observed: breach.observed,
                status: if breach.severity >= self.fail_on { CheckStatus::Breached } else { CheckStatus::Noted },
            })
            .collect()
    }
}

fn time(seconds: Option<f64>) -> Duration {
    Duration::from_secs_f64(seconds.unwrap_or(0.0))
}
