//! What a run sends, where to, and how much of it.

use std::{sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderMap};

use super::{actor::Actor, client::ClientSettings, mix::describe_mix, seed::Seed, user::RequestSettings};

/// How requests follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Model {
    /// A number of users, each of which waits for a response before it goes on.
    Closed {
        /// How many.
        users: usize,
        /// The time over which they are started.
        ramp_up: Duration,
        /// After how many iterations each user ends; `None` for when the duration is over.
        iterations: Option<usize>,
    },
    /// Iterations that start at fixed times.
    Open {
        /// Iterations a second.
        rate: f64,
        /// The time over which the rate grows from 0 to its value.
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
    /// How requests follow one another.
    pub(crate) model: Model,
    /// How long the load is held once it has been reached; `None` for until every user has done its iterations.
    pub(crate) duration: Option<Duration>,
    /// For how long from the start requests are left out of the result, at least until the ramp-up is over; 0 for not at all.
    pub(crate) warm_up: Duration,
    /// How long requests in flight at the end may take before they are given up.
    pub(crate) grace: Duration,
    /// How connections are made.
    pub(crate) client: ClientSettings,
    /// Headers of every request; a step's own header of that name replaces them.
    pub(crate) headers: HeaderMap,
    /// Longest time to the last byte of a response.
    pub(crate) timeout: Duration,
    /// What everything random depends on.
    pub(crate) seed: Seed,
}

impl LoadPlan {
    /// Returns what all requests of its next run have in common.
    pub(super) fn request_settings(&self) -> RequestSettings {
        RequestSettings {
            base: Arc::new(self.base.clone()),
            headers: Arc::new(self.headers.clone()),
            timeout: self.timeout,
            gzip: self.client.gzip,
            seed: self.seed.next_run(),
        }
    }

    /// The time over which the load is reached.
    pub(crate) fn ramp_up(&self) -> Duration {
        match self.model {
            Model::Closed { ramp_up, .. } | Model::Open { ramp_up, .. } => ramp_up,
        }
    }

    /// Returns how long the load lasts: until its end it is held for its duration, of which a warm-up is a part. `None`
    /// without a limit of time.
    pub(crate) fn length(&self) -> Option<Duration> {
        self.duration.map(|duration| self.ramp_up() + duration)
    }

    /// Returns how long after the start measuring begins. A warm-up ends after the ramp-up: users that are still being
    /// started are not the load that is asked about.
    pub(crate) fn measured_from(&self) -> Duration {
        if self.warm_up.is_zero() { Duration::ZERO } else { self.warm_up.max(self.ramp_up()) }
    }

    /// Returns a sentence for plans with too few users to divide them by the weights of the scenarios.
    pub(crate) fn describe_mix(&self) -> Option<String> {
        let Model::Closed { users, .. } = self.model else { return None };
        let kinds: Vec<(&str, usize)> = self.actors.iter().map(|actor| (actor.name(), actor.weight())).collect();
        describe_mix(users, &kinds)
    }
}
