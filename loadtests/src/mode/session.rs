//! One run with everything around it: progress on the screen, the watch on the generator, the tally of its samples.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::diagnosis::other_protocol;

use crate::{
    cli::ProfileOptions,
    engine::{self, Arrivals, EngineError, LoadPlan, RunEnd, RunState, StopReason, hint_for, late_after},
    interrupt::Interrupt,
    record::{Interval, Phase, Tally},
    result::OutageResult,
    span::show_seconds,
    watch::{GeneratorHealth, GeneratorWatch, ProgressView, Screen},
};

const LONGEST_TICK: Duration = Duration::from_secs(1);
const SHORTEST_TICK: Duration = Duration::from_millis(200);
/// Each divides a second evenly, so that a comparison can join the points of two runs to one length.
const TICKS: [Duration; 3] = [LONGEST_TICK, Duration::from_millis(500), SHORTEST_TICK];

/// A run that did not start.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct SessionError(#[from] EngineError);

/// A run in which no request got a response.
#[derive(Debug, Error)]
#[error("no request to {base} got a response: {problem}{hint}")]
pub(crate) struct UnreachableError {
    base: String,
    /// The most frequent failure.
    problem: String,
    /// What may help against it.
    hint: &'static str,
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Session {
    /// How it ended.
    pub(crate) end: RunEnd,
    /// When it began, in RFC 3339.
    pub(crate) started_at: String,
    /// What was measured.
    pub(crate) tally: Tally,
    /// The state that its users shared.
    pub(crate) shared: RunState,
    /// Whether the tool itself kept up.
    pub(crate) generator: GeneratorHealth,
    /// Where its requests went.
    base: String,
    /// Why there was no response; `None` if there was one.
    silence: Option<Silence>,
}

/// Why a run got no response.
#[derive(Clone, Debug)]
struct Silence {
    /// The most frequent failure.
    problem: String,
    /// What may help against it; empty where nothing is known.
    hint: &'static str,
}

impl Session {
    /// Sends the load of a plan to its end. `server` returns a line about the service for each progress report.
    pub(super) async fn run(
        plan: &LoadPlan,
        interrupt: &Interrupt,
        screen: &mut Screen,
        mut server: impl FnMut() -> Option<String>,
    ) -> Result<Self, SessionError> {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = RunState::new(shards, interrupt.new_stop());
        let mut watch = GeneratorWatch::start();
        let started_at = now();
        let mut tally = Tally::default();
        let mut last = None;
        announce(plan, screen);
        let mut run = Box::pin(engine::run(plan, &shared));
        let mut tick = tokio::time::interval(tick_of(plan));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let end = loop {
            tokio::select! {
                end = &mut run => break end?,
                _ = tick.tick() => {
                    if !shared.stop.is_requested() {
                        watch.look();
                    }
                    if let Some((interval, span)) = drain(&mut tally, &shared, &mut last) {
                        screen.show(&ProgressView {
                            elapsed: shared.gauges.begun().map_or(Duration::ZERO, |begun| begun.elapsed()),
                            planned: plan.length(),
                            active: shared.gauges.active(),
                            arrivals: shared.gauges.arrivals(late_after(tally.quick_request_seconds())),
                            outage: shared.current_outage(tally.total()),
                            interval: &interval,
                            span,
                            tally: &tally,
                            server: server(),
                        });
                    }
                }
            }
        };
        drop(run);
        drain(&mut tally, &shared, &mut last);
        screen.clear();
        let generator = watch.finish(&shared.hindrances(late_after(tally.quick_request_seconds())));
        Ok(Self::ended(plan, end, started_at, tally, shared, generator).await)
    }

    /// Sends a profile's iterations, one after another.
    pub(super) async fn run_sequentially(
        plan: &LoadPlan,
        interrupt: &Interrupt,
        screen: &mut Screen,
        options: &ProfileOptions,
    ) -> Result<Self, SessionError> {
        let (warm_up, iterations) = (options.warm_up, options.iterations);
        let shared = RunState::new(1, interrupt.new_stop());
        let (mut watch, started_at) = (GeneratorWatch::start(), now());
        let tenth = iterations.div_ceil(10).max(10);
        let reason = engine::run_sequentially(plan, &shared, warm_up, iterations, |done| {
            watch.look();
            if done % tenth == 0 && done < iterations {
                screen.say(&format!("{done} of {iterations}"));
            }
        })
        .await?;
        let elapsed = shared.measured_for();
        let mut tally = Tally::default();
        tally.drain(&shared.recorder, elapsed.as_secs_f64(), elapsed.as_secs_f64());
        let generator = watch.finish(&shared.hindrances(late_after(tally.quick_request_seconds())));
        let end = RunEnd { reason, elapsed };
        Ok(Self::ended(plan, end, started_at, tally, shared, generator).await)
    }

