//! The closed model: a Goose attack.
//!
//! Goose starts the users, lets each do one iteration after another, and ends when all of them have ended. This file
//! decides which kind a user is, how many iterations it does, and when the load is over. Goose would assign kinds in turn,
//! so that few users had another mix than many, and it checks only twice a second whether its users have ended. Its
//! metrics are off; README.md says what they lack.

use std::{
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use goose::{
    GooseAttack, GooseError,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario, Transaction, TransactionFunction},
};

use super::{
    actor::{Actor, ReadyActor},
    client::ClientFactory,
    error::EngineError,
    load_plan::LoadPlan,
    mix::{apportion, interleave},
    phases::run_phases,
    run_state::RunState,
    stop::{RunEnd, StopReason},
    user::{BackOff, RequestSettings, User},
};
use crate::lock::lock;

/// Sends a closed load and returns when every user has left.
pub(super) async fn run(
    plan: &LoadPlan,
    shared: &RunState,
    factory: ClientFactory,
    count: usize,
    ramp_up: Duration,
    iterations: Option<usize>,
) -> Result<RunEnd, EngineError> {
    silence_goose();
    // Settings that no client can have must be an error before the first request.
    factory.build(false)?;
    let weights: Vec<usize> = plan.actors.iter().map(Actor::weight).collect();
    let users = Arc::new(ClosedUsers {
        actors: plan.actors.iter().map(|actor| actor.ready(&plan.base, &shared.recorder)).collect(),
        actor_order: interleave(&apportion(count, &weights)),
        factory,
        settings: plan.request_settings(),
        shared: shared.clone(),
        iterations,
        count,
        left: AtomicUsize::new(0),
    });
    let attack = GooseAttack::initialize_with_config(configuration(plan, count, ramp_up)?)
        .map_err(refused)?
        // Users bring clients of their own, so Goose's is never used, and building one for each user would take long.
        .set_client_builder_without_cookies(goose::client::GooseClientBuilder::new().without_cookies())
        .map_err(refused)?
        .register_scenario(scenario(&users))
        .execute();
    let ended: Result<_, GooseError> = tokio::select! {
        ended = attack => ended,
        () = keep_time(plan, shared) => unreachable!("it waits for ever once the grace is over"),
        () = stop_goose(shared) => unreachable!("it triggers the switch for ever"),
    };
    ended.map_err(refused)?;
    shared.stop.request(StopReason::Finished);
    shared.gauges.end_load();
    Ok(RunEnd { reason: shared.conclude(), elapsed: shared.measured_for() })
}

/// Waits for the first user, then takes the run through its phases. Never ends: Goose's own end is the end of the run.
async fn keep_time(plan: &LoadPlan, shared: &RunState) {
    while shared.gauges.begun().is_none() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
            () = shared.stop.requested() => break,
        }
    }
    run_phases(plan, shared, shared.gauges.begin()).await;
    std::future::pending().await
}

