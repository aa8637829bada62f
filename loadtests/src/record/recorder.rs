//! [`Recorder`]: where users write their samples.
//!
//! There is one shard for each worker thread, so that users seldom wait for one another. A shard's histograms are drained
//! once a second, so its memory depends on the number of endpoints and not of requests.

use std::{
    collections::HashMap,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    endpoint::{EndpointId, EndpointName},
    endpoint_tally::EndpointTally,
    failure::FailureKind,
    outcome::Outcome,
    sample::{Exhaustion, Sample},
};
use crate::lock::{lock, read, write};

/// Endpoints that are counted separately; further ones share one entry.
const MOST_ENDPOINTS: usize = 1000;

/// Requests that failed because this machine had run out of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExhaustionCounts {
    /// Of file descriptors.
    pub(crate) descriptors: u64,
    /// Of ports.
    pub(crate) ports: u64,
}

/// The shard that a user writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardId(usize);

/// Collects the samples of all users.
#[derive(Debug)]
pub(crate) struct Recorder {
    shards: Vec<Mutex<Vec<EndpointTally>>>,
    registry: RwLock<Registry>,
    /// False during the warm-up, whose requests are only counted.
    measuring: AtomicBool,
    warm_up: AtomicU64,
    /// The first failure of the warm-up, which is all there is to say if it never ends.
    warm_up_failure: Mutex<Option<FailureKind>>,
    /// Requests that got a response, of whatever status.
    answered: AtomicU64,
    /// Requests that got none because their connection failed.
    unanswered: AtomicU64,
    /// Requests that this machine could not send.
    no_descriptor: AtomicU64,
    no_port: AtomicU64,
    /// Redirects that were followed: requests to the server that are not samples.
    redirects: AtomicU64,
    /// Measured requests that were sent again.
    sent_again: AtomicU64,
}

#[derive(Debug, Default)]
struct Registry {
    names: Vec<EndpointName>,
    routes: Vec<String>,
    ids: HashMap<EndpointName, EndpointId>,
}

