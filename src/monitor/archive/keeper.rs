//! [`Keeper`]: the archive's thread.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    ArchiveParts,
    error::ArchiveError,
    file::ArchiveFile,
    identity::{Identity, set_aside},
    state::KeeperState,
    tables::{Contents, Forget},
};
use crate::{
    analysis::VersionSnapshot,
    lock::{lock, wait_while},
    store::{Changes, KnownRhythms},
};

/// How often a file that could not be opened is tried again: often enough for a disk that is freed, rare enough for the
/// log and for an open that reads the whole file.
const RETRY: Duration = Duration::from_secs(60);

/// Writes the tiers to the file, on a thread that may block.
pub(super) struct Keeper {
    parts: ArchiveParts,
    shared: Arc<KeeperState>,
    file: Option<ArchiveFile>,
    /// The file whose numbers of endpoints the memory uses.
    identity: Option<Identity>,
    /// Changes that are not written yet; `None` until the tiers were restored.
    pending: Option<Changes>,
    snapshot: Option<VersionSnapshot>,
    rhythms: Option<KnownRhythms>,
    /// Whether the snapshot of this version in the file was written by this run.
    has_own_snapshot: bool,
    /// By key.
    kept: BTreeMap<&'static str, Kept>,
}

impl Keeper {
    pub(super) fn new(parts: ArchiveParts, shared: Arc<KeeperState>) -> Self {
        Self {
            parts,
            shared,
            file: None,
            identity: None,
            pending: None,
            snapshot: None,
            rhythms: None,
            has_own_snapshot: false,
            kept: BTreeMap::new(),
        }
    }

    /// Opens the file, calls `opened`, and writes changes as they arrive. When [`Work::stop`] is set, it writes a
    /// last time and returns.
    pub(super) fn run(mut self, opened: impl FnOnce()) {
        lock(&self.shared.work).take();
        self.write();
        opened();
        while !self.wait() {
            self.write();
        }
        self.write();
    }

    /// Waits until there is work, or for [`RETRY`]. Returns whether it is the last.
    fn wait(&mut self) -> bool {
        let mut work = wait_while(&self.shared.arrived, lock(&self.shared.work), RETRY, |work| work.is_idle());
        work.has_changes = false;
        work.take();
        self.snapshot = work.snapshot.take().or(self.snapshot.take());
        self.rhythms = work.rhythms.take().or(self.rhythms.take());
        self.kept
            .extend(std::mem::take(&mut work.kept).into_iter().map(|(key, json)| (key, Kept { json, written: false })));
        work.stop
    }

    /// Writes what is not written yet. Opens the file first where it is not open.
    fn write(&mut self) {
        // Damage that redb's checks do not foresee can make it panic. The thread must report that and go on.
        let written = catch_unwind(AssertUnwindSafe(|| self.try_write()));
        if let Err(error) = written.unwrap_or_else(|panic| Err(ArchiveError::from_panic(&*panic))) {
            self.file = None;
            self.shared.status.failed(&error);
        }
        self.shared.end();
    }

