//! One endpoint, one request after another.

use super::error::ToolError;
use super::preflight::preflight;
use super::print;
use super::run::{Judge, refusal, server_client};
use crate::cli::{OnSaturation, ProfileArgs};
use crate::engine::{self, Actor, RunEnd, Shared, StopReason};
use crate::interrupt::Interrupt;
use crate::mode::session::{Session, SessionError, now};
use crate::plan::profile_plan;
use crate::record::Tally;
use crate::report::{check_writable, render_profile, render_verdict, write_outputs};
use crate::result::{GeneratorResult, Profile, RunResult, VerdictResult};
use crate::server::{ServerClient, ServerWatch, join};
use crate::verdict::Conclusion;
use crate::watch::{GeneratorWatch, Screen};

/// Profiles an endpoint and returns how it ended.
pub(crate) async fn run_profile(
    arguments: &ProfileArgs,
    code: &[Actor],
    interrupt: &Interrupt,
) -> Result<Conclusion, ToolError> {
    let plan = profile_plan(&arguments.target, &arguments.requests, code)?;
    let judge = Judge::new(&arguments.verdict, &plan)?;
    check_writable(&arguments.output.outputs)?;
    preflight(&plan.base, plan.timeout).await.map_err(SessionError::from)?;
    let mut screen = Screen::new(arguments.output.progress, arguments.output.quiet);
    let server = server_client(&arguments.server, &plan);
    let watch = match server.clone() {
        Some(client) => ServerWatch::start(client).await,
        None => None,
    };
    let shared = Shared::new(1, interrupt.new_stop());
    let (mut generator, started_at) = (GeneratorWatch::start(), now());
    let (warm_up, iterations) = (arguments.profile.warm_up, arguments.profile.iterations);
    let tenth = iterations.div_ceil(10).max(10);
    let reason = engine::profile(&plan, &shared, warm_up, iterations, |done| {
        generator.look();
        if done % tenth == 0 && done < iterations {
            screen.say(&format!("{done} of {iterations}"));
        }
    })
    .await
    .map_err(SessionError::from)?;
    let elapsed = shared.gauges.measured_for();
    let mut tally = Tally::default();
    tally.drain(&shared.recorder, elapsed.as_secs_f64(), elapsed.as_secs_f64());
    let generator = generator.finish(&shared.hindrances());
    let session = Session { end: RunEnd { reason, elapsed }, started_at, tally, shared, generator };
    let checks = judge.checks(&session);
    let saturated = session.generator.is_saturated() && arguments.verdict.saturation == OnSaturation::Fail;
    let conclusion = Conclusion::of(reason, saturated, &checks);
    let mut result = RunResult::measured(
        "profile",
        plan.base.as_str(),
        session.started_at.clone(),
        plan.model,
        session.end,
        &session.tally,
        &session.shared.recorder,
    );
    result.generator = GeneratorResult::new(&session.generator, session.tally.total().count());
    result.profile = Some(Profile::new(&session.tally.total().ranked(), result.warm_up_requests));
    if let Some(watch) = watch {
        let (before, after, seen) = watch.finish().await;
        result.server = Some(join(&session.tally, &before, after.as_ref(), seen));
    }
    result.server_requests = server.as_ref().map_or(0, ServerClient::request_count);
    result.server_refused = refusal(server.as_ref());
    result.verdict = VerdictResult::new(conclusion, &checks);
    if !arguments.output.quiet {
        print(&render_profile(&result));
    }
    print(&render_verdict(&result));
    write_outputs(&arguments.output.outputs, &result)?;
    if reason == StopReason::Unreachable {
        return Err(super::run::unreachable(&plan, &session));
    }
    Ok(conclusion)
}