    /// Returns a run that has ended. One without a response, however short, asks the target what it speaks.
    async fn ended(
        plan: &LoadPlan,
        end: RunEnd,
        started_at: String,
        tally: Tally,
        shared: RunState,
        generator: GeneratorHealth,
    ) -> Self {
        let base = plan.base.as_str().trim_end_matches('/').to_owned();
        let silence =
            if shared.recorder.answered() == 0 { Some(silence(&base, end, &tally, &shared).await) } else { None };
        Self { end, started_at, tally, shared, generator, base, silence }
    }

    /// Returns whether the run ended before anything was measured.
    pub(super) fn ended_in_warm_up(&self) -> bool {
        self.shared.recorder.phase() == Phase::WarmUp
    }

    /// Returns the times in which no request succeeded.
    pub(super) fn outages(&self) -> Vec<OutageResult> {
        let outages = self.shared.outages(self.tally.total());
        outages.into_iter().map(|(start, outage)| OutageResult::new(start, outage)).collect()
    }

    /// Returns what became of the scheduled iterations; `None` in a closed model.
    pub(super) fn arrivals(&self) -> Option<Arrivals> {
        self.shared.gauges.arrivals(late_after(self.tally.quick_request_seconds()))
    }

    /// Returns what may help in a run in which no request got a response; empty in every other.
    pub(super) fn hint(&self) -> &'static str {
        self.silence.as_ref().map_or("", |silence| silence.hint)
    }

    /// Returns the error of a run in which no request got a response.
    pub(super) fn unreachable(&self) -> UnreachableError {
        let (problem, hint) = match &self.silence {
            Some(silence) => (silence.problem.clone(), silence.hint),
            None => (String::new(), ""),
        };
        UnreachableError { base: self.base.clone(), problem, hint }
    }
}

/// Returns why no request of a run got a response.
async fn silence(base: &str, end: RunEnd, tally: &Tally, shared: &RunState) -> Silence {
    let most_frequent =
        tally.endpoints().iter().filter_map(|course| course.tally.failures().by_count().into_iter().next());
    let problem = most_frequent
        .max_by_key(|(_, failure)| failure.count)
        .map(|(kind, _)| kind.clone())
        .or_else(|| shared.recorder.warm_up_failure())
        .map_or_else(String::new, |kind| kind.as_str().to_owned());
    let hint = if problem.contains("cannot connect") {
        hint_for(&problem)
    } else if problem.is_empty() && end.reason == StopReason::Interrupted {
        // Nothing failed before the user lost patience with a slow target, who should not wait for another answer.
        ""
    } else {
        let (base, problem) = (base.to_owned(), problem.clone());
        tokio::task::spawn_blocking(move || other_protocol(&base, &problem)).await.unwrap_or_default()
    };
    Silence { problem, hint }
}

/// Says before the first request what its user may not expect: an odd mix of few users, and a warm-up.
fn announce(plan: &LoadPlan, screen: &mut Screen) {
    if let Some(mix) = plan.describe_mix() {
        screen.say(&mix);
    }
    if !plan.warm_up.is_zero() {
        screen.say(&format!("warming up for {}", show_seconds(plan.measured_from().as_secs_f64())));
    }
}

/// Moves what was recorded since the last call into the tally; `None` before measuring has begun.
fn drain(tally: &mut Tally, shared: &RunState, last: &mut Option<Instant>) -> Option<(Interval, f64)> {
    if shared.recorder.phase() == Phase::WarmUp {
        return None;
    }
    let since = shared.gauges.measured_since()?;
    let now = Instant::now();
    let from = last.unwrap_or(since).max(since);
    let span = now.duration_since(from).as_secs_f64();
    *last = Some(now);
    let interval = tally.drain(&shared.recorder, now.duration_since(since).as_secs_f64(), span);
    Some((interval, span))
}

/// Returns the current time as RFC 3339 with the local offset.
fn now() -> String {
    let zoned = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

/// Returns the length of one point of the course: a second, or less in a short run, so that a comparison has some thirty
/// points to rank.
fn tick_of(plan: &LoadPlan) -> Duration {
    let thirtieth = plan.duration.map_or(LONGEST_TICK, |duration| duration / 30);
    TICKS.into_iter().find(|tick| *tick <= thirtieth).unwrap_or(SHORTEST_TICK)
}
