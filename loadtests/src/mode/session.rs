//! One run with everything around it: progress, the watch on the generator, the tally.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::preflight::{PreflightError, preflight};
use crate::engine::{self, EngineError, LoadPlan, Model, RunEnd, Shared};
use crate::interrupt::Interrupt;
use crate::record::{Interval, Phase, Tally};
use crate::span::show_seconds;
use crate::watch::{GeneratorHealth, GeneratorWatch, ProgressView, Screen};

/// A run that did not come about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SessionError {
    /// The target is not there.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Session {
    /// How it went.
    pub(crate) end: RunEnd,
    /// When it began.
    pub(crate) started_at: String,
    /// What was measured.
    pub(crate) tally: Tally,
    /// What users shared.
    pub(crate) shared: Shared,
    /// How the tool itself fared.
    pub(crate) generator: GeneratorHealth,
}

impl Session {
    /// Runs a plan to its end; `server` is what is shown of the server with each look.
    pub(crate) async fn run(
        plan: &LoadPlan,
        interrupt: &Interrupt,
        screen: &mut Screen,
        server: impl FnMut() -> Option<String>,
    ) -> Result<Self, SessionError> {
        preflight(&plan.base, plan.timeout).await?;
        Self::run_again(plan, interrupt, screen, server).await
    }

    /// The same against a target that was there a moment ago.
    pub(crate) async fn run_again(
        plan: &LoadPlan,
        interrupt: &Interrupt,
        screen: &mut Screen,
        mut server: impl FnMut() -> Option<String>,
    ) -> Result<Self, SessionError> {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Shared::new(shards, interrupt.new_stop());
        let mut watch = GeneratorWatch::start();
        let started_at = now();
        let mut tally = Tally::default();
        let mut last = None;
        if let Some(mix) = plan.describe_mix() {
            screen.say(&mix);
        }
        if !plan.warm_up.is_zero() {
            screen.say(&format!("warming up for {}", show_seconds(plan.warm_up.as_secs_f64())));
        }
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
                            planned: planned(plan),
                            active: shared.gauges.active(),
                            arrivals: shared.gauges.arrivals(),
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
        let generator = watch.finish(&shared.hindrances());
        Ok(Self { end, started_at, tally, shared, generator })
    }
}

/// Takes what was recorded since the last time, once measuring has begun.
fn drain(tally: &mut Tally, shared: &Shared, last: &mut Option<Instant>) -> Option<(Interval, f64)> {
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

fn planned(plan: &LoadPlan) -> Option<Duration> {
    let ramp_up = match plan.model {
        Model::Closed { ramp_up, .. } | Model::Open { ramp_up, .. } => ramp_up,
    };
    plan.duration.map(|duration| ramp_up + plan.warm_up + duration)
}

/// The present as RFC 3339 with the local offset.
pub(super) fn now() -> String {
    let zoned = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

/// Length of one point of the course: a second, and less for a short run, whose comparison needs points too.
fn tick_of(plan: &LoadPlan) -> Duration {
    let thirtieth = plan.duration.map_or(LONGEST_TICK, |duration| duration / 30);
    TICKS.into_iter().find(|tick| *tick <= thirtieth).unwrap_or(SHORTEST_TICK)
}

const LONGEST_TICK: Duration = Duration::from_secs(1);
const SHORTEST_TICK: Duration = Duration::from_millis(200);
/// Each fits into a second a whole number of times, so that the points of two runs can be brought to one length.
const TICKS: [Duration; 3] = [LONGEST_TICK, Duration::from_millis(500), SHORTEST_TICK];
