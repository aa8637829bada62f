//! The closed model: a Goose attack.
//!
//! Goose starts the users, divides them among the scenarios by weight, and ends when all of them have ended. Its own
//! metrics are off: they time the response head, and cost a request more than ours. When to end is decided here, to the
//! millisecond; Goose looks twice a second.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionError, TransactionFunction};
use goose::{GooseAttack, GooseError};

use super::actor::ReadyActor;
use super::client::ClientFactory;
use super::stop::StopReason;
use super::user::{BackOff, User};
use super::{EngineError, LoadPlan, RunEnd, Shared, keep_time};

pub(super) async fn run(
    plan: &LoadPlan,
    shared: &Shared,
    factory: ClientFactory,
    users: usize,
    ramp_up: Duration,
    iterations: Option<usize>,
) -> Result<RunEnd, EngineError> {
    silence_goose();
    // One client now, so that settings which no client can have are an error before the first request.
    factory.build(false)?;
    let mut attack = GooseAttack::initialize_with_config(configuration(plan, users, ramp_up, iterations)?)
        .map_err(refused)?
        // Users bring clients of their own; this one is never used, and building one for each user takes long.
        .set_client_builder_without_cookies(goose::client::GooseClientBuilder::new().without_cookies())
        .map_err(refused)?;
    let plan = Arc::new(plan.clone());
    for actor in &plan.actors {
        let ready = Arc::new(actor.ready(&plan.base, &shared.recorder));
        attack = attack.register_scenario(scenario(ready, &plan, shared, &factory)?);
    }
    let attack = attack.execute();
    tokio::pin!(attack);
    let clock = async {
        while shared.gauges.begun().is_none() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                () = shared.stop.requested() => break,
            }
        }
        keep_time(&plan, shared, ramp_up, shared.gauges.begin()).await;
        std::future::pending::<()>().await;
    };
    let switch_off = async {
        shared.stop.requested().await;
        loop {
            // Again and again: Goose clears its switch when it starts, which may be after an early Ctrl-C.
            goose::trigger_killswitch("the load has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended: Result<_, GooseError> = tokio::select! {
        ended = &mut attack => ended,
        () = clock => unreachable!("the clock is pending for ever"),
        () = switch_off => unreachable!("the switch is pressed for ever"),
    };
    ended.map_err(refused)?;
    shared.stop.request(StopReason::Finished);
    shared.gauges.end_load();
    let reason = shared.stop.reason().unwrap_or(StopReason::Finished);
    Ok(RunEnd { reason, elapsed: shared.gauges.measured_for() })
}

/// Where a user is kept between two of Goose's calls, which only lend a `&mut GooseUser`.
#[derive(Clone, Debug, Default)]
struct Seat(Arc<Mutex<Option<Box<User>>>>);

impl Seat {
    fn take(&self) -> Option<Box<User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, user: Box<User>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
    }
}

fn scenario(
    ready: Arc<ReadyActor>,
    plan: &Arc<LoadPlan>,
    shared: &Shared,
    factory: &ClientFactory,
) -> Result<Scenario, EngineError> {
    let name = ready.actor().name().to_owned();
    let weight = ready.actor().weight();
    let enter: TransactionFunction = {
        let (plan, shared, factory) = (Arc::clone(plan), shared.clone(), factory.clone());
        let cookies = ready.actor().cookies();
        Arc::new(move |goose: &mut GooseUser| {
            let (plan, shared, factory) = (Arc::clone(&plan), shared.clone(), factory.clone());
            Box::pin(async move {
                let client =
                    factory.build(cookies).map_err(|error| Box::new(TransactionError::Custom(error.to_string())))?;
                goose.client = client.clone();
                let number = goose.weighted_users_index + 1;
                let back_off = BackOff::Wait { failures: 0 };
                let seat = Seat::default();
                seat.put(Box::new(User::new(number, client, &plan, &shared, back_off)));
                goose.set_session_data(seat);
                shared.gauges.begin();
                shared.gauges.enter();
                Ok(())
            })
        })
    };
    let act: TransactionFunction = {
        let shared = shared.clone();
        Arc::new(move |goose: &mut GooseUser| {
            let (ready, stop) = (Arc::clone(&ready), shared.stop.clone());
            let seat = goose.get_session_data::<Seat>().cloned();
            Box::pin(async move {
                let user = if stop.is_requested() { None } else { seat.as_ref().and_then(Seat::take) };
                match (user, seat) {
                    (Some(mut user), Some(seat)) => {
                        ready.iterate(&mut user).await;
                        seat.put(user);
                    }
                    // Goose calls until it has noticed that the load has ended.
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
                Ok(())
            })
        })
    };
    let leave: TransactionFunction = {
        let gauges = Arc::clone(&shared.gauges);
        Arc::new(move |_: &mut GooseUser| {
            let gauges = Arc::clone(&gauges);
            Box::pin(async move {
                gauges.leave();
                Ok(())
            })
        })
    };
    Ok(Scenario::new(&name)
        .set_weight(weight)
        .map_err(refused)?
        .register_transaction(Transaction::new(enter).set_on_start())
        .register_transaction(Transaction::new(act))
        .register_transaction(Transaction::new(leave).set_on_stop()))
}

fn configuration(
    plan: &LoadPlan,
    users: usize,
    ramp_up: Duration,
    iterations: Option<usize>,
) -> Result<GooseConfiguration, EngineError> {
    let mut configuration = GooseConfiguration::parse_args_default::<&str>(&[]).map_err(refused)?;
    configuration.host = Some(plan.base.to_string());
    configuration.users = Some(users);
    // Goose starts users at a rate; all of them at once is one that is over before its first tick.
    let rate = if ramp_up.is_zero() { 1e9 } else { users as f64 / ramp_up.as_secs_f64() };
    configuration.increase_rate = Some(rate.to_string());
    configuration.iterations = iterations;
    configuration.quiet = 2;
    configuration.no_metrics = true;
    configuration.no_transaction_metrics = true;
    configuration.no_scenario_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_telnet = true;
    Ok(configuration)
}

/// Takes the place of Goose's logger, which would write among the tool's own output.
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
        // Someone else's logger is as good: Goose's is not installed then either.
        _ = log::set_logger(&Silence);
    });
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn refused(error: GooseError) -> EngineError {
    EngineError::Goose(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{plan, server};
    use crate::engine::{Actor, Iteration, Model, Stop};
    use crate::record::Tally;

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
        let shared = Shared::new(2, Stop::default());
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