/// Stops Goose when the end is requested. Never ends.
async fn stop_goose(shared: &RunState) {
    shared.stop.requested().await;
    loop {
        // Repeatedly, because Goose clears its switch when it starts, which may be after an early Ctrl-C.
        goose::trigger_killswitch("the load has ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The users of one run: brings them in, lets them act, and counts those that leave.
#[derive(Debug)]
struct ClosedUsers {
    actors: Vec<ReadyActor>,
    /// The index of each user's actor, in the order in which users start.
    actor_order: Vec<usize>,
    factory: ClientFactory,
    settings: RequestSettings,
    shared: RunState,
    /// After how many iterations a user leaves; `None` for never.
    iterations: Option<usize>,
    /// How many users the run has.
    count: usize,
    left: AtomicUsize,
}

impl ClosedUsers {
    /// Returns the user of that number, from 1; `None` if the system gives it no client.
    fn enter(&self, number: usize) -> Option<Box<ActiveUser>> {
        let gauges = &self.shared.gauges;
        gauges.begin();
        let actor = self.actor_order[(number - 1) % self.actor_order.len()];
        match self.factory.build(self.actors[actor].actor().cookies()) {
            Ok(client) => {
                gauges.enter();
                let back_off = BackOff::Wait { failures: 0 };
                let user = User::new(number, client, &self.settings, &self.shared, back_off);
                Some(Box::new(ActiveUser { user, actor, iterations: 0 }))
            }
            Err(error) => {
                gauges.count_missing_user(&error);
                self.leave();
                None
            }
        }
    }

    /// Lets a user do an iteration and returns it, unless that was its last one.
    async fn act(&self, mut active: Box<ActiveUser>) -> Option<Box<ActiveUser>> {
        self.actors[active.actor].iterate(&mut active.user).await;
        active.iterations += 1;
        if self.iterations.is_none_or(|most| active.iterations < most) {
            return Some(active);
        }
        self.shared.gauges.leave();
        self.leave();
        None
    }

    /// Counts a user that has left. With the last one the load has ended.
    fn leave(&self) {
        if self.left.fetch_add(1, Ordering::AcqRel) + 1 == self.count {
            self.shared.gauges.end_load();
            self.shared.stop.request(StopReason::Finished);
        }
    }
}

/// A user that has not left yet.
#[derive(Debug)]
struct ActiveUser {
    user: User,
    actor: usize,
    iterations: usize,
}

/// Keeps a user between two of Goose's calls, which only lend a `&mut GooseUser`.
#[derive(Clone, Debug, Default)]
struct UserSlot(Arc<Mutex<Option<Box<ActiveUser>>>>);

impl UserSlot {
    fn take(&self) -> Option<Box<ActiveUser>> {
        lock(&self.0).take()
    }

    fn put(&self, user: Option<Box<ActiveUser>>) {
        *lock(&self.0) = user;
    }
}

fn scenario(users: &Arc<ClosedUsers>) -> Scenario {
    let transaction = |function: TransactionFunction| Transaction::new(function);
    let enter = Arc::clone(users);
    let enter = transaction(Arc::new(move |goose: &mut GooseUser| {
        let slot = UserSlot::default();
        slot.put(enter.enter(goose.weighted_users_index + 1));
        goose.set_session_data(slot);
        Box::pin(async { Ok(()) })
    }));
    let act = Arc::clone(users);
    let act = transaction(Arc::new(move |goose: &mut GooseUser| {
        let (users, slot) = (Arc::clone(&act), goose.get_session_data::<UserSlot>().cloned());
        Box::pin(async move {
            let stop = &users.shared.stop;
            match slot.filter(|_| !stop.is_requested()).and_then(|slot| Some((slot.take()?, slot))) {
                Some((user, slot)) => slot.put(users.act(user).await),
                None => {
                    stop.requested().await;
                    // Goose goes on calling until it has noticed that the load has ended.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Ok(())
        })
    }));
    let leave = Arc::clone(users);
    let leave = transaction(Arc::new(move |goose: &mut GooseUser| {
        if goose.get_session_data::<UserSlot>().is_some_and(|slot| slot.take().is_some()) {
            leave.shared.gauges.leave();
        }
        Box::pin(async { Ok(()) })
    }));
    Scenario::new("users")
        .register_transaction(enter.set_on_start())
        .register_transaction(act)
        .register_transaction(leave.set_on_stop())
}

fn configuration(plan: &LoadPlan, users: usize, ramp_up: Duration) -> Result<GooseConfiguration, EngineError> {
    let mut configuration = GooseConfiguration::parse_args_default::<&str>(&[]).map_err(refused)?;
    configuration.host = Some(plan.base.to_string());
    configuration.users = Some(users);
    // Goose starts users at a rate. One that is over before its first tick starts all of them at once.
    let rate = if ramp_up.is_zero() { 1e9 } else { users as f64 / ramp_up.as_secs_f64() };
    configuration.increase_rate = Some(rate.to_string());
    configuration.quiet = 2;
    configuration.no_metrics = true;
    configuration.no_transaction_metrics = true;
    configuration.no_scenario_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    Ok(configuration)
}

/// Installs a logger that writes nothing in the place of Goose's, whose lines would mix with the tool's own output.
fn silence_goose() {
    struct Silence;
    impl log::Log for Silence {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            false
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails where the host program has a logger already, and then Goose does not install its own either.
        _ = log::set_logger(&Silence);
    });
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes it by value")]
fn refused(error: GooseError) -> EngineError {
    EngineError::Goose(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            Actor, Iteration, Model, Stop,
            fixture::{plan, server},
        },
        record::Tally,
    };

    async fn twice(user: &mut User) -> Iteration {
        let first = user.get("/first").await?.json()?;
        let path = format!("/second/{}", first["number"]);
        user.request(reqwest::Method::PUT, &path).name("/second/{number}").expect_status(200).send().await?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_scenario_in_rust_runs_its_iterations() {
        let actor = Actor::from_code("twice", 1, Box::new(|user| Box::pin(twice(user))));
        let model = Model::Closed { users: 3, ramp_up: Duration::ZERO, iterations: Some(4) };
        let plan = plan(&server().await, actor, model);
        let shared = RunState::new(2, Stop::default());
        let end = crate::engine::run(&plan, &shared).await.unwrap();
        assert_eq!(end.reason, StopReason::Finished);
        let mut tally = Tally::default();
        tally.drain(&shared.recorder, 1.0, 1.0);
        let counts: Vec<_> =
            tally.endpoints().iter().map(|course| (course.name.to_string(), course.tally.count())).collect();
        assert_eq!(counts, [("GET /first".to_owned(), 12), ("PUT /second/{number}".to_owned(), 12)]);
        assert_eq!(tally.total().failed(), 0);
        assert_eq!(shared.gauges.active(), 0);
    }
}
