//! The open model: iterations start when they are due, whatever the responses do.
//!
//! A thread of its own keeps the time, since the runtime's timers are a millisecond coarse and wait behind the users' work.
//! An iteration that finds no free user waits in a queue and is late; its latency counts from when it was due. One that
//! waits longer than the timeout is dropped and counted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Notify};

use super::{
    actor::{Actor, ReadyActor},
    client::{ClientFactory, UserClient},
    error::EngineError,
    lateness::LateCause,
    load_plan::LoadPlan,
    mix::interleave,
    pace::Pace,
    phases::run_phases,
    run_state::RunState,
    stop::RunEnd,
    user::{BackOff, RequestSettings, User},
};
use crate::lock::lock;

/// Users are made beforehand for the iterations of this long.
const WARMED: Duration = Duration::from_millis(100);
/// Building a client takes up to 10 ms, so that more of them would delay the start by seconds.
const MOST_WARMED: usize = 200;

/// Sends an open load and returns when every iteration has ended.
pub(super) async fn run(
    plan: &LoadPlan,
    shared: &RunState,
    factory: ClientFactory,
    pace: Pace,
    most_in_flight: usize,
) -> Result<RunEnd, EngineError> {
    factory.build(false)?;
    let actors: Vec<_> = plan.actors.iter().map(|actor| Arc::new(actor.ready(&plan.base, &shared.recorder))).collect();
    let weights: Vec<usize> = plan.actors.iter().map(Actor::weight).collect();
    let pool = Arc::new(UserPool {
        clients: {
            let cookies: Vec<bool> = plan.actors.iter().map(Actor::cookies).collect();
            let gauges = Arc::clone(&shared.gauges);
            Box::new(move |actor| factory.build(cookies[actor]).map_err(|error| gauges.count_missing_user(&error)).ok())
        },
        actors,
        actor_order: interleave(&weights),
        plan: plan.clone(),
        settings: plan.request_settings(),
        shared: shared.clone(),
        most_in_flight,
        first_counted: pace.before(plan.measured_from()),
        state: Mutex::default(),
        idle: Notify::new(),
    });
    pool.warm(pace);
    let begun = shared.gauges.begin();
    let keeper = std::thread::Builder::new()
        .name("pace".to_owned())
        .spawn({
            let (pool, handle) = (Arc::clone(&pool), Handle::current());
            move || keep_pace(&pool, &handle, pace, begun)
        })
        .map_err(EngineError::Thread)?;
    tokio::select! {
        () = run_phases(plan, shared, begun) => {}
        () = pool.all_done() => {}
    }
    // Requests that were given up end at once; their users only have to notice.
    pool.all_done().await;
    _ = keeper.join();
    Ok(RunEnd { reason: shared.conclude(), elapsed: shared.measured_for() })
}

/// The users of a run, and the iterations that wait for one.
struct UserPool {
    actors: Vec<Arc<ReadyActor>>,
    /// The index of each iteration's actor, repeated to the end.
    actor_order: Vec<usize>,
    plan: LoadPlan,
    settings: RequestSettings,
    shared: RunState,
    /// Builds a client for a user of that actor. The settings were tried before the run, so a failure means that the
    /// system has no descriptor left.
    clients: Box<dyn Fn(usize) -> Option<UserClient> + Send + Sync>,
    most_in_flight: usize,
    /// The number of the first iteration that is due after the warm-up; those before it are not counted.
    first_counted: u64,
    state: Mutex<PoolState>,
    idle: Notify,
}

#[derive(Default)]
struct PoolState {
    /// Free users by actor. The one that was busy last is on top, since its connection is the least likely to have been
    /// closed.
    free: Vec<Vec<User>>,
    waiting: VecDeque<Arrival>,
    busy: usize,
    made: usize,
}

struct Arrival {
    /// The number of its iteration, from 0.
    number: u64,
    due: Instant,
    actor: usize,
    /// Whether it had to wait for a user.
    queued: bool,
}

