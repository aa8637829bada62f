//! `--find-capacity`: the highest load at which the verdict is still "passed".
//!
//! [`Border`] decides which load to try next, [`AttemptRunner`] tries it. This file connects both, and chooses what the
//! result shows: the capacity, what limits it, and the run that proves it.

use std::time::Duration;

use super::{
    attempt::{Attempt, AttemptRunner, Trial},
    border::{Border, Lesson, SearchPhase},
    error::ToolError,
    judge::Judge,
    session::Session,
};
use crate::{
    engine::{LoadPlan, Model},
    interrupt::Interrupt,
    result::{Capacity, SearchEnd, StepEnd},
    server::{Bottleneck, ServerClient, Utilization},
    watch::Screen,
};

/// A queue that fills slowly holds for a step and overflows in a longer one.
const CONFIRMING_FACTOR: u32 = 3;

/// A search for the capacity of a service.
#[derive(Debug)]
pub(super) struct CapacitySearch<'a> {
    /// The plan whose load is varied; its duration is that of a step.
    pub(super) plan: &'a LoadPlan,
    /// What a load must meet.
    pub(super) judge: &'a Judge,
    /// The highest load to try.
    pub(super) most: usize,
    pub(super) interrupt: &'a Interrupt,
    /// Who is asked what was saturated.
    pub(super) server: Option<&'a ServerClient>,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct SearchOutcome {
    pub(super) capacity: Capacity,
    /// The run at the capacity; without a capacity, the run that says why there is none.
    pub(super) session: Session,
    /// The plan of that run.
    pub(super) plan: LoadPlan,
}

impl CapacitySearch<'_> {
    /// Searches until the border is confirmed, or until there is nothing more to learn.
    ///
    /// # Errors
    /// Fails if the service never answered. A service that went away later is a result.
    pub(super) async fn run(&self, screen: &mut Screen) -> Result<SearchOutcome, ToolError> {
        let Self { plan, judge, interrupt, server, .. } = *self;
        let earlier = match server {
            Some(server) => server.bottlenecks().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut runner =
            AttemptRunner { plan, judge, interrupt, server, is_reached: false, earlier, awaits_numbers: true };
        let mut capacity = Capacity { unit: runner.unit().to_owned(), ..Capacity::default() };
        let mut border = Border::new(least_load(plan), first_load(plan), self.most);
        let mut latest = LatestAttempts::default();
        let idle = runner.active_requests().await;
        while let Some((load, phase)) = border.next() {
            // Ctrl-C between two steps ends no run. The first step is made all the same: a result needs one run.
            if interrupt.is_received() && !capacity.steps.is_empty() {
                border.learn(StepEnd::Interrupted);
                break;
            }
            let trial = Trial { load, hold: hold(plan, phase), phase, is_again: border.tries_again() };
            let attempt = runner.attempt(trial, screen).await?;
            let (outage, left_work_behind) = (attempt.outage.is_some(), attempt.left_work_behind());
            let lesson = if outage { border.learn_outage() } else { border.learn(attempt.end) };
            capacity.steps.push(attempt.step.clone());
            if (lesson, attempt.end) == (Lesson::Bound, StepEnd::Failed) && latest.failed.is_none() {
                latest.first_failure = FirstFailure::of(&attempt, latest.passed.as_ref());
                runner.awaits_numbers = false;
            }
            if (lesson, phase) == (Lesson::Holds, SearchPhase::Confirming) {
                capacity.capacity = Some(attempt.load as f64);
            }
            latest.keep(attempt, lesson);
            if border.next().is_none() {
                continue;
            }
            if outage && !runner.wait_for_service(screen).await {
                border.lose_service();
            } else if left_work_behind {
                runner.wait_until_idle(idle).await;
            }
        }
        Ok(conclude(capacity, &border, latest))
    }
}

/// The last attempt of each end.
#[derive(Default)]
struct LatestAttempts {
    passed: Option<Attempt>,
    /// The last one whose load is too much for the service.
    failed: Option<Attempt>,
    /// Saturated, interrupted or not proved yet, which says nothing about the service.
    other: Option<Attempt>,
    first_failure: Option<FirstFailure>,
}

