//! [`WatchedPools`]: pools of connections become gauges.
//!
//! The monitor knows no pool: a host's function reads each, on the monitor's sampling thread. The invariant that a change could
//! break: no lock is held while a host's function runs, so that one which hangs keeps nobody from watching another pool.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
};

use metrics::Gauge;

use super::Sampler;
use crate::{
    context::{Instruments, labelled},
    lock::lock,
    names,
};

/// What a pool of connections says of itself, for [`Monitor::watch_pool`](crate::Monitor::watch_pool).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolState {
    size: usize,
    idle: usize,
    max: Option<usize>,
    pending: Option<usize>,
}

impl PoolState {
    /// Takes how many connections are open, and how many of these are idle. The others are in use.
    pub fn new(size: usize, idle: usize) -> Self {
        Self { size, idle, max: None, pending: None }
    }

    /// Says how many connections may be open.
    pub fn max(self, connections: usize) -> Self {
        Self { max: Some(connections), ..self }
    }

    /// Says how many requests wait for a connection. Where waits for the pool are tracked under its name, they are counted
    /// instead, to the moment.
    pub fn pending(self, requests: usize) -> Self {
        Self { pending: Some(requests), ..self }
    }
}

/// Reads a pool; `None` once it is gone.
type ReadPool = Box<dyn FnMut() -> Option<PoolState> + Send>;

/// A pool that is watched, and its gauges.
struct Pool {
    name: Arc<str>,
    read: ReadPool,
    idle: Gauge,
    used: Gauge,
    /// Registered with the first value, since not every pool knows it.
    max: Option<Gauge>,
    pending: Option<Gauge>,
    /// How many of the gauge's pending requests are this pool's. Tracked waits count in the same gauge.
    shown_pending: f64,
}

impl Pool {
    fn new(name: Arc<str>, read: ReadPool, instruments: &Instruments) -> Self {
        let count = |state: &'static str| {
            let labels = [(names::POOL_NAME, name.clone()), (names::POOL_STATE, state.into())];
            labelled::gauge(instruments.recorder(), &names::POOL_COUNT, &labels)
        };
        let (idle, used) = (count(names::IDLE), count(names::USED));
        Self { name, read, idle, used, max: None, pending: None, shown_pending: 0.0 }
    }

    /// Reads the pool and writes its gauges. Returns whether it is still there.
    fn sample(&mut self, instruments: &Instruments) -> bool {
        let state = (self.read)();
        let PoolState { size, idle, max, pending } = state.unwrap_or(PoolState::new(0, 0));
        // The two numbers are read one after the other: a connection may have been opened and given back between them.
        self.idle.set(idle.min(size) as f64);
        self.used.set(size.saturating_sub(idle) as f64);
        let gauge = |metric| labelled::gauge(instruments.recorder(), metric, &[(names::POOL_NAME, self.name.clone())]);
        if max.is_some() || self.max.is_some() {
            let max = max.unwrap_or_default() as f64;
            self.max.get_or_insert_with(|| gauge(&names::POOL_MAX)).set(max);
        }
        if pending.is_some() || self.pending.is_some() {
            let is_tracked = instruments.tracks_pool(&self.name);
            let pending = if is_tracked { 0.0 } else { pending.unwrap_or_default() as f64 };
            self.pending.get_or_insert_with(|| gauge(&names::POOL_PENDING)).increment(pending - self.shown_pending);
            self.shown_pending = pending;
        }
        state.is_some()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(pending) = &self.pending {
            pending.decrement(self.shown_pending);
        }
    }
}

/// The pools that are watched.
pub(crate) struct WatchedPools {
    instruments: Arc<Instruments>,
    pools: Mutex<Vec<Pool>>,
}

impl fmt::Debug for WatchedPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedPools").finish_non_exhaustive()
    }
}

impl WatchedPools {
    pub(crate) fn new(instruments: Arc<Instruments>) -> Arc<Self> {
        Arc::new(Self { instruments, pools: Mutex::default() })
    }

    /// Watches a pool from now on, in place of another of the same name.
    pub(crate) fn watch(&self, name: Arc<str>, read: ReadPool) {
        let mut pool = Pool::new(name, read, &self.instruments);
        if pool.sample(&self.instruments) {
            self.add(vec![pool]);
        }
    }

    /// Adds pools in place of others of the same names.
    fn add(&self, mut pools: Vec<Pool>) {
        let mut known = lock(&self.pools);
        known.retain(|pool| pools.iter().all(|added| added.name != pool.name));
        known.append(&mut pools);
    }

    /// Reads every pool. A panic in one of the functions goes on after the others were called.
    fn sample(&self) {
        let mut pools = std::mem::take(&mut *lock(&self.pools));
        let mut panic: Option<Box<dyn Any + Send>> = None;
        pools.retain_mut(|pool| {
            // A panic can leave only the host's own state half changed.
            catch_unwind(AssertUnwindSafe(|| pool.sample(&self.instruments))).unwrap_or_else(|payload| {
                panic.get_or_insert(payload);
                true
            })
        });
        // Those that were added meanwhile are newer.
        let added = std::mem::replace(&mut *lock(&self.pools), pools);
        self.add(added);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

/// Reads the pools at every sampling.
#[derive(Debug)]
pub(crate) struct PoolSampler(pub(crate) Arc<WatchedPools>);

impl Sampler for PoolSampler {
    fn sample(&mut self) {
        self.0.sample();
    }
}
