//! Runs a plan by its model.

use super::{
    client::ClientFactory,
    closed,
    error::EngineError,
    load_plan::{LoadPlan, Model},
    open,
    pace::Pace,
    run_state::RunState,
    stop::RunEnd,
};
use crate::record::Phase;

/// Sends the load of a plan and returns when every request has ended.
pub(crate) async fn run(plan: &LoadPlan, shared: &RunState) -> Result<RunEnd, EngineError> {
    let factory = ClientFactory::new(&plan.client, &plan.base, shared);
    if !plan.warm_up.is_zero() {
        // Before the first user exists: its first request must not be measured.
        shared.recorder.set_measuring(Phase::WarmUp);
    }
    match plan.model {
        Model::Closed { users, ramp_up, iterations } => {
            closed::run(plan, shared, factory, users, ramp_up, iterations).await
        }
        Model::Open { rate, ramp_up, most_in_flight } => {
            open::run(plan, shared, factory, Pace::new(rate, ramp_up), most_in_flight).await
        }
    }
}