impl Recorder {
    /// A recorder with so many shards: one for each worker thread.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards.max(1)).map(|_| Mutex::default()).collect(),
            registry: RwLock::default(),
            measuring: AtomicBool::new(true),
            warm_up: AtomicU64::new(0),
            warm_up_failure: Mutex::default(),
            answered: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            no_descriptor: AtomicU64::new(0),
            no_port: AtomicU64::new(0),
            redirects: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
        }
    }

    /// Returns the shard of the `user`-th user.
    pub(crate) fn shard(&self, user: usize) -> ShardId {
        ShardId(user % self.shards.len())
    }

    /// Returns the endpoint of that name, which is registered at its first use; `route` is its path with placeholders in
    /// braces.
    ///
    /// Past 1,000 endpoints, further ones are counted as one: a scenario in code that puts ids into its names must not
    /// grow without bound.
    pub(crate) fn endpoint(&self, name: EndpointName, route: &str) -> EndpointId {
        if let Some(id) = read(&self.registry).ids.get(&name) {
            return *id;
        }
        let mut registry = write(&self.registry);
        let name = if registry.names.len() < MOST_ENDPOINTS { name } else { EndpointName::new("*", "other") };
        if let Some(id) = registry.ids.get(&name) {
            return *id;
        }
        let id = EndpointId(u32::try_from(registry.names.len()).expect("endpoints are bounded"));
        registry.names.push(name.clone());
        registry.routes.push(route.split('?').next().unwrap_or_default().to_owned());
        registry.ids.insert(name, id);
        id
    }

    /// Returns the names and routes of all endpoints, by id.
    pub(super) fn endpoints(&self) -> Vec<(EndpointName, String)> {
        let registry = read(&self.registry);
        registry.names.iter().cloned().zip(registry.routes.iter().cloned()).collect()
    }

    /// Records one finished request.
    pub(crate) fn record(&self, shard: ShardId, sample: Sample) {
        match (sample.exhausted, sample.outcome) {
            (Some(Exhaustion::Descriptors), _) => self.no_descriptor.fetch_add(1, Ordering::Relaxed),
            (Some(Exhaustion::Ports), _) => self.no_port.fetch_add(1, Ordering::Relaxed),
            // A response whose body broke off was an answer too.
            (None, _) if sample.status.is_some() => self.answered.fetch_add(1, Ordering::Relaxed),
            (None, Outcome::Broken) => self.unanswered.fetch_add(1, Ordering::Relaxed),
            (None, Outcome::Success | Outcome::Rejected | Outcome::TimedOut | Outcome::Cancelled | Outcome::Unsent) => {
                0
            }
        };
        if !self.measuring.load(Ordering::Relaxed) {
            self.warm_up.fetch_add(1, Ordering::Relaxed);
            if let Some((kind, _)) = sample.failure {
                lock(&self.warm_up_failure).get_or_insert(kind);
            }
            return;
        }
        let mut tallies = lock(&self.shards[shard.0]);
        let index = sample.endpoint.index();
        if tallies.len() <= index {
            tallies.resize_with(index + 1, EndpointTally::default);
        }
        tallies[index].record(sample);
    }

    /// Calls `take` with every tally that received samples since the last call, then clears it.
    pub(super) fn drain(&self, mut take: impl FnMut(EndpointId, &mut EndpointTally)) {
        for shard in &self.shards {
            for (index, tally) in lock(shard).iter_mut().enumerate() {
                if tally.count() > 0 {
                    take(EndpointId(u32::try_from(index).expect("endpoints are bounded")), tally);
                    tally.clear();
                }
            }
        }
    }

    /// Counts requests from now on as part of this phase.
    pub(crate) fn set_measuring(&self, phase: Phase) {
        self.measuring.store(phase == Phase::Measured, Ordering::Release);
    }

    /// Returns the phase that requests are counted in now.
    pub(crate) fn phase(&self) -> Phase {
        if self.measuring.load(Ordering::Acquire) { Phase::Measured } else { Phase::WarmUp }
    }

    /// Returns how many requests ended in the warm-up.
    pub(crate) fn warm_up(&self) -> u64 {
        self.warm_up.load(Ordering::Relaxed)
    }

    /// Returns the first failure of the warm-up.
    pub(crate) fn warm_up_failure(&self) -> Option<FailureKind> {
        lock(&self.warm_up_failure).clone()
    }

    /// Returns how many requests got a response.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns how many requests got none because their connection failed.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Returns how many requests this machine could not send.
    pub(crate) fn exhausted(&self) -> ExhaustionCounts {
        ExhaustionCounts {
            descriptors: self.no_descriptor.load(Ordering::Relaxed),
            ports: self.no_port.load(Ordering::Relaxed),
        }
    }

    /// Counts a redirect that is followed, which is a response too.
    pub(crate) fn count_redirect(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.redirects.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that is sent again, since the server had closed its connection while it was idle.
    pub(crate) fn count_sent_again(&self) {
        if self.measuring.load(Ordering::Relaxed) {
            self.sent_again.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many measured requests were sent again.
    pub(crate) fn sent_again(&self) -> u64 {
        self.sent_again.load(Ordering::Relaxed)
    }

    /// Returns how many redirects were followed.
    pub(crate) fn redirects(&self) -> u64 {
        self.redirects.load(Ordering::Relaxed)
    }
}

/// Whether requests are part of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Left out, but counted.
    WarmUp,
    /// Part of the result.
    Measured,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Tally;

    fn sample(endpoint: EndpointId, outcome: Outcome) -> Sample {
        Sample {
            endpoint,
            outcome,
            latency: Duration::from_millis(3),
            service: None,
            first_byte: Some(Duration::from_millis(2)),
            status: Some(200),
            bytes: 10,
            decoded_bytes: None,
            after_end: false,
            never_sent: false,
            exhausted: None,
            failure: None,
        }
    }

    #[test]
    fn every_sample_is_in_one_outcome_of_one_endpoint() {
        let recorder = Recorder::new(3);
        let a = recorder.endpoint(EndpointName::new("GET", "/a"), "/a");
        let b = recorder.endpoint(EndpointName::new("GET", "/b"), "/b");
        assert_eq!(recorder.endpoint(EndpointName::new("GET", "/a"), "/a"), a);
        let mut tally = Tally::default();
        for user in 0..90 {
            let outcome = Outcome::ALL[user % Outcome::ALL.len()];
            recorder.record(recorder.shard(user), sample(if user % 3 == 0 { a } else { b }, outcome));
            if user == 40 {
                tally.drain(&recorder, 1.0, 1.0);
            }
        }
        tally.drain(&recorder, 2.0, 1.0);
        assert_eq!(tally.total().count(), 90);
        assert_eq!(tally.endpoints()[a.index()].tally.count(), 30);
        for outcome in Outcome::ALL {
            assert_eq!(tally.total().of(outcome), 15);
        }
    }

    #[test]
    fn only_an_unwanted_4xx_is_refused() {
        let recorder = Recorder::new(1);
        let a = recorder.endpoint(EndpointName::new("GET", "/a"), "/a");
        let cases =
            [(Outcome::Rejected, 429), (Outcome::Success, 401), (Outcome::Rejected, 200), (Outcome::Broken, 404)];
        for (outcome, status) in cases {
            recorder.record(recorder.shard(0), Sample { status: Some(status), ..sample(a, outcome) });
        }
        let mut tally = Tally::default();
        tally.drain(&recorder, 1.0, 1.0);
        assert_eq!((tally.total().refused(), tally.total().failed()), (1, 3));
    }

    #[test]
    fn warm_up_is_counted_and_left_out() {
        let recorder = Recorder::new(1);
        let a = recorder.endpoint(EndpointName::new("GET", "/a"), "/a");
        recorder.set_measuring(Phase::WarmUp);
        recorder.record(recorder.shard(0), sample(a, Outcome::Success));
        recorder.set_measuring(Phase::Measured);
        recorder.record(recorder.shard(0), sample(a, Outcome::Success));
        let mut tally = Tally::default();
        tally.drain(&recorder, 1.0, 1.0);
        assert_eq!((recorder.warm_up(), tally.total().count()), (1, 1));
    }

    #[test]
    fn endpoints_are_bounded() {
        let recorder = Recorder::new(1);
        for n in 0..3000 {
            recorder.endpoint(EndpointName::new("GET", format!("/{n}")), "/");
        }
        assert_eq!(recorder.endpoints().len(), MOST_ENDPOINTS + 1);
    }
}
