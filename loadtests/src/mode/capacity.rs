//! The highest load at which the verdict is still "passed".
//!
//! Doubling finds a load that fails, bisecting the border, and a longer hold confirms it: a queue that fills slowly
//! passes for ten seconds and fails in thirty.

use std::time::{Duration, Instant};

use super::load_test::{Judge, observed};
use super::session::Session;
use crate::engine::{LoadPlan, Model, StopReason};
use crate::error::ToolError;
use crate::interrupt::Interrupt;
use crate::report::{Capacity, CapacityStep};
use crate::server::{Bottleneck, ServerClient, ServerSnapshot, Strain};
use crate::span::show_seconds;
use crate::verdict::Status;
use crate::watch::Screen;

/// A search in progress.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The plan whose load is varied; its duration is that of a step.
    pub(super) plan: &'a LoadPlan,
    /// What a load must meet.
    pub(super) judge: &'a Judge,
    /// Highest load to try.
    pub(super) most: usize,
    /// Somebody's wish to end.
    pub(super) interrupt: &'a Interrupt,
    /// Who is asked what was saturated.
    pub(super) server: Option<ServerClient>,
}

/// What a search found, and its last confirmed run.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) capacity: Capacity,
    /// The run at the capacity, or the last one that was made.
    pub(super) session: Session,
    /// The plan of that run.
    pub(super) plan: LoadPlan,
}

/// One step's run.
struct Tried {
    load: usize,
    passed: bool,
    saturated: bool,
    session: Session,
    plan: LoadPlan,
    bottlenecks: Vec<Bottleneck>,
    strain: Option<Strain>,
}

