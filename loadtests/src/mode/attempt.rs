//! One step of a capacity search: a run at one load, and whether the service bore it.

use std::time::{Duration, Instant};

use super::{border::SearchPhase, error::ToolError, judge::Judge, preflight::preflight, session::Session};
use crate::{
    cli::OnSaturation,
    engine::{LoadPlan, Model, StopReason},
    interrupt::Interrupt,
    record::{ExhaustionCounts, Outcome},
    result::{CapacityStep, SATURATED, StepEnd, round_micros, some_micros},
    server::{
        Bottleneck, ClientMeans, ProcessFacts, ProcessNumbers, ServerClient, ServerSnapshot, Utilization,
        findings_of_run,
    },
    span::show_seconds,
    verdict::{Check, CheckStatus},
    watch::{GeneratorHealth, Screen},
};

/// Supervisors restart a service within a few seconds; without one it will not come back at all.
const LONGEST_ABSENCE: Duration = Duration::from_secs(10);
/// A service that is still busy after this long will not be idle soon; the next step shows whether it matters.
const LONGEST_SETTLING: Duration = Duration::from_secs(15);
/// The wait where the service does not report its active requests.
const BLIND_SETTLING: Duration = Duration::from_secs(3);
/// The service reads the numbers of its process every five seconds.
const LONGEST_SAMPLING: Duration = Duration::from_secs(6);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// A run at one load.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) load: usize,
    pub(super) end: StepEnd,
    /// Why the service was gone at its end, if it was.
    pub(super) outage: Option<String>,
    pub(super) breaches: Vec<String>,
    pub(super) session: Session,
    pub(super) plan: LoadPlan,
    pub(super) service: ServiceLoad,
    /// The step as it is written into the result.
    pub(super) step: CapacityStep,
}

/// What the service said of itself about an attempt; empty where it says nothing.
#[derive(Debug, Default)]
pub(super) struct ServiceLoad {
    /// What fired then, began since the search did, and concerns what it calls.
    pub(super) bottlenecks: Vec<Bottleneck>,
    pub(super) utilization: Option<Utilization>,
}

/// What a step of a search is to try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) load: usize,
    /// How long the load is held.
    pub(super) hold: Duration,
    pub(super) phase: SearchPhase,
    /// Whether the load has failed or saturated the generator before.
    pub(super) is_again: bool,
}

/// Makes the attempts of one search.
#[derive(Debug)]
pub(super) struct AttemptRunner<'a> {
    /// The plan whose load is varied.
    pub(super) plan: &'a LoadPlan,
    /// What a load must meet.
    pub(super) judge: &'a Judge,
    pub(super) interrupt: &'a Interrupt,
    /// Who is asked what was saturated.
    pub(super) server: Option<&'a ServerClient>,
    /// Whether a request has ever got a response. Until then silence is a mistake in the set-up; afterwards it is what
    /// the load has done.
    pub(super) is_reached: bool,
    /// The bottlenecks that fired before the search.
    pub(super) earlier: Vec<Bottleneck>,
    /// Whether a step ends only once the service has read the numbers of its process: until the first load has failed, with
    /// which these are explained.
    pub(super) awaits_numbers: bool,
}

