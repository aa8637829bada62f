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
        let status =
            ArchiveStatus { path: path.to_owned(), state: ArchiveState::Opening, written: None, set_aside: None };
        // Registered at zero: an alert on their increase then sees the first failure.
        for kind in ["broken", "io", "locked", "refused"] {
            labelled::counter(recorder, &names::ARCHIVE_ERRORS, &[(names::ERROR_TYPE, kind.into())]).increment(0);
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

    pub(super) fn set_aside(&self, path: &Path) {
        self.change(|status| status.set_aside = Some(path.to_owned()));
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