impl Search<'_> {
    /// Searches.
    pub(super) async fn run(&self, screen: &mut Screen) -> Result<Found, ToolError> {
        let mut capacity = Capacity { unit: self.unit().to_owned(), ..Capacity::default() };
        let first = self.start();
        let (mut good, mut bad): (Option<Tried>, Option<Tried>) = (None, None);
        // Of the highest load that held, also if it does not on a longer hold.
        let mut held: Option<Strain> = None;
        let mut load = first.min(self.most);
        let hold = self.plan.duration.unwrap_or(DEFAULT_STEP);
        loop {
            let tried = self.step(load, hold, "doubling", &mut capacity, screen).await?;
            let stop = tried.saturated || self.interrupt.is_heard();
            if tried.passed {
                let at_most = load >= self.most;
                held.clone_from(&tried.strain);
                good = Some(tried);
                if stop || at_most {
                    capacity.at_least = true;
                    break;
                }
                load = (load * 2).min(self.most);
            } else if stop {
                capacity.at_least = good.is_some();
                if good.is_none() {
                    bad = Some(tried);
                }
                break;
            } else {
                bad = Some(tried);
                break;
            }
        }
        while let (Some(low), Some(high)) = (&good, &bad) {
            let gap = high.load - low.load;
            if capacity.at_least || gap <= (low.load / CLOSE).max(1) || self.interrupt.is_heard() {
                break;
            }
            let tried = self.step(low.load + gap / 2, hold, "bisecting", &mut capacity, screen).await?;
            if tried.passed {
                held.clone_from(&tried.strain);
                good = Some(tried);
            } else {
                bad = Some(tried);
            }
        }
        let mut confirmed = None;
        for _ in 0..MOST_CONFIRMATIONS {
            let Some(candidate) = good.take() else { break };
            if self.interrupt.is_heard() {
                good = Some(candidate);
                break;
            }
            let tried = self.step(candidate.load, hold * HOLD_LONGER, "confirming", &mut capacity, screen).await?;
            if tried.passed {
                held.clone_from(&tried.strain);
                confirmed = Some(tried);
                break;
            }
            let next = candidate.load * 9 / 10;
            bad = Some(tried);
            capacity.at_least = false;
            if next == 0 || next == candidate.load {
                break;
            }
            good = Some(Tried { load: next, ..candidate });
        }
        capacity.capacity = confirmed.as_ref().map(|tried| tried.load as f64);
        if let Some(limit) = &bad {
            let breached = capacity.steps.iter().rev().find(|step| !step.passed).map(|step| step.breached.join("; "));
            capacity.limited_by = breached.filter(|text| !text.is_empty());
            let strain = limit.strain.as_ref().map(|strain| strain.explain(held.as_ref()));
            capacity.evidence = strain.into_iter().flatten().chain(limit.bottlenecks.iter().map(evidence)).collect();
        }
        let last = confirmed.or(good).or(bad).expect("the first step is always made");
        Ok(Found { capacity, session: last.session, plan: last.plan })
    }

    async fn step(
        &self,
        load: usize,
        hold: Duration,
        phase: &str,
        capacity: &mut Capacity,
        screen: &mut Screen,
    ) -> Result<Tried, ToolError> {
        let mut plan = self.plan.clone();
        plan.duration = Some(hold);
        match &mut plan.model {
            Model::Closed { users, iterations, .. } => (*users, *iterations) = (load, None),
            Model::Open { rate, .. } => *rate = load as f64,
        }
        let before = self.look().await;
        let began = Instant::now();
        screen.say(&format!("{phase}: {load} {} for {}", self.unit(), show_seconds(hold.as_secs_f64())));
        let session = Session::run(&plan, self.interrupt, screen, || None).await?;
        if session.end.reason == StopReason::Unreachable {
            return Err(super::load_test::unreachable(&plan, &session));
        }
        let bottlenecks = match &self.server {
            Some(server) => server.bottlenecks().await.unwrap_or_default(),
            None => Vec::new(),
        };
        let users_mean = session.tally.total().ranked().mean_seconds().unwrap_or_default();
        let strain = match (before, self.look().await) {
            (Some(before), Some(after)) => Strain::between(&before, &after, began.elapsed(), users_mean),
            _ => None,
        };
        let checks = self.judge.checks(&session);
        let breached: Vec<String> =
            checks.iter().filter(|check| check.status == Status::Breached).map(observed).collect();
        let interrupted = session.end.reason == StopReason::Interrupted;
        let saturated = session.generator.is_saturated();
        let passed = breached.is_empty() && !interrupted && !saturated;
        let total = session.tally.total();
        let ranked = total.ranked();
        let at = |q| crate::report::seconds(ranked.quantile_seconds(q));
        let elapsed = session.end.elapsed.as_secs_f64();
        let rate = total.rate(elapsed).unwrap_or(0.0);
        let mut reasons = breached;
        reasons.extend(session.generator.saturation.iter().map(|reason| format!("generator saturated: {reason}")));
        reasons.extend(interrupted.then(|| "interrupted".to_owned()));
        capacity.steps.push(CapacityStep {
            load: load as f64,
            held: crate::report::seconds(Some(elapsed)),
            requests_per_second: (rate * 10.0).round() / 10.0,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            error_rate: (total.error_ratio().unwrap_or(0.0) * 1e4).round() / 1e2,
            phase: phase.to_owned(),
            passed,
            breached: reasons,
        });
        screen.say(&format!(
            "  {}: {:.1} req/s, p95 {}, {:.2} % errors",
            if passed { "passed" } else { "failed" },
            rate,
            show_seconds(at(0.95)),
            total.error_ratio().unwrap_or(0.0) * 100.0
        ));
        Ok(Tried { load, passed, saturated, session, plan, bottlenecks, strain })
    }

    async fn look(&self) -> Option<ServerSnapshot> {
        self.server.as_ref()?.snapshot().await
    }

    fn start(&self) -> usize {
        match self.plan.model {
            Model::Closed { users, .. } => users,
            Model::Open { rate, .. } => (rate.round() as usize).max(1),
        }
    }

    fn unit(&self) -> &'static str {
        match self.plan.model {
            Model::Closed { .. } => "users",
            Model::Open { .. } => "iterations a second",
        }
    }
}

fn evidence(bottleneck: &Bottleneck) -> String {
    let advice = bottleneck.recommendations.first().map_or_else(String::new, |advice| format!(" {advice}."));
    format!("{} ({}): {}. {}.{advice}", bottleneck.kind, bottleneck.severity, bottleneck.description, bottleneck.impact)
}

const DEFAULT_STEP: Duration = Duration::from_secs(10);
const HOLD_LONGER: u32 = 3;
/// The border is close enough at a twentieth of the load.
const CLOSE: usize = 20;
const MOST_CONFIRMATIONS: usize = 4;
