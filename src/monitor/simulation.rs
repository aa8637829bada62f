//! [`Simulation`]: a monitor whose time is set from outside.
//!
//! It has the parts that a service's monitor has, wired by the same [`Core`], and none of its threads and tasks: nothing happens
//! between two calls of [`Simulation::tick`], so that rules are judged on traffic that is made up exactly as in a service.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Judgement,
    clock::WallClock,
    config::Config,
    core::{Core, Parts},
};
use crate::{
    context::{Instruments, Limits, methods::KnownMethods},
    rules::RuleSet,
    sample::WatchedPools,
    store::MonitorRecorder,
};

/// Most series that a simulation keeps: more than any description of traffic has.
const MAX_SERIES: usize = 100_000;

/// When a simulation begins, since the Unix epoch: on Monday, 1 January 2024, at 00:00 UTC. What depends on the day of the week then
/// does so in the same way each time.
const BEGINNING: Duration = Duration::from_secs(1_704_067_200);

/// A monitor that is driven by hand.
#[derive(Debug)]
pub(crate) struct Simulation {
    core: Core,
}

impl Simulation {
    /// Returns a monitor that judges by `rules` and has measured nothing.
    pub(crate) fn new(rules: RuleSet) -> Self {
        let config = Config { max_series: MAX_SERIES, ..Config::default() };
        let recorder = MonitorRecorder::new(config.max_series, rules.duration_thresholds())
            .with_max_pairs(config.max_pairs)
            .with_tallies();
        let limits = Limits {
            routes: config.max_series,
            fingerprints: config.max_fingerprints,
            slow_requests: 0,
            ignored: Vec::new(),
            database: config.database.clone(),
            methods: KnownMethods::default(),
            scheme: config.url_scheme,
        };
        let shared = Arc::new(recorder.clone());
        let instruments = Instruments::new(shared.clone(), shared, limits, Box::new(|| 0.0));
        let pools = WatchedPools::new(instruments.clone());
        let started = Instant::now();
        let clock = WallClock::made_up(started, BEGINNING);
        Self { core: Core::new(Parts { instruments, recorder, config, rules, pools, started, clock }) }
    }

    /// Returns when it began.
    pub(crate) fn started(&self) -> Instant {
        self.core.started()
    }

    /// Returns what traffic is recorded through.
    pub(crate) fn recorder(&self) -> &MonitorRecorder {
        self.core.recorder()
    }

    /// Returns what statements and tasks are recorded through.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        self.core.instruments()
    }

    /// Takes what was recorded since the last tick, judges it as the service's loop does, and returns what it found.
    pub(crate) fn tick(&self, age: Duration) -> Arc<Judgement> {
        self.core.tick(self.core.started() + age);
        self.core.judgement()
    }
}
