//! [`Archive`]: keeps the tiers in a file, on a thread of its own.
//!
//! The tick only rings a bell, every half minute or so; the thread then takes from the tiers what changed and commits it. What
//! could not be written stays with the thread, coalesced, and is written when it can be: a full disk loses nothing as
//! long as the process lives. Nothing here ever stops the service, and no file is ever deleted: what is broken is moved
//! aside, what is not ours is left alone. The invariant that a change could break: the thread never holds the tiers' lock
//! while it reads or writes.

mod file;
#[cfg(test)]
mod process_tests;
mod status;
#[cfg(test)]
mod tests;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tracing::{info, warn};

use self::{
    file::{ArchiveError, ArchiveFile, Forget, Identity},
    status::StatusBoard,
};
use crate::{
    analysis::VersionSnapshot,
    context::DynRecorder,
    lock::{lock, wait_while},
    store::{Changes, Run, Tiers},
};

pub(crate) use status::{ArchiveState, ArchiveStatus};

/// How long a start waits for the file, and a shutdown for the last write. A disk that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a file that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// What an archive is made from.
pub(super) struct ArchiveParts {
    pub(super) path: PathBuf,
    pub(super) recorder: DynRecorder,
    pub(super) tiers: Arc<Mutex<Tiers>>,
    pub(super) retention: Duration,
    /// This life of the service.
    pub(super) run: Run,
    /// Name of the service, whose versions are compared.
    pub(super) service: Option<Arc<str>>,
    /// Tells the time since the Unix epoch.
    pub(super) now: Box<dyn Fn() -> Duration + Send>,
}

/// The file that the tiers are kept in. Dropping it ends its thread, which writes what it has first.
#[derive(Debug)]
pub(crate) struct Archive {
    shared: Arc<Shared>,
    ended: Mutex<Option<Receiver<()>>>,
}

#[derive(Debug)]
struct Shared {
    bell: Mutex<Bell>,
    rung: Condvar,
    status: StatusBoard,
    /// What the version before this one left.
    previous: ArcSwapOption<VersionSnapshot>,
}

/// What the thread is asked to do.
#[derive(Debug, Default)]
struct Bell {
    is_rung: bool,
    snapshot: Option<VersionSnapshot>,
    stop: bool,
}

impl Archive {
    /// Opens the file and fills the tiers from it. Waits for that, but not for ever.
    pub(super) fn start(parts: ArchiveParts) -> Self {
        let shared = Arc::new(Shared {
            bell: Mutex::default(),
            rung: Condvar::new(),
            status: StatusBoard::new(&parts.path, &parts.recorder),
            previous: ArcSwapOption::empty(),
        });
        let (opened, is_opened) = mpsc::sync_channel(1);
        let (end, ended) = mpsc::sync_channel(1);
        let keeper = Keeper {
            parts,
            shared: shared.clone(),
            file: None,
            identity: None,
            pending: None,
            snapshot: None,
            has_own_snapshot: false,
        };
        let work = move || {
            // Where these fail, nobody waits any more.
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
            Err(error) => shared.status.failed(&ArchiveError::from(redb::Error::Io(error))),
        }
        Self { shared, ended: Mutex::new(Some(ended)) }
    }

    /// Says that there is something to write. Returns at once.
    pub(super) fn wake(&self) {
        lock(&self.shared.bell).is_rung = true;
        self.shared.rung.notify_one();
    }

    /// Hands over what this version measured so far, to be kept for the next one. Returns at once.
    pub(super) fn leave(&self, snapshot: VersionSnapshot) {
        lock(&self.shared.bell).snapshot = Some(snapshot);
        self.shared.rung.notify_one();
    }

    /// Returns what the version before this one left.
    pub(super) fn previous(&self) -> Option<Arc<VersionSnapshot>> {
        self.shared.previous.load_full()
    }

    pub(crate) fn status(&self) -> Arc<ArchiveStatus> {
        self.shared.status.get()
    }

