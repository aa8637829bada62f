//! Sends one iteration after another, for a profile.

use super::{
    client::ClientFactory,
    error::EngineError,
    load_plan::LoadPlan,
    run_state::RunState,
    stop::StopReason,
    user::{BackOff, User},
};
use crate::record::Phase;

/// Sends `iterations` iterations of the plan's first actor, after `warm_up` further ones that are left out of the result.
/// Calls `each` with the number of every iteration that counts, from 1.
pub(crate) async fn run_sequentially(
    plan: &LoadPlan,
    shared: &RunState,
    warm_up: usize,
    iterations: usize,
    mut each: impl FnMut(usize),
) -> Result<StopReason, EngineError> {
    let factory = ClientFactory::new(&plan.client, &plan.base, shared);
    let Some(actor) = plan.actors.first() else { return Ok(StopReason::Finished) };
    let ready = actor.ready(&plan.base, &shared.recorder);
    let mut user =
        User::new(1, factory.build(actor.cookies())?, &plan.request_settings(), shared, BackOff::Wait { failures: 0 });
    let gauges = &shared.gauges;
    gauges.begin();
    gauges.enter();
    shared.recorder.set_measuring(Phase::WarmUp);
    for n in 0..warm_up + iterations {
        if n == warm_up {
            gauges.begin_measuring();
            shared.recorder.set_measuring(Phase::Measured);
        }
        if shared.stop.is_requested() {
            break;
        }
        let interrupted = async {
            shared.stop.requested().await;
            tokio::time::sleep(plan.grace).await;
            shared.stop.give_up();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = ready.iterate(&mut user) => {}
            () = interrupted => {}
        }
        if n >= warm_up {
            each(n + 1 - warm_up);
        }
    }
    gauges.leave();
    gauges.end_load();
    shared.stop.request(StopReason::Finished);
    Ok(shared.conclude())
}
