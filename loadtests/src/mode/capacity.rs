//! The highest load at which the verdict is still "passed": runs the steps that [`Border`] asks for.

use std::time::{Duration, Instant};

use super::border::{Border, Phase};
use super::error::ToolError;
use super::preflight::preflight;
use super::run::{Judge, observed};
use super::session::Session;
use crate::cli::OnSaturation;
use crate::engine::{LoadPlan, Model, StopReason};
use crate::interrupt::Interrupt;
use crate::record::{ExhaustionCounts, Outcome};
use crate::result::{Capacity, CapacityStep, SATURATED, SearchEnd, StepEnd, round_micros};
use crate::server::{Bottleneck, ClientMeans, ServerClient, ServerSnapshot, Utilization};
use crate::span::show_seconds;
use crate::verdict::CheckStatus;
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
    /// What a step says in which the generator was saturated.
    pub(super) saturation: OnSaturation,
    /// Somebody's wish to end.
    pub(super) interrupt: &'a Interrupt,
    /// Who is asked what was saturated.
    pub(super) server: Option<ServerClient>,
}

/// What a search found, and the run that shows it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) capacity: Capacity,
    /// The run at the capacity; without one, the run that says why there is none.
    pub(super) session: Session,
    /// The plan of that run.
    pub(super) plan: LoadPlan,
}

/// One step's run.
struct Tried {
    load: usize,
    end: StepEnd,
    /// Whether the service was gone at its end.
    away: bool,
    breached: Vec<String>,
    session: Session,
    plan: LoadPlan,
    bottlenecks: Vec<Bottleneck>,
    utilization: Option<Utilization>,
}

/// The last step of each end.
#[derive(Default)]
struct Latest {
    passed: Option<Tried>,
    failed: Option<Tried>,
    /// Of those that tell nothing about the service.
    other: Option<Tried>,
}

impl Latest {
    fn keep(&mut self, tried: Tried) {
        let slot = match tried.end {
            StepEnd::Passed => &mut self.passed,
            StepEnd::Failed => &mut self.failed,
            StepEnd::Saturated | StepEnd::Interrupted => &mut self.other,
        };
        *slot = Some(tried);
    }

    /// The run to be shown of a search that ended so.
    fn into_shown(self, capacity: &Capacity) -> Option<Tried> {
        let Self { passed, failed, other } = self;
        match capacity.ended {
            _ if capacity.capacity.is_some() => passed,
            SearchEnd::Confirmed | SearchEnd::Interrupted => passed.or(other).or(failed),
            SearchEnd::NotConfirmed | SearchEnd::LowestFails => failed,
            SearchEnd::WentAway => passed.or(failed).or(other),
            SearchEnd::Saturated => other,
        }
    }
}

