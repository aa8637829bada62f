//! The state that all users of a run share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    connections::AllConnections,
    gauges::{Arrivals, Gauges, MissingUsers},
    stop::{Stop, StopReason},
};
use crate::record::{EndpointTally, ExhaustionCounts, Outage, OutageWatch, Outcome, Phase, Recorder, Usual};

/// Five failed connections before any response are more than chance.
const UNREACHABLE_AFTER: u64 = 5;
/// A service that is just starting, or a proxy before it, may drop requests for a moment.
const STARTING_TIME: Duration = Duration::from_secs(1);

/// Where users record, when they stop, and what is going on. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct RunState {
    /// Where samples go.
    pub(crate) recorder: Arc<Recorder>,
    /// When to end.
    pub(crate) stop: Stop,
    /// What is going on.
    pub(crate) gauges: Arc<Gauges>,
    /// When nothing succeeded.
    pub(super) outages: Arc<OutageWatch>,
    pub(super) connections: Arc<AllConnections>,
}

impl RunState {
    /// Returns the state of a run that has not begun. One shard a thread keeps users from waiting for each other.
    pub(crate) fn new(shards: usize, stop: Stop) -> Self {
        Self {
            recorder: Arc::new(Recorder::new(shards)),
            stop,
            gauges: Arc::default(),
            outages: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// Whether there was no response and none can be expected.
    ///
    /// Enough connections must have failed, for long enough that the target was not just starting, and no request may
    /// still be waiting: a target that is slow to answer is not unreachable.
    pub(super) fn is_hopeless(&self) -> bool {
        self.has_only_failed()
            && self.gauges.begun().is_some_and(|begun| begun.elapsed() >= STARTING_TIME)
            && !self.connections.is_waiting()
    }

    fn has_only_failed(&self) -> bool {
        self.recorder.answered() == 0 && self.recorder.unanswered() >= UNREACHABLE_AFTER
    }

    /// Returns why the run ended. Called once every request has ended.
    pub(super) fn conclude(&self) -> StopReason {
        match self.stop.reason() {
            Some(StopReason::Interrupted) => StopReason::Interrupted,
            // A request that was in flight at the stop may have been answered since; and a short run may end before
            // anyone asked whether it was hopeless.
            Some(StopReason::Unreachable | StopReason::Finished) | None if self.has_only_failed() => {
                StopReason::Unreachable
            }
            Some(StopReason::Unreachable | StopReason::Finished) | None => StopReason::Finished,
        }
    }

    /// Records how a request ended, and when it was sent and ended; nothing before measuring has begun.
    pub(super) fn note_outcome(&self, outcome: Outcome, under_way: (Instant, Instant)) {
        if self.recorder.phase() == Phase::Measured
            && let Some(start) = self.gauges.measured_since()
        {
            self.outages.note(outcome, under_way, start);
        }
    }

    /// Returns for how long nothing has succeeded, if that is an outage.
    pub(crate) fn current_outage(&self, total: &EndpointTally) -> Option<Duration> {
        self.outages.current(usual(total, self.gauges.measured_since()?, Instant::now()))
    }

    /// Returns the outages of a run, each with its start since measuring began.
    pub(crate) fn outages(&self, total: &EndpointTally) -> Vec<(Duration, Outage)> {
        let Some(start) = self.gauges.measured_since() else { return Vec::new() };
        let outages = self.outages.outages(usual(total, start, start + self.measured_for()));
        outages.into_iter().map(|outage| (outage.from.saturating_duration_since(start), outage)).collect()
    }

    /// Returns how long was measured, up to now or to the end of the load; nothing of a run that ended in its warm-up.
    pub(crate) fn measured_for(&self) -> Duration {
        match self.recorder.phase() {
            Phase::WarmUp => Duration::ZERO,
            Phase::Measured => self.gauges.measured_for(),
        }
    }

    /// Returns what kept the generator itself from sending the load; an iteration is late `late_after` it was due.
    pub(crate) fn hindrances(&self, late_after: Duration) -> Hindrances {
        Hindrances {
            arrivals: self.gauges.arrivals(late_after),
            late_after,
            missing_users: self.gauges.missing_users(),
            exhausted: self.recorder.exhausted(),
        }
    }
}

fn usual(total: &EndpointTally, start: Instant, end: Instant) -> Usual {
    let median = total.latency(Outcome::Success).and_then(|latency| latency.quantile_seconds(0.5)).unwrap_or(0.0);
    Usual { start, end, successes: total.of(Outcome::Success), median }
}

/// Problems of the load generator that the engine noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hindrances {
    /// In an open model, what became of the scheduled iterations.
    pub(crate) arrivals: Option<Arrivals>,
    /// How long a delay of the generator's own is nothing beside the latencies.
    pub(crate) late_after: Duration,
    /// Users for which the system gave no client.
    pub(crate) missing_users: Option<MissingUsers>,
    /// Requests for which this machine had no connection left.
    pub(crate) exhausted: ExhaustionCounts,
}
