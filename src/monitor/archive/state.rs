//! [`KeeperState`]: what the archive and its thread share.

use std::sync::{Arc, Condvar, Mutex};

use arc_swap::ArcSwapOption;

use super::status::StatusBoard;
use crate::{analysis::VersionSnapshot, lock::lock};

#[derive(Debug)]
pub(super) struct KeeperState {
    pub(super) work: Mutex<Work>,
    /// Notified whenever there is more work.
    pub(super) arrived: Condvar,
    pub(super) status: StatusBoard,
    /// The snapshot of the version before this one.
    pub(super) previous: ArcSwapOption<VersionSnapshot>,
}

/// What the thread has to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The tiers have changed.
    pub(super) has_changes: bool,
    /// The newest snapshot of this version, if one is to be written.
    pub(super) snapshot: Option<VersionSnapshot>,
    /// Write what there is for a last time, and end.
    pub(super) stop: bool,
}

impl KeeperState {
    pub(super) fn new(status: StatusBoard) -> Arc<Self> {
        let (work, arrived, previous) = (Mutex::default(), Condvar::new(), ArcSwapOption::empty());
        Arc::new(Self { work, arrived, status, previous })
    }

    /// Adds work for the thread. Returns at once.
    pub(super) fn add(&self, work: impl FnOnce(&mut Work)) {
        work(&mut lock(&self.work));
        self.arrived.notify_one();
    }
}