impl AttemptRunner<'_> {
    /// Runs one step and judges it.
    pub(super) async fn attempt(&mut self, trial: Trial, screen: &mut Screen) -> Result<Attempt, ToolError> {
        let Trial { load, hold, phase, is_again } = trial;
        let plan = plan_for(self.plan, load, hold);
        let before = self.snapshot().await;
        let (phase_name, unit, seconds) = (phase.name(), self.unit(), show_seconds(hold.as_secs_f64()));
        screen.say(&format!("{phase_name}: {load} {unit} for {seconds}{}", if is_again { ", again" } else { "" }));
        let mut session = Session::run(&plan, self.interrupt, screen, || None).await?;
        let outage = self.outage(&mut session, &plan).await?;
        let mut breaches = breaches_of(self.judge.checks(&session), &session);
        // Whatever was measured before: the service does not bear a load that it does not survive.
        breaches.extend(outage.iter().map(|why| format!("the service went away: {why}")));
        let end =
            end_of(session.end.reason, outage.as_deref(), &session.generator, &breaches, self.judge.on_saturation());
        let service = match end {
            StepEnd::Passed | StepEnd::Failed => self.service_load(load, before, &session).await,
            // What an interrupted step or a saturated generator made of the service explains nothing.
            StepEnd::Saturated | StepEnd::Interrupted => ServiceLoad::default(),
        };
        let step = capacity_step(trial, end, &session, &breaches);
        let (p95, errors) = (
            step.p95.map_or_else(|| "-".to_owned(), show_seconds),
            step.error_rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2} %")),
        );
        let (end_name, rate) = (end.describe(), step.requests_per_second);
        screen.say(&format!("  {end_name}: {rate:.1} req/s, p95 {p95}, {errors} errors"));
        Ok(Attempt { load, end, outage, breaches, session, plan, service, step })
    }

    /// Returns why the service is gone after a run, if it is.
    ///
    /// # Errors
    /// Fails if the service has never answered.
    async fn outage(&mut self, session: &mut Session, plan: &LoadPlan) -> Result<Option<String>, ToolError> {
        if session.end.reason == StopReason::Unreachable {
            let error = session.unreachable();
            if !self.is_reached {
                return Err(error.into());
            }
            session.end.reason = StopReason::Finished;
            return Ok(Some(error.to_string()));
        }
        self.is_reached = true;
        // A machine without a free descriptor or port cannot find out.
        let can_connect = session.shared.recorder.exhausted() == ExhaustionCounts::default();
        if session.end.reason != StopReason::Finished || !can_connect {
            return Ok(None);
        }
        Ok(preflight(&plan.base, plan.timeout).await.err().map(|error| error.to_string()))
    }

    async fn service_load(&mut self, load: usize, before: Option<ServerSnapshot>, session: &Session) -> ServiceLoad {
        let Some(server) = self.server else { return ServiceLoad::default() };
        let bottlenecks = server.bottlenecks().await.unwrap_or_default();
        let numbers = if self.awaits_numbers { self.process_numbers(server).await } else { ProcessNumbers::Stale };
        let (Some(before), Some(after)) = (before, self.snapshot().await) else { return ServiceLoad::default() };
        let means = ClientMeans::of(session.tally.total());
        let load = format!("{load} {}", self.unit());
        let worked_for = session.shared.gauges.worked_for();
        ServiceLoad {
            bottlenecks: findings_of_run(bottlenecks, &self.earlier, &session.tally, &after),
            utilization: Utilization::between(&before, &after, worked_for, numbers, means, load),
        }
    }

    /// Waits until the service has read the numbers of its process after the end of a step. Where it does not, it is not
    /// waited for again.
    async fn process_numbers(&mut self, server: &ServerClient) -> ProcessNumbers {
        let read = |facts: ProcessFacts| (facts.cpu_seconds, facts.worker_busy_seconds);
        let (since, first) = (Instant::now(), server.process().await.filter(|facts| facts.workers > 0.0).map(read));
        while first.is_some() && since.elapsed() < LONGEST_SAMPLING && !self.interrupt.is_received() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            if server.process().await.map(read) != first {
                return ProcessNumbers::Fresh;
            }
        }
        self.awaits_numbers = self.interrupt.is_received();
        ProcessNumbers::Stale
    }

    /// Waits for a service that went away and returns whether the search can go on: it came back, or the wait was
    /// interrupted and the search will end by itself.
    pub(super) async fn wait_for_service(&self, screen: &mut Screen) -> bool {
        screen.say(&format!("the service went away; waiting for it for up to {} s", LONGEST_ABSENCE.as_secs()));
        let since = Instant::now();
        while since.elapsed() < LONGEST_ABSENCE && !self.interrupt.is_received() {
            if preflight(&self.plan.base, BETWEEN_LOOKS * 4).await.is_ok() {
                return true;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.interrupt.is_received()
    }

    /// Waits until the service has finished what a step left behind, which would slow down the next one. `idle` is how
    /// many requests were active before the first step.
    pub(super) async fn wait_until_idle(&self, idle: Option<f64>) {
        let since = Instant::now();
        while !self.interrupt.is_received() {
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

    /// Returns the requests in flight at the service, if it reports them.
    pub(super) async fn active_requests(&self) -> Option<f64> {
        Some(self.server?.summary().await?.active_requests)
    }

    async fn snapshot(&self) -> Option<ServerSnapshot> {
        self.server?.snapshot().await
    }

    /// The unit of a load.
    pub(super) fn unit(&self) -> &'static str {
        match self.plan.model {
            Model::Closed { .. } => "users",
            Model::Open { .. } => "iterations a second",
        }
    }
}

impl Attempt {
    /// Whether requests were given up that the service may still be working on.
    pub(super) fn left_work_behind(&self) -> bool {
        let total = self.session.tally.total();
        total.of(Outcome::TimedOut) + total.of(Outcome::Cancelled) > 0
    }
}

fn plan_for(plan: &LoadPlan, load: usize, hold: Duration) -> LoadPlan {
    let mut plan = plan.clone();
    plan.duration = Some(hold);
    match &mut plan.model {
        Model::Closed { users, iterations, .. } => (*users, *iterations) = (load, None),
        Model::Open { rate, .. } => *rate = load as f64,
    }
    plan
}

/// Returns what a step breached, a line each.
///
/// An endpoint without requests is left out: a short step may not reach what is rare in the mix. The run at the found
/// capacity is judged again, with all endpoints.
fn breaches_of(checks: Vec<Check>, session: &Session) -> Vec<String> {
    let courses = session.tally.endpoints().iter().filter(|course| course.tally.count() == 0);
    let silent: Vec<String> = courses.map(|course| course.name.to_string()).collect();
    checks
        .into_iter()
        .filter(|check| check.status == CheckStatus::Breached && !silent.contains(&check.subject))
        .map(|check| format!("{}: {}, observed {}", check.subject, check.condition, check.observed))
        .collect()
}

/// Decides how a step ended.
fn end_of(
    reason: StopReason,
    outage: Option<&str>,
    generator: &GeneratorHealth,
    breaches: &[String],
    on_saturation: OnSaturation,
) -> StepEnd {
    // With `--saturation warn` the verdict stands, and the result names the saturation beside the limit.
    let proves_nothing = generator.is_saturated() && on_saturation == OnSaturation::Fail;
    match reason {
        StopReason::Interrupted => StepEnd::Interrupted,
        _ if outage.is_some() => StepEnd::Failed,
        _ if proves_nothing => StepEnd::Saturated,
        _ if breaches.is_empty() => StepEnd::Passed,
        _ => StepEnd::Failed,
    }
}

fn capacity_step(trial: Trial, end: StepEnd, session: &Session, breaches: &[String]) -> CapacityStep {
    let total = session.tally.total();
    let ranked = total.ranked();
    let at = |q| some_micros(ranked.quantile_seconds(q));
    let elapsed = session.end.elapsed.as_secs_f64();
    let saturated = session.generator.saturation.iter().map(|reason| format!("{SATURATED}{reason}"));
    let interrupted = (end == StepEnd::Interrupted).then(|| "interrupted".to_owned());
    CapacityStep {
        load: trial.load as f64,
        held: round_micros(Some(elapsed)),
        requests_per_second: (total.rate(elapsed).unwrap_or(0.0) * 10.0).round() / 10.0,
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        error_rate: total.error_ratio().map(|ratio| (ratio * 1e4).round() / 1e2),
        phase: trial.phase.name().to_owned(),
        again: trial.is_again,
        passed: end == StepEnd::Passed,
        ended: end,
        breached: breaches.iter().cloned().chain(saturated).chain(interrupted).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        reason: StopReason,
        outage: Option<&str>,
        saturated: Option<&str>,
        breaches: usize,
        expected: [StepEnd; 2],
    ) {
        let generator = GeneratorHealth { saturation: saturated.map(str::to_owned), ..Default::default() };
        let breaches = vec!["p95".to_owned(); breaches];
        let ends = [OnSaturation::Fail, OnSaturation::Warn]
            .map(|on_saturation| end_of(reason, outage, &generator, &breaches, on_saturation));
        assert_eq!(ends, expected);
    }

    #[test]
    fn a_step_fails_only_through_the_service() {
        const CPU: &str = "its CPU was busy";
        use StepEnd::{Failed, Interrupted, Passed, Saturated};
        check(StopReason::Finished, None, None, 0, [Passed, Passed]);
        check(StopReason::Finished, None, None, 1, [Failed, Failed]);
        check(StopReason::Finished, None, Some(CPU), 0, [Saturated, Passed]);
        check(StopReason::Finished, None, Some(CPU), 1, [Saturated, Failed]);
        check(StopReason::Finished, Some("refused"), Some(CPU), 1, [Failed, Failed]);
        check(StopReason::Interrupted, Some("refused"), Some(CPU), 1, [Interrupted, Interrupted]);
    }
}
