//! Sends the load.
//!
//! The closed model runs on Goose: it starts the users and lets them do one iteration after another, and no type of Goose
//! leaves this module. The open model sends at fixed times whatever the answers do. Both run the same iterations, and
//! every request goes through [`user::User::call`], which reads the body to its end and records exactly one sample.

mod actor;
mod client;
mod closed;
mod connections;
#[cfg(test)]
mod fixture;
mod gauges;
mod mix;
mod open;
mod pace;
mod reply;
mod sequential;
mod stop;
mod user;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::HeaderMap;
use thiserror::Error;

pub(crate) use actor::Actor;
pub(crate) use client::{ClientError, ClientSettings, Redirects};
pub(crate) use gauges::{Arrivals, Gauges, MissingUsers};
pub use reply::{Call, Reply};
pub(crate) use sequential::profile;
pub(crate) use stop::{Stop, StopReason};
pub use user::{Failed, Iteration, User};
pub(crate) use user::{explain, hint_for};

use crate::record::{ExhaustionCounts, Phase, Recorder};
use client::ClientFactory;
use connections::AllConnections;

/// How requests follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Model {
    /// A number of users, each of which waits for its answer before it goes on.
    Closed {
        /// How many.
        users: usize,
        /// Over how long they are started.
        ramp_up: Duration,
        /// After how many iterations each one ends; without, when the duration is over.
        iterations: Option<usize>,
    },
    /// Iterations that start at fixed times.
    Open {
        /// Iterations a second.
        rate: f64,
        /// Over how long the rate grows from 0 to its value.
        ramp_up: Duration,
        /// Most iterations at the same time; further ones wait, and are late.
        most_in_flight: usize,
    },
}

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    /// What users do.
    pub(crate) actors: Vec<Actor>,
    /// Where requests go.
    pub(crate) base: Url,
    /// How they follow one another.
    pub(crate) model: Model,
    /// How long the load is held once it has been reached; without, until every user has done its iterations.
    pub(crate) duration: Option<Duration>,
    /// At its start, how long requests are left out of the result.
    pub(crate) warm_up: Duration,
    /// How long requests in flight at the end may take before they are given up.
    pub(crate) grace: Duration,
    /// How connections are made.
    pub(crate) client: ClientSettings,
    /// Headers of every request, unless a step says otherwise.
    pub(crate) headers: HeaderMap,
    /// Longest time to the last byte of a response.
    pub(crate) timeout: Duration,
}

impl LoadPlan {
    /// What to say if its users are too few to be divided by the weights of its scenarios.
    pub(crate) fn describe_mix(&self) -> Option<String> {
        let Model::Closed { users, .. } = self.model else { return None };
        let kinds: Vec<(&str, usize)> = self.actors.iter().map(|actor| (actor.name(), actor.weight())).collect();
        mix::describe_mix(users, &kinds)
    }
}

/// What users share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Where samples go.
    pub(crate) recorder: Arc<Recorder>,
    /// When to end.
    pub(crate) stop: Stop,
    /// What is going on.
    pub(crate) gauges: Arc<Gauges>,
    /// Whether the target is there.
    all_connections: Arc<AllConnections>,
}

impl Shared {
    /// Shared state of a run that has not begun.
    pub(crate) fn new(shards: usize, stop: Stop) -> Self {
        Self {
            recorder: Arc::new(Recorder::new(shards)),
            stop,
            gauges: Arc::default(),
            all_connections: Arc::default(),
        }
    }

    /// Whether there was no response, and none is to be expected: enough connections have failed, for long enough that the
    /// target was not just starting, and no request is waiting for its answer.
    fn is_hopeless(&self) -> bool {
        self.has_only_failed()
            && self.gauges.begun().is_some_and(|begun| begun.elapsed() >= HOPE)
            && !self.all_connections.is_waiting()
    }

    fn has_only_failed(&self) -> bool {
        self.recorder.answered() == 0 && self.recorder.unanswered() >= UNREACHABLE_AFTER
    }

    /// Why the run ended, when every request has.
    fn conclude(&self) -> StopReason {
        match self.stop.reason() {
            Some(StopReason::Interrupted) => StopReason::Interrupted,
            // What was in flight when hope was lost may have been answered; and a short run may end before that.
            Some(StopReason::Unreachable | StopReason::Finished) | None if self.has_only_failed() => {
                StopReason::Unreachable
            }
            Some(StopReason::Unreachable | StopReason::Finished) | None => StopReason::Finished,
        }
    }

    /// What kept the generator itself from sending the load.
    pub(crate) fn hindrances(&self) -> Hindrances {
        Hindrances {
            arrivals: self.gauges.arrivals(),
            lacking: self.gauges.lacking(),
            exhausted: self.recorder.exhausted(),
        }
    }
}

/// Troubles of the generator's own, as far as the engine knows of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hindrances {
    /// Open model: what became of what was scheduled.
    pub(crate) arrivals: Option<Arrivals>,
    /// Users that could not be made.
    pub(crate) lacking: Option<MissingUsers>,
    /// Requests for which this machine had no connection left.
    pub(crate) exhausted: ExhaustionCounts,
}

/// How a run went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEnd {
    /// Why it ended.
    pub(crate) reason: StopReason,
    /// From the first user's start to the end of the load, or to the last response if that came later.
    pub(crate) elapsed: Duration,
}

/// A run that could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum EngineError {
    /// No HTTP client.
    #[error("cannot set up the HTTP client")]
    Client(#[from] ClientError),
    /// Goose refused its configuration.
    #[error("Goose refused to run: {0}")]
    Goose(String),
    /// The system gives no thread.
    #[error("cannot start the thread that keeps the rate")]
    Thread(#[source] std::io::Error),
}

/// Sends the load of a plan and returns when every request has ended.
pub(crate) async fn run(plan: &LoadPlan, shared: &Shared) -> Result<RunEnd, EngineError> {
    let factory = ClientFactory::new(plan, shared);
    if !plan.warm_up.is_zero() {
        // Before there is a user: its first request must not be measured.
        shared.recorder.set_measuring(Phase::WarmUp);
    }
    match plan.model {
        Model::Closed { users, ramp_up, iterations } => {
            closed::run(plan, shared, factory, users, ramp_up, iterations).await
        }
        Model::Open { rate, ramp_up, most_in_flight } => {
            open::run(plan, shared, factory, pace::Pace::new(rate, ramp_up), most_in_flight).await
        }
    }
}

/// Waits for the end of the load, then gives requests in flight their grace.
///
/// `begun` tells when the load began; the future never ends by itself before the grace is over.
async fn keep_time(plan: &LoadPlan, shared: &Shared, ramp_up: Duration, begun: Instant) {
    if shared.recorder.phase() == Phase::WarmUp {
        tokio::select! {
            () = tokio::time::sleep_until((begun + plan.warm_up).into()) => {}
            () = shared.stop.requested() => {}
        }
        // In this order: whoever sees that it is measured sees since when.
        shared.gauges.begin_measuring();
        shared.recorder.set_measuring(Phase::Measured);
    }
    match plan.duration {
        Some(duration) => tokio::select! {
            () = tokio::time::sleep_until((begun + ramp_up + plan.warm_up + duration).into()) => {
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

/// So many connections failing before any response came are no accident.
const UNREACHABLE_AFTER: u64 = 5;
/// A service that is just starting, or a proxy before it, may drop requests for a moment.
const HOPE: Duration = Duration::from_secs(1);