impl UserPool {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        lock(&self.state)
    }

    /// Starts the `n`-th iteration, or queues it.
    fn arrive(self: &Arc<Self>, handle: &Handle, due: Instant, n: u64) {
        if n >= self.first_counted {
            self.shared.gauges.schedule();
        }
        let actor = self.actor_order[(n % self.actor_order.len() as u64) as usize];
        let mut state = self.lock();
        if state.busy >= self.most_in_flight {
            state.waiting.push_back(Arrival { number: n, due, actor, queued: true });
            return;
        }
        state.busy += 1;
        self.shared.gauges.enter();
        drop(state);
        let (pool, arrival) = (Arc::clone(self), Arrival { number: n, due, actor, queued: false });
        // Making a new user takes longer than the time between two iterations, and the next one must not wait for it.
        handle.spawn(async move {
            if let Some((user, arrival)) = pool.with_user(arrival) {
                pool.serve(user, arrival).await;
            }
        });
    }

    /// Returns a user for an iteration. If the system gives none, drops it and tries the next iteration in the queue.
    fn with_user(&self, mut arrival: Arrival) -> Option<(User, Arrival)> {
        loop {
            if let Some(user) = self.user(arrival.actor) {
                return Some((user, arrival));
            }
            self.drop_arrival(arrival.number);
            arrival = self.next_waiting()?;
        }
    }

    /// Makes users before the clock runs: building a client takes longer than a fast request.
    fn warm(&self, pace: Pace) {
        self.lock().free.resize_with(self.actors.len(), Vec::new);
        for n in 0..pace.per(WARMED).clamp(1, self.most_in_flight.min(MOST_WARMED)) {
            let actor = self.actor_order[n % self.actor_order.len()];
            if let Some(user) = self.new_user(actor) {
                self.lock().free[actor].push(user);
            }
        }
    }

    /// Returns a free user of that kind, or a new one.
    fn user(&self, actor: usize) -> Option<User> {
        let free = self.lock().free[actor].pop();
        free.or_else(|| self.new_user(actor))
    }

    /// Makes a user; `None` if the system gives no client.
    fn new_user(&self, actor: usize) -> Option<User> {
        let number = {
            let mut state = self.lock();
            state.made += 1;
            state.made
        };
        let client = (self.clients)(actor)?;
        Some(User::new(number, client, &self.settings, &self.shared, BackOff::Never))
    }

    /// Does an iteration, then those that wait in the queue.
    async fn serve(self: Arc<Self>, mut user: User, mut arrival: Arrival) {
        loop {
            let cause = if arrival.queued { LateCause::Target } else { LateCause::Generator };
            if arrival.number >= self.first_counted {
                self.shared.gauges.begin_late(cause, arrival.due.elapsed());
            }
            user.set_due(arrival.due, arrival.number);
            self.actors[arrival.actor].iterate(&mut user).await;
            if !user.has_sent() {
                // The end was requested before its first request, or its steps lack a value.
                self.drop_arrival(arrival.number);
            }
            // A user goes back to its own kind: its logins and cookies belong to it.
            self.lock().free[arrival.actor].push(user);
            let next = self.next_waiting().and_then(|next| self.with_user(next));
            let Some(next) = next else { return };
            (user, arrival) = next;
        }
    }

    /// Returns the next iteration in the queue that is still worth starting. Without one, counts a busy user less.
    fn next_waiting(&self) -> Option<Arrival> {
        // Both under one lock: an iteration that was queued in between would never be started.
        let mut state = self.lock();
        while let Some(arrival) = state.waiting.pop_front() {
            if !self.shared.stop.is_requested() && arrival.due.elapsed() <= self.plan.timeout {
                return Some(arrival);
            }
            self.drop_arrival(arrival.number);
        }
        state.busy -= 1;
        self.shared.gauges.leave();
        if state.busy == 0 {
            self.idle.notify_waiters();
        }
        None
    }

    /// Counts an iteration that sends nothing.
    fn drop_arrival(&self, number: u64) {
        if number >= self.first_counted {
            self.shared.gauges.drop_arrival();
        }
    }

    async fn all_done(&self) {
        self.shared.stop.requested().await;
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            {
                let mut state = self.lock();
                if state.busy == 0 {
                    for arrival in state.waiting.drain(..) {
                        self.drop_arrival(arrival.number);
                    }
                    return;
                }
            }
            idle.await;
        }
    }
}

