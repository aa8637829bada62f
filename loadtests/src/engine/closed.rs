//! The closed model: a Goose attack.
//!
//! Goose starts the users, lets each do one iteration after another, and ends when all of them have ended. Which kind a
//! user is, how many iterations it does, and when the load is over, is decided here: Goose deals kinds in turn, so that
//! few users have another mix than many, and it looks only twice a second whether its users have ended. Its metrics are
//! off; README.md says what they lack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use goose::{GooseAttack, GooseError};

use super::actor::ReadyActor;
use super::client::ClientFactory;
use super::mix::{apportion, interleave};
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
    let weights: Vec<usize> = plan.actors.iter().map(super::Actor::weight).collect();
    let crew = Arc::new(Crew {
        actors: plan.actors.iter().map(|actor| actor.ready(&plan.base, &shared.recorder)).collect(),
        turn: interleave(&apportion(users, &weights)),
        factory,
        plan: plan.clone(),
        shared: shared.clone(),
        iterations,
        users,
        left: AtomicUsize::new(0),
    });
    let attack = GooseAttack::initialize_with_config(configuration(plan, users, ramp_up)?)
        .map_err(refused)?
        // Users bring clients of their own; this one is never used, and building one for each user takes long.
        .set_client_builder_without_cookies(goose::client::GooseClientBuilder::new().without_cookies())
        .map_err(refused)?
        .register_scenario(scenario(&crew))
        .execute();
    tokio::pin!(attack);
    let clock = async {
        while shared.gauges.begun().is_none() {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                () = shared.stop.requested() => break,
            }
        }
        keep_time(plan, shared, ramp_up, shared.gauges.begin()).await;
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
    Ok(RunEnd { reason: shared.conclude(), elapsed: shared.gauges.measured_for() })
}

/// What the users of one run have in common.
#[derive(Debug)]
struct Crew {
    actors: Vec<ReadyActor>,
    /// Which actor the users are, in the order in which they start.
    turn: Vec<usize>,
    factory: ClientFactory,
    plan: LoadPlan,
    shared: Shared,
    /// After how many iterations a user leaves.
    iterations: Option<usize>,
    users: usize,
    left: AtomicUsize,
}

impl Crew {
    /// The user of that number, from 1; `None` if the system gives it no client.
    fn enter(&self, number: usize) -> Option<Box<Present>> {
        let gauges = &self.shared.gauges;
        gauges.begin();
        let actor = self.turn[(number - 1) % self.turn.len()];
        match self.factory.build(self.actors[actor].actor().cookies()) {
            Ok(client) => {
                gauges.enter();
                let back_off = BackOff::Wait { failures: 0 };
                let user = User::new(number, client, &self.plan, &self.shared, back_off);
                Some(Box::new(Present { user, actor, iterations: 0 }))
            }
            Err(error) => {
                gauges.lack_user(&error);
                self.leave();
                None
            }
        }
    }

    /// One iteration of a user; afterwards the user, unless it was its last.
    async fn act(&self, mut present: Box<Present>) -> Option<Box<Present>> {
        self.actors[present.actor].iterate(&mut present.user).await;
        present.iterations += 1;
        if self.iterations.is_none_or(|most| present.iterations < most) {
            return Some(present);
        }
        self.shared.gauges.leave();
        self.leave();
        None
    }

    /// One user less to wait for; with the last one the load has ended.
    fn leave(&self) {
        if self.left.fetch_add(1, Ordering::AcqRel) + 1 == self.users {
            self.shared.gauges.end_load();
            self.shared.stop.request(StopReason::Finished);
        }
    }
}

/// A user that has not left.
#[derive(Debug)]
struct Present {
    user: User,
    actor: usize,
    iterations: usize,
}

/// Where a user is kept between two of Goose's calls, which only lend a `&mut GooseUser`.
#[derive(Clone, Debug, Default)]
struct Seat(Arc<Mutex<Option<Box<Present>>>>);

impl Seat {
    fn take(&self) -> Option<Box<Present>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, present: Option<Box<Present>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = present;
    }
}

fn scenario(crew: &Arc<Crew>) -> Scenario {
    let transaction = |function: TransactionFunction| Transaction::new(function);
    let enter = Arc::clone(crew);
    let enter = transaction(Arc::new(move |goose: &mut GooseUser| {
        let seat = Seat::default();
        seat.put(enter.enter(goose.weighted_users_index + 1));
        goose.set_session_data(seat);
        Box::pin(async { Ok(()) })
    }));
    let act = Arc::clone(crew);
    let act = transaction(Arc::new(move |goose: &mut GooseUser| {
        let (crew, seat) = (Arc::clone(&act), goose.get_session_data::<Seat>().cloned());
        Box::pin(async move {
            let stop = &crew.shared.stop;
            match seat.filter(|_| !stop.is_requested()).and_then(|seat| Some((seat.take()?, seat))) {
                Some((present, seat)) => seat.put(crew.act(present).await),
                None => {
                    stop.requested().await;
                    // Goose calls until it has noticed that the load has ended.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Ok(())
        })
    }));
    let leave = Arc::clone(crew);
    let leave = transaction(Arc::new(move |goose: &mut GooseUser| {
        if goose.get_session_data::<Seat>().is_some_and(|seat| seat.take().is_some()) {
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
    // Goose starts users at a rate; all of them at once is one that is over before its first tick.
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
