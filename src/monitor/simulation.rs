//! [`Simulation`]: a monitor whose time is set from outside.
//!
//! It has the parts that a service's monitor has, wired by the same [`Core`], and none of its threads and tasks: nothing happens
//! between two calls of [`Simulation::tick`], so that rules are judged on traffic that is made up exactly as in a service.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Judgement,
    clock::WallClock,
    config::Config,
    core::{Core, Parts},
    handle::JUDGE_EVERY,
};
use crate::{
    analysis::VersionSnapshot,
    context::{Instruments, Limits, labelled, methods::KnownMethods},
    lock::lock,
    names,
    rules::{RuleSet, latencies},
    sample::WatchedPools,
    store::MonitorRecorder,
};

/// Most series that a simulation keeps: more than any description of traffic has.
const MAX_SERIES: usize = 100_000;

/// Series of a simulation that is past its limit: more than what is folded into `other` needs.
const FEW_SERIES: usize = 500;

/// When a simulation begins, since the Unix epoch: on Monday, 1 January 2024, at 00:00 UTC. What depends on the day of the week then
/// does so in the same way each time.
const BEGINNING: Duration = Duration::from_secs(1_704_067_200);

/// What the version before and this one are called.
const PREVIOUS: &str = "before";
const VERSION: &str = "now";

/// A monitor that is driven by hand.
#[derive(Debug)]
pub(crate) struct Simulation {
    core: Core,
    /// The version of the service before, where there was one.
    previous: Option<VersionSnapshot>,
    /// When it was last compared with.
    compared: Mutex<Duration>,
}

impl Simulation {
    /// Returns a monitor that judges by `rules` and has measured nothing.
    pub(crate) fn new(rules: RuleSet) -> Self {
        Self::with(rules, Config { max_series: MAX_SERIES, ..Config::default() })
    }

    /// Returns one that has as many series and statements as it may have: what is new to it counts as `other`.
    pub(crate) fn past_its_limit(rules: RuleSet) -> Self {
        let config = Config { max_series: FEW_SERIES, max_fingerprints: 0, ..Config::default() };
        let simulation = Self::with(rules, config);
        let recorder = simulation.recorder();
        for number in 0..FEW_SERIES {
            let of_route = [(names::METHOD, "GET".into()), (names::ROUTE, format!("/{number}").into())];
            drop(labelled::histogram(recorder, &names::HTTP_DURATION, &of_route));
            // Series of the windows alone have places of their own.
            drop(labelled::counter(recorder, &names::ENDPOINT_PART_NANOS, &of_route));
        }
        simulation
    }

    fn with(rules: RuleSet, config: Config) -> Self {
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
        let core = Core::new(Parts { instruments, recorder, config, rules, pools, started, clock });
        Self { core, previous: None, compared: Mutex::default() }
    }

    /// Returns it as a version of the service that follows the one that `before` has simulated up to `age`.
    pub(crate) fn after(self, before: &Self, age: Duration) -> Self {
        let now = before.started() + age;
        let written_at = Timestamp::try_from(SystemTime::UNIX_EPOCH + before.core.wall(now)).unwrap_or_default();
        let previous = VersionSnapshot::new("", PREVIOUS, written_at.to_string(), latencies(&before.core.total(now)));
        Self { previous: previous.ok(), ..self }
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
        let now = self.core.started() + age;
        self.core.tick(now);
        if let Some(previous) = &self.previous {
            let mut compared = lock(&self.compared);
            if age >= *compared + JUDGE_EVERY {
                *compared = age;
                self.core.compare_with(previous, VERSION, now);
            }
        }
        self.core.judgement()
    }
}
