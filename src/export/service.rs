//! Endpoints that are worse than in the version before no more than the service as a whole is: one alert says so, as one finding does.
//!
//! The invariant that a change could break: what hides an endpoint here hides it in the process, in `src/alert/service.rs`.

use super::{
    alerts::Writer,
    selection::{Selection, labels},
    shared::Shared,
};
use crate::{
    RuleSet,
    rules::{Rule, STANDS_OUT, Scope, Thresholds},
};

/// Returns the rules on the service whose alerts stand in place of those of a rule on endpoints.
pub(super) fn rules<'a>(rule: &Rule, all: &'a RuleSet) -> Vec<&'a Rule> {
    if rule.scope != Scope::Endpoint || !rule.measure.is_of_versions() {
        return Vec::new();
    }
    let others = all.rules().iter().map(|other| &**other);
    others.filter(|other| other.scope == Scope::Process && other.measure == rule.measure).collect()
}

impl<'a> Writer<'a> {
    /// Returns what leaves out the endpoints that a rule on the service includes: those that are neither far worse nor, by `thresholds`,
    /// more severe.
    pub(super) fn hidden_by(
        &self,
        service: &'a Rule,
        selection: &Selection,
        thresholds: &Thresholds,
        shared: &mut Shared,
    ) -> Result<String, String> {
        let (endpoint, process) = (labels(self.rule.scope), labels(service.scope));
        let writer = self.beside(service);
        let of_service = writer.selection(|_| ());
        let (value, common) = (self.state(selection, shared)?, writer.state(&of_service, shared)?);
        let (mut hidden, mut fewest) = (String::new(), usize::MAX);
        for (severity, threshold) in &service.thresholds.0 {
            let more_severe: Vec<_> = thresholds.0.iter().filter(|(of, _)| of > severity).collect();
            // Otherwise a lower threshold of the service, which is passed too, hides as much.
            if more_severe.len() >= fewest {
                continue;
            }
            fewest = more_severe.len();
            let found = writer.part(&of_service, *threshold, shared)?;
            hidden += &format!(
                "\nunless on ({endpoint}) (\n({value}) < on ({process}) group_left () ({STANDS_OUT} * ({common}))\n\
                 and on ({process}) ({found})"
            );
            if let Some((_, lowest)) = more_severe.first() {
                hidden += &format!("\nunless on ({endpoint}) ({value}) {} {}", lowest.operator.as_str(), lowest.limit);
            }
            hidden += "\n)";
        }
        Ok(hidden)
    }
}
