//! Takes a run through its phases: warm-up, load, and the grace in which requests in flight may end.

use std::time::Instant;

use super::{load_plan::LoadPlan, run_state::RunState, stop::StopReason};
use crate::record::Phase;

/// Waits for the end of the load, then for the grace, and gives up the requests that are still in flight.
///
/// The load began at `begun`. The future ends only when the grace is over; a model whose users have all ended earlier
/// drops it.
pub(super) async fn run_phases(plan: &LoadPlan, shared: &RunState, begun: Instant) {
    if shared.recorder.phase() == Phase::WarmUp {
        tokio::select! {
            () = tokio::time::sleep_until((begun + plan.measured_from()).into()) => begin_measuring(shared),
            // Nothing is measured then: the requests in flight are the warm-up's.
            () = shared.stop.requested() => {}
        }
    }
    match plan.length() {
        Some(length) => tokio::select! {
            () = tokio::time::sleep_until((begun + length).into()) => {
                shared.stop.request(StopReason::Finished);
            }
            () = shared.stop.requested() => {}
        },
        None => shared.stop.requested().await,
    }
    shared.gauges.end_load();
    tokio::time::sleep(plan.grace).await;
    shared.stop.give_up();
}

fn begin_measuring(shared: &RunState) {
    // In this order: a reader that sees the new phase must find the time at which it began.
    shared.gauges.begin_measuring();
    shared.recorder.set_measuring(Phase::Measured);
}