/// The first load that was too much, and the one before it that held.
///
/// It is twice the one before. Later steps close in on the border, where utilization hardly differs between the load that
/// holds and the one that does not.
struct FirstFailure {
    failed: Utilization,
    held: Option<Utilization>,
}

impl FirstFailure {
    /// Returns both; `None` where the service said nothing of itself.
    fn of(failed: &Attempt, passed: Option<&Attempt>) -> Option<Self> {
        let held = passed.and_then(|passed| passed.service.utilization.clone());
        Some(Self { failed: failed.service.utilization.clone()?, held })
    }
}

impl LatestAttempts {
    fn keep(&mut self, attempt: Attempt, lesson: Lesson) {
        let slot = match (lesson, attempt.end) {
            (Lesson::Holds, _) => &mut self.passed,
            (Lesson::Bound, StepEnd::Failed) => &mut self.failed,
            (Lesson::Bound | Lesson::Nothing, _) => &mut self.other,
        };
        *slot = Some(attempt);
    }

    /// Returns the attempt to show for a search that ended so.
    fn into_shown(self, capacity: &Capacity) -> Option<Attempt> {
        let Self { passed, failed, other, .. } = self;
        match capacity.ended {
            _ if capacity.capacity.is_some() => passed,
            SearchEnd::Confirmed | SearchEnd::Interrupted => passed.or(other).or(failed),
            SearchEnd::NotConfirmed | SearchEnd::LowestFails => failed,
            SearchEnd::WentAway => passed.or(failed).or(other),
            SearchEnd::Saturated => other,
        }
    }
}

fn conclude(mut capacity: Capacity, border: &Border, latest: LatestAttempts) -> SearchOutcome {
    capacity.ended = border.end().unwrap_or_default();
    // An interrupted search may have closed in on a higher load.
    let is_lower_bound = border.is_at_least() || capacity.ended == SearchEnd::Interrupted;
    capacity.at_least = is_lower_bound && capacity.capacity.is_some();
    if let Some(limit) = &latest.failed {
        let mut limited_by = limit.breaches.join("; ");
        if let Some(reason) = &limit.session.generator.saturation {
            limited_by += &format!("; the generator was saturated then ({reason}), so that this may be its limit");
        }
        capacity.limited_by = Some(limited_by);
        // The findings of the last load that failed: rules need longer than a step, so that the first one had none yet.
        let findings = &limit.service.bottlenecks;
        if let Some(FirstFailure { failed, held }) = &latest.first_failure {
            capacity.evidence = failed.explain(held.as_ref(), findings);
        }
        capacity.evidence.extend(findings.iter().map(describe_bottleneck));
    }
    let shown = latest
        .into_shown(&capacity)
        .expect("each end but an interruption is that of an attempt, and an interruption comes after the first one");
    SearchOutcome { capacity, session: shown.session, plan: shown.plan }
}

fn describe_bottleneck(bottleneck: &Bottleneck) -> String {
    let advice = bottleneck.recommendations.first().map_or_else(String::new, |advice| format!(" {advice}."));
    format!("{} ({}): {}. {}.{advice}", bottleneck.kind, bottleneck.severity, bottleneck.description, bottleneck.impact)
}

/// Returns the lowest load that may be tried. With fewer users than kinds of users, a step would send other requests than the
/// others.
fn least_load(plan: &LoadPlan) -> usize {
    match plan.model {
        Model::Closed { .. } => plan.actors.len().max(1),
        Model::Open { .. } => 1,
    }
}

fn first_load(plan: &LoadPlan) -> usize {
    let first = match plan.model {
        Model::Closed { users, .. } => users,
        Model::Open { rate, .. } => rate.round() as usize,
    };
    first.max(least_load(plan))
}

fn hold(plan: &LoadPlan, phase: SearchPhase) -> Duration {
    let hold = plan.duration.expect("a search has no iterations instead, so that its plan has a duration");
    match phase {
        SearchPhase::Doubling | SearchPhase::Bisecting => hold,
        SearchPhase::Confirming => hold * CONFIRMING_FACTOR,
    }
}
