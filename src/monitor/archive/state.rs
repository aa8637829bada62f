//! [`KeeperState`]: what the archive and its thread share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, atomic::AtomicBool},
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::status::StatusBoard;
use crate::{analysis::VersionSnapshot, lock::lock, store::KnownRhythms};

#[derive(Debug)]
pub(super) struct KeeperState {
    pub(super) work: Mutex<Work>,
    /// Notified whenever there is more work.
    pub(super) arrived: Condvar,
    pub(super) status: StatusBoard,
    /// Whether what earlier runs left was read.
    pub(super) is_read: AtomicBool,
    /// The snapshot of the version before this one.
    pub(super) previous: ArcSwapOption<VersionSnapshot>,
    /// What the file had of what usually runs, until the tick takes it.
    pub(super) rhythms: ArcSwapOption<KnownRhythms>,
    /// What the run before kept, by its key, until its owner takes it. It is filled when the file is first read.
    pub(super) restored: Mutex<BTreeMap<String, Arc<[u8]>>>,
}

/// What the thread has to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The tiers have changed.
    pub(super) has_changes: bool,
    /// The newest snapshot of this version, if one is to be written.
    pub(super) snapshot: Option<VersionSnapshot>,
    /// The newest of what usually runs, if it is to be written.
    pub(super) rhythms: Option<KnownRhythms>,
    /// What other parts of the monitor have to keep, by their key.
    pub(super) kept: BTreeMap<&'static str, Vec<u8>>,
    /// Write what there is for a last time, and end.
    pub(super) stop: bool,
    /// When the oldest of this work was added.
    since: Option<Instant>,
    /// The same of the work that the thread has taken and not ended.
    taken: Option<Instant>,
}

impl Work {
    /// Returns whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_changes && self.snapshot.is_none() && self.rhythms.is_none() && self.kept.is_empty() && !self.stop
    }

    /// Notes that the thread takes what there is.
    pub(super) fn take(&mut self) {
        self.taken = self.since.take();
    }
}

impl KeeperState {
    pub(super) fn new(status: StatusBoard) -> Arc<Self> {
        Arc::new(Self {
            work: Mutex::default(),
            arrived: Condvar::new(),
            status,
            is_read: AtomicBool::new(false),
            previous: ArcSwapOption::empty(),
            rhythms: ArcSwapOption::empty(),
            restored: Mutex::default(),
        })
    }

    /// Adds work for the thread. Returns at once.
    pub(super) fn add(&self, add: impl FnOnce(&mut Work)) {
        {
            let mut work = lock(&self.work);
            add(&mut work);
            // Read here and not by the thread, which is outside of the runtime whose clock the monitor goes by.
            work.since.get_or_insert_with(Instant::now);
        }
        self.arrived.notify_one();
    }

    /// Notes that the thread has ended the work that it took, with or without success.
    pub(super) fn end(&self) {
        lock(&self.work).taken = None;
    }

    /// Returns since when the oldest work that has not ended waits for the thread; `None` where there is none.
    pub(super) fn since(&self) -> Option<Instant> {
        let work = lock(&self.work);
        work.taken.or(work.since)
    }
}
