//! `--baseline`: the result of an earlier run, and the checks that comparing with it adds.

use std::path::Path;

use super::error::ToolError;
use crate::{
    compare::{CompareError, check_comparable, check_conclusive, compare},
    engine::LoadPlan,
    plan::known_endpoints,
    result::{Change, Comparison, Direction, EndpointResult, LoadResult, RunResult, read_result},
    verdict::{Check, CheckSource, CheckStatus},
};

/// An earlier run that a plan can be compared with.
#[derive(Debug)]
pub(super) struct Baseline(RunResult);

impl Baseline {
    /// Reads a result file and refuses it, before the first request, if it says nothing about the plan.
    pub(super) fn read(path: &Path, plan: &LoadPlan) -> Result<Self, ToolError> {
        let baseline = read_result(path)?;
        check_comparable(&baseline.load, &LoadResult::new(plan.model))?;
        if let Some(known) = known_endpoints(&plan.actors) {
            let old: Vec<String> = baseline.endpoints.iter().map(EndpointResult::name).collect();
            if !known.iter().any(|name| old.contains(&name.to_string())) {
                return Err(CompareError::NoCommonEndpoint.into());
            }
        }
        Ok(Self(baseline))
    }

    /// Compares a result with the baseline; each change that could be judged is a check.
    pub(super) fn compare(&self, result: &RunResult) -> (Comparison, Vec<Check>) {
        let comparison = compare(&self.0, result);
        let checks = checks_of(&comparison);
        (comparison, checks)
    }
}

fn checks_of(comparison: &Comparison) -> Vec<Check> {
    if let Err(why) = check_conclusive(comparison) {
        // A threshold for an endpoint without requests is a breach too: what was asked for has not been shown.
        return vec![Check {
            source: CheckSource::Baseline,
            subject: "baseline".to_owned(),
            condition: "something can be compared".to_owned(),
            observed: why.to_string(),
            status: CheckStatus::Breached,
        }];
    }
    let judged = comparison.changes.iter().filter(|change| change.direction != Direction::TooLittleData);
    judged.map(check_of).collect()
}

fn check_of(change: &Change) -> Check {
    let percent = change.change_percent.map_or_else(String::new, |percent| format!(" ({percent:+.1} %)"));
    Check {
        source: CheckSource::Baseline,
        subject: change.endpoint.clone(),
        condition: format!("{} not worse than in the baseline", change.name()),
        observed: format!("{} against {}{percent}", change.show(change.new), change.show(change.old)),
        status: if change.direction == Direction::Worse { CheckStatus::Breached } else { CheckStatus::Passed },
    }
}
