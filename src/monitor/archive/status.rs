//! [`StatusBoard`]: the state of the archive, written by its thread and read by the API.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use tracing::warn;

use super::error::ArchiveError;
use crate::{
    context::{DynRecorder, labelled},
    names,
};

/// The state of the archive.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveStatus {
    pub(crate) path: PathBuf,
    pub(crate) state: ArchiveState,
    /// When it was last written.
    pub(crate) written: Option<SystemTime>,
    /// Where this process moved a broken file.
    pub(crate) set_aside: Option<PathBuf>,
    /// Whether all that was kept before this start was lost with it.
    pub(crate) lost_history: bool,
    /// The file was there and empty, and was begun anew.
    pub(crate) was_empty: bool,
    /// Entries that could not be read and were dropped, since the start.
    pub(crate) lost_entries: u64,
}

/// Whether the archive can be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ArchiveState {
    Opening,
    Open,
    /// It failed, for this reason; it is tried again every minute.
    Failing(String),
}

/// Where the archive's thread publishes its state and counts its errors.
pub(super) struct StatusBoard {
    status: ArcSwap<ArchiveStatus>,
    recorder: DynRecorder,
}

impl std::fmt::Debug for StatusBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusBoard").field("status", &self.status).finish_non_exhaustive()
    }
}

impl StatusBoard {
    pub(super) fn new(path: &Path, recorder: &DynRecorder) -> Self {
        let status = ArchiveStatus {
            path: path.to_owned(),
            state: ArchiveState::Opening,
            written: None,
            set_aside: None,
            lost_history: false,
            was_empty: false,
            lost_entries: 0,
        };
        // Registered at zero: an alert on their increase then sees the first failure.
        for kind in ["broken", "io", "locked", "refused"] {
            labelled::counter(recorder, &names::ARCHIVE_ERRORS, &[(names::ERROR_TYPE, kind.into())]).increment(0);
        }
        for metric in [&names::ARCHIVE_LOST, &names::ARCHIVE_SET_ASIDE] {
            labelled::counter(recorder, metric, &[]).increment(0);
        }
        Self { status: ArcSwap::from_pointee(status), recorder: recorder.clone() }
    }

    pub(super) fn get(&self) -> Arc<ArchiveStatus> {
        self.status.load_full()
    }

    pub(super) fn open(&self) {
        self.change(|status| status.state = ArchiveState::Open);
    }

    pub(super) fn written(&self) {
        self.change(|status| (status.state, status.written) = (ArchiveState::Open, Some(SystemTime::now())));
    }

    /// Reports that a broken file was moved to `path`; `lost_history` is whether nothing of it was in memory.
    pub(super) fn set_aside(&self, path: &Path, lost_history: bool) {
        labelled::counter(&self.recorder, &names::ARCHIVE_SET_ASIDE, &[]).increment(1);
        self.change(|status| {
            status.set_aside = Some(path.to_owned());
            status.lost_history |= lost_history;
        });
    }

    /// Reports that the file was there and empty; `lost_history` is whether nothing of it was in memory.
    pub(super) fn was_empty(&self, lost_history: bool) {
        self.change(|status| {
            status.was_empty = true;
            status.lost_history |= lost_history;
        });
    }

    /// Reports entries that could not be read.
    pub(super) fn lost(&self, entries: u64) {
        labelled::counter(&self.recorder, &names::ARCHIVE_LOST, &[]).increment(entries);
        self.change(|status| status.lost_entries += entries);
    }

    pub(super) fn failed(&self, error: &ArchiveError) {
        let kind = error.kind();
        labelled::counter(&self.recorder, &names::ARCHIVE_ERRORS, &[(names::ERROR_TYPE, kind.into())]).increment(1);
        let state = ArchiveState::Failing(error.to_string());
        // The file is tried every minute; the log has each failure once.
        if self.get().state != state {
            warn!(path = %self.get().path.display(), %error, "trends are not being kept in the history file");
        }
        self.change(|status| status.state = state.clone());
    }

    fn change(&self, change: impl Fn(&mut ArchiveStatus)) {
        self.status.rcu(|status| {
            let mut status = ArchiveStatus::clone(status);
            change(&mut status);
            status
        });
    }
}