impl Search<'_> {
    /// Searches.
    pub(super) async fn run(&self, screen: &mut Screen) -> Result<Found, ToolError> {
        let mut capacity = Capacity { unit: self.unit().to_owned(), ..Capacity::default() };
        let mut border = Border::new(self.start(), self.most);
        let hold = self.plan.duration.unwrap_or(DEFAULT_STEP);
        let mut latest = Latest::default();
        let idle = self.active_requests().await;
        while let Some((load, phase)) = border.next() {
            // Between two steps nothing runs that would notice; the first one is made for its report.
            if self.interrupt.is_heard() && !capacity.steps.is_empty() {
                border.learn(StepEnd::Interrupted);
                break;
            }
            let hold = if phase == Phase::Confirming { hold * HOLD_LONGER } else { hold };
            let tried = self.step(load, hold, phase, &mut capacity, screen).await?;
            border.learn(tried.end);
            // The first load that fails is twice the one before. Later steps close in on the border, where what is
            // saturated hardly differs between the load that holds and the one that does not.
            if tried.end == StepEnd::Failed && latest.failed.is_none() {
                let held = latest.passed.as_ref().and_then(|held| held.utilization.as_ref());
                capacity.evidence =
                    tried.utilization.as_ref().map(|utilization| utilization.explain(held)).unwrap_or_default();
            }
            if tried.end == StepEnd::Passed && border.end().is_some() {
                capacity.capacity = Some(tried.load as f64);
            }
            let (away, backlog) = (tried.away, left_behind(&tried.session));
            latest.keep(tried);
            if border.next().is_none() {
                continue;
            }
            if away && !self.comes_back(screen).await {
                border.lose_service();
            } else if backlog {
                self.settle(idle).await;
            }
        }
        capacity.ended = border.end().unwrap_or_default();
        capacity.at_least = border.is_at_least() && capacity.capacity.is_some();
        if let Some(limit) = &latest.failed {
            capacity.limited_by = Some(limit.breached.join("; "));
            capacity.evidence.extend(limit.bottlenecks.iter().map(evidence));
        }
        let shown =
            latest.into_shown(&capacity).expect("every end but an interruption is that of a step, as is the first");
        Ok(Found { capacity, session: shown.session, plan: shown.plan })
    }

    async fn step(
        &self,
        load: usize,
        hold: Duration,
        phase: Phase,
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
        screen.say(&format!("{}: {load} {} for {}", phase.name(), self.unit(), show_seconds(hold.as_secs_f64())));
        let mut away = None;
        let session = if capacity.steps.is_empty() {
            let session = Session::run(&plan, self.interrupt, screen, || None).await?;
            if session.end.reason == StopReason::Unreachable {
                return Err(super::run::unreachable(&plan, &session));
            }
            session
        } else {
            let mut session = Session::run_again(&plan, self.interrupt, screen, || None).await?;
            if session.end.reason == StopReason::Unreachable {
                // It was there before: that is no mistake in the set-up, but what the load has done.
                session.end.reason = StopReason::Finished;
                away = Some(super::run::unreachable(&plan, &session).to_string());
            }
            session
        };
        // A machine without a descriptor left cannot tell.
        let can_ask = session.shared.recorder.exhausted() == ExhaustionCounts::default();
        if away.is_none() && can_ask && session.end.reason == StopReason::Finished {
            away = preflight(&plan.base, plan.timeout).await.err().map(|error| error.to_string());
        }
        let mut checks = self.judge.checks(&session);
        // A step may be too short for what is rare in the mix; if the run that is shown has none of it, it does not pass.
        let courses = session.tally.endpoints().iter().filter(|course| course.tally.count() == 0);
        let silent: Vec<String> = courses.map(|course| course.name.to_string()).collect();
        checks.retain(|check| check.status == CheckStatus::Breached && !silent.contains(&check.subject));
        let mut breached: Vec<String> = checks.iter().map(observed).collect();
        // Whatever was measured before: a load that the service does not survive is none that it bears.
        breached.extend(away.iter().map(|why| format!("the service went away: {why}")));
        let end = match session.end.reason {
            StopReason::Interrupted => StepEnd::Interrupted,
            _ if away.is_some() => StepEnd::Failed,
            // What passes although the generator was saturated stands with `--saturation warn`; what fails may be its doing.
            _ if session.generator.is_saturated()
                && (self.saturation == OnSaturation::Fail || !breached.is_empty()) =>
            {
                StepEnd::Saturated
            }
            _ if breached.is_empty() => StepEnd::Passed,
            _ => StepEnd::Failed,
        };
        let (mut bottlenecks, mut utilization) = (Vec::new(), None);
        // What an interrupted step or a saturated generator made of the service explains nothing.
        if let (StepEnd::Passed | StepEnd::Failed, Some(server)) = (end, &self.server) {
            bottlenecks = server.bottlenecks().await.unwrap_or_default();
            let users_mean = ClientMeans::of(session.tally.total());
            if let (Some(before), Some(after)) = (before, self.look().await) {
                let load = format!("{load} {}", self.unit());
                let worked_for = session.shared.gauges.worked_for();
                utilization = Utilization::between(&before, &after, worked_for, users_mean, load);
            }
        }
        let step = capacity_step(load, phase, end, &session, &breached);
        screen.say(&format!(
            "  {}: {:.1} req/s, p95 {}, {:.2} % errors",
            end.describe(),
            step.requests_per_second,
            show_seconds(step.p95),
            step.error_rate
        ));
        capacity.steps.push(step);
        Ok(Tried { load, end, away: away.is_some(), breached, session, plan, bottlenecks, utilization })
    }

    /// Waits for a service that went away; whether it came back.
    async fn comes_back(&self, screen: &mut Screen) -> bool {
        screen.say(&format!("the service went away; waiting for it for up to {} s", LONGEST_ABSENCE.as_secs()));
        let since = Instant::now();
        while since.elapsed() < LONGEST_ABSENCE && !self.interrupt.is_heard() {
            if preflight(&self.plan.base, BETWEEN_LOOKS * 4).await.is_ok() {
                return true;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.interrupt.is_heard()
    }

    /// Lets a service end what a step has left behind, which the next one must not pay for.
    async fn settle(&self, idle: Option<f64>) {
        let since = Instant::now();
        while !self.interrupt.is_heard() {
            let longest = match (idle, self.active_requests().await) {
                (Some(idle), Some(active)) if active <= idle => return,
                (Some(_), Some(_)) => LONGEST_SETTLING,
                _ => BLIND_SETTLING,
            };
            if since.elapsed() >= longest {
                return;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Requests in flight at the service, if it tells.
    async fn active_requests(&self) -> Option<f64> {
        Some(self.server.as_ref()?.summary().await?.active_requests)
    }

    async fn look(&self) -> Option<ServerSnapshot> {
        self.server.as_ref()?.snapshot().await
    }

    fn start(&self) -> usize {
        match self.plan.model {
            // With fewer users than kinds of them, the lowest steps would be of other requests than the higher ones.
            Model::Closed { users, .. } => users.max(self.plan.actors.len()),
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

fn capacity_step(load: usize, phase: Phase, end: StepEnd, session: &Session, breached: &[String]) -> CapacityStep {
    let total = session.tally.total();
    let ranked = total.ranked();
    let at = |q| round_micros(ranked.quantile_seconds(q));
    let elapsed = session.end.elapsed.as_secs_f64();
    let saturated = session.generator.saturation.iter().map(|reason| format!("{SATURATED}{reason}"));
    let interrupted = (end == StepEnd::Interrupted).then(|| "interrupted".to_owned());
    CapacityStep {
        load: load as f64,
        held: round_micros(Some(elapsed)),
        requests_per_second: (total.rate(elapsed).unwrap_or(0.0) * 10.0).round() / 10.0,
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        error_rate: (total.error_ratio().unwrap_or(0.0) * 1e4).round() / 1e2,
        phase: phase.name().to_owned(),
        passed: end == StepEnd::Passed,
        ended: end,
        breached: breached.iter().cloned().chain(saturated).chain(interrupted).collect(),
    }
}

/// Whether requests were given up that the service may still be working on.
fn left_behind(session: &Session) -> bool {
    let total = session.tally.total();
    total.of(Outcome::TimedOut) + total.of(Outcome::Cancelled) > 0
}

const DEFAULT_STEP: Duration = Duration::from_secs(10);
const HOLD_LONGER: u32 = 3;
/// A supervisor that restarts a service does so in less.
const LONGEST_ABSENCE: Duration = Duration::from_secs(10);
/// A service that is still at work then will not be idle soon.
const LONGEST_SETTLING: Duration = Duration::from_secs(15);
/// Where nobody tells when the service is idle.
const BLIND_SETTLING: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
