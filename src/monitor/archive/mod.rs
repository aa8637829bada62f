//! [`Archive`]: keeps the tiers in a file, on a thread of its own.
//!
//! About every half minute the tick wakes the thread, which takes the changes from the tiers and commits them. What could
//! not be written stays with the thread, merged with later changes, until it can be: a full disk loses nothing as long as
//! the process lives. No failure stops the service, and no file is deleted: a broken one is renamed, and one that is not
//! the archive's is left alone. The invariant that a change could break: the thread never holds the tiers' lock while it
//! reads or writes.

#[cfg(feature = "replay")]
mod copy;
#[cfg(test)]
mod damage_tests;
mod error;
mod file;
mod head;
mod identity;
mod keeper;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod process_tests;
mod state;
mod status;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use self::{error::ArchiveError, keeper::Keeper, state::KeeperState, status::StatusBoard};
use crate::{
    analysis::VersionSnapshot,
    context::DynRecorder,
    lock::lock,
    store::{KnownRhythms, Run, Tiers},
};

#[cfg(feature = "replay")]
pub use copy::HistoryError;
#[cfg(feature = "replay")]
pub(crate) use copy::{StoredContents, read as read_history};
pub(crate) use status::{ArchiveState, ArchiveStatus};

/// How long a start waits for the file, and a shutdown for the last write: a third of the 30 s that Kubernetes gives a
/// process to end. Both then go on without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an archive is made from.
pub(super) struct ArchiveParts {
    pub(super) path: PathBuf,
    pub(super) recorder: DynRecorder,
    pub(super) tiers: Arc<Mutex<Tiers>>,
    pub(super) retention: Duration,
    /// This run of the service.
    pub(super) run: Run,
    /// Name of the service, whose versions are compared.
    pub(super) service: Option<Arc<str>>,
    /// Returns the time since the Unix epoch.
    pub(super) now: Box<dyn Fn() -> Duration + Send>,
}

/// The file that the tiers are kept in. Dropping it ends its thread, which writes what it has first.
#[derive(Debug)]
pub(crate) struct Archive {
    shared: Arc<KeeperState>,
    /// Receives once, when the thread ends; `None` after the first [`close`](Archive::close).
    ended: Mutex<Option<Receiver<()>>>,
}

impl Archive {
    /// Opens the file and fills the tiers from it. Waits for that for [`PATIENCE`] at most.
    pub(super) fn start(parts: ArchiveParts) -> Self {
        let shared = KeeperState::new(StatusBoard::new(&parts.path, &parts.recorder));
        let (opened, is_opened) = mpsc::sync_channel(1);
        let (end, ended) = mpsc::sync_channel(1);
        let keeper = Keeper::new(parts, shared.clone());
        shared.add(|work| work.has_changes = true);
        let work = move || {
            // Where these fail, the other side has stopped waiting.
            keeper.run(move || {
                let _ = opened.try_send(());
            });
            let _ = end.try_send(());
        };
        match thread::Builder::new().name("pinchpoint-archive".to_owned()).spawn(work) {
            Ok(_) => {
                if is_opened.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    warn!("the history file takes long to open; trends begin without it");
                }
            }
            Err(error) => {
                shared.status.failed(&ArchiveError::from(redb::Error::Io(error)));
                shared.end();
            }
        }
        Self { shared, ended: Mutex::new(Some(ended)) }
    }

    /// Has the thread write what changed in the tiers. Returns at once.
    pub(super) fn wake(&self) {
        self.shared.add(|work| work.has_changes = true);
    }

    /// Has the thread write what this version measured so far, for the next one to compare with. Returns at once.
    pub(super) fn write_version(&self, snapshot: VersionSnapshot) {
        self.shared.add(|work| work.snapshot = Some(snapshot));
    }

    /// Has the thread keep JSON over a restart, in place of what has the same key. Returns at once.
    pub(super) fn keep(&self, key: &'static str, json: Vec<u8>) {
        self.shared.add(|work| drop(work.kept.insert(key, json)));
    }

    /// Returns what the run before kept under a key, once: when the file was first opened, which may be long after the start.
    /// Until then the file keeps it, whatever [`keep`](Self::keep) is given.
    pub(super) fn take_restored(&self, key: &str) -> Option<Arc<[u8]>> {
        lock(&self.shared.restored).remove(key)
    }

    /// Has the thread write what usually runs, for the next run of the service. Returns at once.
    pub(super) fn write_rhythms(&self, rhythms: KnownRhythms) {
        self.shared.add(|work| work.rhythms = Some(rhythms));
    }

    /// Returns what the file had of what usually runs when it was first opened, once.
    pub(super) fn take_rhythms(&self) -> Option<KnownRhythms> {
        // Looked for at each tick: a swap is dearer than a look.
        let is_there = self.shared.rhythms.load().is_some();
        is_there.then(|| self.shared.rhythms.swap(None)).flatten().map(Arc::unwrap_or_clone)
    }

    /// Returns the snapshot of the version before this one.
    pub(super) fn previous(&self) -> Option<Arc<VersionSnapshot>> {
        self.shared.previous.load_full()
    }

    /// Returns why the file could not be read so far; `None` once it could.
    pub(super) fn unread(&self) -> Option<String> {
        let is_read = self.shared.is_read.load(Ordering::Acquire);
        (!is_read).then(|| match &self.status().state {
            ArchiveState::Failing(error) => error.clone(),
            ArchiveState::Opening | ArchiveState::Open => "the history file is being opened".to_owned(),
        })
    }

    /// Returns since when the file has not been written though there is something to write; `None` where there is nothing.
    /// The file system does not answer where that is long ago.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        self.shared.since()
    }

    pub(crate) fn status(&self) -> Arc<ArchiveStatus> {
        self.shared.status.get()
    }

    /// Writes what there is and closes the file. Waits for that for [`PATIENCE`] at most.
    pub(super) async fn close(&self) {
        self.stop();
        let ended = lock(&self.ended).take();
        let wait = move || {
            if ended.is_some_and(|ended| ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)) {
                warn!("the history file takes long to write; the last minute may be lost");
            }
        };
        // An error means that the runtime is gone: then there is nothing left to wait for.
        let _ = tokio::task::spawn_blocking(wait).await;
    }

    fn stop(&self) {
        self.shared.add(|work| work.stop = true);
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop();
    }
}