    /// Writes what there is and closes the file. Waits for that, but not for ever.
    pub(super) async fn close(&self) {
        self.stop();
        let ended = lock(&self.ended).take();
        let wait = move || {
            if ended.is_some_and(|ended| ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)) {
                warn!("the history file takes long to write; the last minute may be lost");
            }
        };
        // An error means that the runtime is gone, and with it whoever would wait.
        let _ = tokio::task::spawn_blocking(wait).await;
    }

    fn stop(&self) {
        lock(&self.shared.bell).stop = true;
        self.shared.rung.notify_one();
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread has.
struct Keeper {
    parts: ArchiveParts,
    shared: Arc<Shared>,
    file: Option<ArchiveFile>,
    /// Which file the memory's numbers of endpoints are those of.
    identity: Option<Identity>,
    /// What is not written yet; `None` until the tiers were restored.
    pending: Option<Changes>,
    snapshot: Option<VersionSnapshot>,
    /// Whether the file's snapshot of this version is of this run.
    has_own_snapshot: bool,
}

impl Keeper {
    fn run(mut self, opened: impl FnOnce()) {
        self.keep();
        opened();
        while !self.wait() {
            self.keep();
        }
        self.keep();
    }

    /// Waits until there is something to do; returns whether it is the last time.
    fn wait(&mut self) -> bool {
        let bell = lock(&self.shared.bell);
        let idle = |bell: &mut Bell| !bell.is_rung && bell.snapshot.is_none() && !bell.stop;
        let mut bell = wait_while(&self.shared.rung, bell, RETRY, idle);
        bell.is_rung = false;
        self.snapshot = bell.snapshot.take().or(self.snapshot.take());
        bell.stop
    }

    /// Writes what there is, into a file that is opened first where it is not open.
    fn keep(&mut self) {
        // Damage that redb's checks do not foresee can make it panic. That must not end the thread without a word.
        let kept = catch_unwind(AssertUnwindSafe(|| self.try_to_keep()));
        if let Err(error) = kept.unwrap_or_else(|panic| Err(ArchiveError::from_panic(&*panic))) {
            self.file = None;
            self.shared.status.failed(&error);
        }
    }

    fn try_to_keep(&mut self) -> Result<(), ArchiveError> {
        if self.file.as_ref().is_some_and(|file| !file.is_at(&self.parts.path)) {
            warn!(path = %self.parts.path.display(), "the history file was removed or replaced; the one in its place is used");
            self.file = None;
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let newer = lock(&self.parts.tiers).take_changes();
        let pending = self.pending.get_or_insert_default();
        newer.into_iter().for_each(|newer| pending.then(newer));
        if !pending.is_empty() {
            file.write(pending)?;
            self.pending = Some(Changes::default());
            self.shared.status.written();
        }
        if let Some(snapshot) = &self.snapshot {
            // A run that was short says little of its version: what an earlier one left stays until this one says more.
            if self.has_own_snapshot || is_larger(snapshot, file.version(&snapshot.version)?.as_ref()) {
                file.write_version(snapshot)?;
                self.has_own_snapshot = true;
                self.shared.status.written();
            }
        }
        self.snapshot = None;
        self.file = Some(file);
        Ok(())
    }

    /// Opens the file. The first time it fills the tiers from it; later it is a file that failed, or a new one.
    fn open(&mut self) -> Result<ArchiveFile, ArchiveError> {
        let ArchiveParts { path, run, retention, now, .. } = &self.parts;
        let forget = if self.pending.is_none() { Forget::UnusedNames } else { Forget::Nothing };
        let before = Identity::at(path);
        let open = || ArchiveFile::open(path, run, run.started.saturating_sub(*retention), forget);
        let (file, found) = match open() {
            Err(error @ ArchiveError::Broken(_)) => {
                self.shared.status.failed(&error);
                let aside = file::set_aside(path, before)?;
                warn!(path = %path.display(), aside = %aside.display(), "a broken history file was set aside");
                self.shared.status.set_aside(&aside);
                open()?
            }
            other => other?,
        };
        if found.unreadable > 0 {
            warn!(path = %path.display(), entries = found.unreadable, "entries of the history file cannot be read");
        }
        if self.pending.is_none() {
            info!(path = %path.display(), slots = found.stored.slots.len(), "the history file is open");
            let service = self.parts.service.as_deref();
            let previous = service.and_then(|service| previous(found.versions, service, &run.version));
            self.shared.previous.store(previous.map(Arc::new));
            lock(&self.parts.tiers).restore(found.stored, now().max(run.started));
        } else if self.identity != Some(file.identity()) || found.is_new {
            let was_cleared = self.pending.as_ref().is_some_and(|pending| pending.cleared);
            let mut tiers = lock(&self.parts.tiers);
            if found.is_new || was_cleared {
                self.pending = Some(tiers.everything());
            } else {
                // A copy from another day, say, whose numbers of endpoints are its own.
                tiers.adopt(found.stored, now().max(run.started));
                self.pending = Some(Changes::default());
            }
            self.has_own_snapshot = false;
        }
        self.identity = Some(file.identity());
        self.shared.status.open();
        Ok(file)
    }
}

/// Returns the latest snapshot of another version of the service.
fn previous(versions: Vec<VersionSnapshot>, service: &str, version: &str) -> Option<VersionSnapshot> {
    let of_service = |snapshot: &VersionSnapshot| snapshot.service == service && snapshot.version != version;
    let at = |snapshot: &VersionSnapshot| snapshot.written_at.parse::<Timestamp>().ok();
    versions.into_iter().filter(of_service).max_by_key(at)
}

/// Returns whether a snapshot says more than the one that an earlier run of the same version left.
fn is_larger(snapshot: &VersionSnapshot, kept: Option<&VersionSnapshot>) -> bool {
    let requests = |snapshot: &VersionSnapshot| snapshot.routes.iter().map(|route| route.latency.count()).sum::<u64>();
    requests(snapshot) > kept.map_or(0, requests)
}