/// Starts iterations when they are due until the end of the load, and counts those that it was too slow for.
fn keep_pace(pool: &Arc<UserPool>, handle: &Handle, pace: Pace, begun: Instant) {
    let all = pool.plan.length().map_or(u64::MAX, |length| pace.before(length));
    for n in 0..all {
        let due = begun + pace.due(n);
        loop {
            if pool.shared.stop.is_requested() {
                let due_by_now = pace.before(begun.elapsed()).min(all);
                pool.shared.gauges.miss(due_by_now.saturating_sub(n.max(pool.first_counted)));
                return;
            }
            let Some(wait) = due.checked_duration_since(Instant::now()) else { break };
            // In short naps, so that a slow rate does not outlive the end of the test.
            std::thread::sleep(wait.min(Duration::from_millis(20)));
        }
        pool.arrive(handle, due, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            Actor, Model, Stop, StopReason,
            fixture::{client, plan, server},
        },
        record::Tally,
    };

    /// A pool whose users send one request an iteration, with clients from `clients`.
    async fn pool(clients: impl Fn(usize) -> Option<UserClient> + Send + Sync + 'static) -> Arc<UserPool> {
        let model = Model::Open { rate: 10.0, ramp_up: Duration::ZERO, most_in_flight: 1 };
        let plan = plan(&server().await, Actor::from_code("get", 1, Box::new(|user| Box::pin(get(user)))), model);
        let shared = RunState::new(1, Stop::default());
        let actors = plan.actors.iter().map(|actor| Arc::new(actor.ready(&plan.base, &shared.recorder))).collect();
        let state = PoolState { free: vec![Vec::new()], ..PoolState::default() };
        Arc::new(UserPool {
            actors,
            actor_order: vec![0],
            settings: plan.request_settings(),
            plan,
            shared,
            clients: Box::new(clients),
            most_in_flight: 1,
            first_counted: 0,
            state: Mutex::new(state),
            idle: Notify::new(),
        })
    }

    async fn get(user: &mut User) -> crate::engine::Iteration {
        user.get("/").await.map(|_| ())
    }

    #[tokio::test]
    async fn an_iteration_that_the_end_forestalls_is_dropped_and_not_sent() {
        let pool = pool(|_| Some(client())).await;
        let due = Instant::now();
        pool.arrive(&Handle::current(), due, 0);
        // One finds a user whose task has not begun, the other waits for it.
        pool.arrive(&Handle::current(), due, 1);
        pool.shared.stop.request(StopReason::Finished);
        tokio::time::timeout(Duration::from_secs(5), pool.all_done()).await.unwrap();
        let mut tally = Tally::default();
        tally.drain(&pool.shared.recorder, 1.0, 1.0);
        let arrivals = pool.shared.gauges.arrivals(Duration::ZERO).unwrap();
        assert_eq!((arrivals.scheduled, arrivals.sent(), tally.total().count()), (2, 0, 0));
        assert_eq!(pool.shared.gauges.active(), 0);
    }

    #[tokio::test]
    async fn a_user_that_cannot_be_made_does_not_keep_the_end_waiting() {
        let pool = pool(|_| None).await;
        let ending = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.all_done().await }
        });
        pool.lock().busy = 1;
        pool.shared.gauges.enter();
        pool.shared.stop.request(StopReason::Finished);
        // The end begins to wait while a user is being made.
        tokio::task::yield_now().await;
        let arrival = Arrival { number: 0, due: Instant::now(), actor: 0, queued: false };
        pool.shared.gauges.schedule();
        assert!(pool.with_user(arrival).is_none());
        tokio::time::timeout(Duration::from_secs(5), ending).await.unwrap().unwrap();
        let arrivals = pool.shared.gauges.arrivals(Duration::ZERO).unwrap();
        assert_eq!((arrivals.sent(), pool.shared.gauges.active()), (0, 0));
    }
}