    fn try_write(&mut self) -> Result<(), ArchiveError> {
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
            // A short run says little about its version: an earlier run's snapshot stays until this one has more requests.
            let kept = if self.has_own_snapshot { None } else { file.version(&snapshot.version)? };
            if self.has_own_snapshot || is_larger(snapshot, kept.as_ref()) {
                file.write_version(snapshot)?;
                self.has_own_snapshot = true;
                self.shared.status.written();
            } else if let Some(kept) = kept {
                // After a rollback it is the version before the next one all the same.
                file.write_version(&kept.ran_again_at(&snapshot.written_at))?;
                self.shared.status.written();
            }
        }
        self.snapshot = None;
        // Those that do not have what the file has in them yet are not written over it.
        if let Some(rhythms) = self.rhythms.as_ref().filter(|_| self.shared.rhythms.load().is_none()) {
            file.write_rhythms(rhythms)?;
            self.shared.status.written();
        }
        self.rhythms = None;
        // What the run before kept stays until its owner has taken it, and then keeps both.
        let is_taken = |key: &str| !lock(&self.shared.restored).contains_key(key);
        for (key, kept) in self.kept.iter_mut().filter(|(key, kept)| !kept.written && is_taken(key)) {
            file.keep(key, &kept.json)?;
            kept.written = true;
            self.shared.status.written();
        }
        self.file = Some(file);
        Ok(())
    }

    /// Opens the file. The first time the tiers are filled from it; later it is one that failed before, or another one.
    fn open(&mut self) -> Result<ArchiveFile, ArchiveError> {
        let ArchiveParts { path, run, retention, now, .. } = &self.parts;
        let forget = if self.pending.is_none() { Forget::UnusedNames } else { Forget::Nothing };
        let before = Identity::at(path);
        let was_empty = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
        let open = || ArchiveFile::open(path, run, *retention, forget);
        let (file, contents) = match open() {
            Err(error @ ArchiveError::Broken(_)) => {
                self.shared.status.failed(&error);
                let aside = set_aside(path, before)?;
                warn!(path = %path.display(), aside = %aside.display(), "a broken history file was set aside");
                self.shared.status.set_aside(&aside, self.pending.is_none());
                open()?
            }
            other => other?,
        };
        if was_empty {
            warn!(path = %path.display(), "the history file was empty; it is begun anew");
            self.shared.status.was_empty(self.pending.is_none());
        }
        if contents.unreadable > 0 {
            warn!(path = %path.display(), entries = contents.unreadable, "entries of the history file cannot be read");
            self.shared.status.lost(contents.unreadable as u64);
        }
        if self.pending.is_none() {
            info!(path = %path.display(), slots = contents.stored.slots.len(), "the history file is open");
            let service = self.parts.service.as_deref();
            let previous = service.and_then(|service| previous(contents.versions, service, &run.version));
            self.shared.previous.store(previous.map(Arc::new));
            *lock(&self.shared.restored) = contents.kept;
            self.shared.rhythms.store(contents.rhythms.map(Arc::new));
            self.shared.is_read.store(true, Ordering::Release);
            lock(&self.parts.tiers).restore(contents.stored, now().max(run.started));
        } else if self.identity != Some(file.identity()) || contents.is_new {
            self.adopt(contents);
        }
        self.identity = Some(file.identity());
        self.shared.status.open();
        Ok(file)
    }

    /// Goes on with another file than the memory was restored from.
    fn adopt(&mut self, contents: Contents) {
        let was_cleared = self.pending.as_ref().is_some_and(|pending| pending.cleared);
        let mut tiers = lock(&self.parts.tiers);
        if contents.is_new || was_cleared {
            self.pending = Some(tiers.everything());
        } else {
            // For example a copy from another day, which numbers the endpoints differently.
            tiers.adopt(contents.stored, (self.parts.now)().max(self.parts.run.started));
            self.pending = Some(Changes::default());
        }
        self.has_own_snapshot = false;
        self.kept.values_mut().for_each(|kept| kept.written = false);
    }
}

/// What another part of the monitor keeps, as it last gave it.
struct Kept {
    json: Vec<u8>,
    written: bool,
}

/// Returns the snapshot of the other version of the service that ran last.
fn previous(versions: Vec<VersionSnapshot>, service: &str, version: &str) -> Option<VersionSnapshot> {
    let of_service = |snapshot: &VersionSnapshot| snapshot.service == service && snapshot.version != version;
    let at = |snapshot: &VersionSnapshot| snapshot.ran_at().parse::<Timestamp>().ok();
    versions.into_iter().filter(of_service).max_by_key(at)
}

/// Returns whether a snapshot rests on more requests than that of an earlier run of the same version.
fn is_larger(snapshot: &VersionSnapshot, kept: Option<&VersionSnapshot>) -> bool {
    let requests = |snapshot: &VersionSnapshot| snapshot.routes.iter().map(|route| route.latency.count()).sum::<u64>();
    requests(snapshot) > kept.map_or(0, requests)
}
