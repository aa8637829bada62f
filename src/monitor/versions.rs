//! [`Versions`]: the snapshot of this version of the service, and its comparison with the version before.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::{
    archive::{Archive, ArchiveParts, ArchiveStatus},
    clock::WallClock,
    config::Config,
};
use crate::{
    analysis::{Comparison, VersionSnapshot, compare},
    context::DynRecorder,
    rules::latencies,
    store::{KnownRhythms, Rhythms, Run, Tiers, Window},
};

/// Minutes between two snapshots. A process that is killed loses what its version measured since the last one, which a
/// comparison over hours does not notice.
const MINUTES: u64 = 15;

/// The service that is monitored.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: Arc<str>,
    pub(super) version: Arc<str>,
}

impl Service {
    pub(super) fn of(config: &Config) -> Option<Self> {
        let (name, version) = config.service_name.clone().zip(config.service_version.clone())?;
        Some(Self { name, version })
    }
}

/// This version of the service beside the one before.
#[derive(Clone, Debug)]
pub(crate) struct VersionComparison {
    pub(crate) service: String,
    pub(crate) before: String,
    /// When the version before wrote its snapshot, as RFC 3339.
    pub(crate) before_written_at: String,
    pub(crate) after: String,
    pub(crate) comparison: Arc<Comparison>,
}

/// The versions of the service that the history file holds.
#[derive(Debug)]
pub(crate) struct Versions {
    service: Option<Service>,
    archive: Option<Archive>,
}

impl Versions {
    /// Opens the history file, where one is set, and fills `tiers` from it.
    pub(super) fn start(
        config: &Config,
        tiers: Arc<Mutex<Tiers>>,
        recorder: DynRecorder,
        run: Run,
        clock: WallClock,
    ) -> Self {
        let service = Service::of(config);
        let name = service.as_ref().map(|service| service.name.clone());
        let (retention, now) = (config.retention.get(), Box::new(move || clock.at(Instant::now())));
        let start = |path| Archive::start(ArchiveParts { path, recorder, tiers, retention, run, service: name, now });
        Self { service, archive: config.history_file.clone().map(start) }
    }

    /// Has the archive write what is new, and every [`MINUTES`] the snapshot of this version and what usually runs.
    pub(super) fn minute_ended(&self, total: &Window, rhythms: &Rhythms, wall: Duration) {
        let Some(archive) = &self.archive else { return };
        archive.wake();
        if (wall.as_secs() / 60).is_multiple_of(MINUTES) {
            self.write_snapshot(total, wall);
            archive.write_rhythms(rhythms.known().clone());
        }
    }

    /// Returns what an earlier run of the service knew of what usually runs, once.
    pub(super) fn take_rhythms(&self) -> Option<KnownRhythms> {
        self.archive.as_ref()?.take_rhythms()
    }

    /// Has the archive write the part of a minute that there is so far.
    pub(super) fn minute_goes_on(&self) {
        self.archive.iter().for_each(Archive::wake);
    }

    /// Has the archive write the last of this run.
    pub(super) fn finish(&self, total: &Window, rhythms: &Rhythms, wall: Duration) {
        self.write_snapshot(total, wall);
        self.archive.iter().for_each(|archive| archive.write_rhythms(rhythms.known().clone()));
        self.archive.iter().for_each(Archive::wake);
    }

    /// Waits until the file is written and closed.
    pub(super) async fn close(&self) {
        if let Some(archive) = &self.archive {
            archive.close().await;
        }
    }

    /// Compares everything since the start or the last clear with the snapshot of the version before. `None` without a
    /// history file, without a version, and for the first version.
    pub(crate) fn comparison(&self, total: &Window) -> Option<VersionComparison> {
        let before = self.archive.as_ref()?.previous()?;
        let after = self.snapshot(total, Duration::ZERO)?;
        Some(VersionComparison {
            comparison: Arc::new(compare(&before, &after)),
            service: after.service,
            before: before.version.clone(),
            before_written_at: before.written_at.clone(),
            after: after.version,
        })
    }

    /// Returns the snapshot of the version before, and the name of this one. `None` as of [`comparison`](Self::comparison).
    pub(super) fn previous(&self) -> Option<(Arc<VersionSnapshot>, Arc<str>)> {
        let service = self.service.as_ref()?;
        Some((self.archive.as_ref()?.previous()?, service.version.clone()))
    }

    /// Returns why the history file could not be read so far; `None` where it could, or there is none.
    pub(super) fn unread(&self) -> Option<String> {
        self.archive.as_ref()?.unread()
    }

    /// Keeps JSON over a restart, where there is a history file, in place of what has the same key.
    pub(super) fn keep(&self, key: &'static str, json: Vec<u8>) {
        if let Some(archive) = &self.archive {
            archive.keep(key, json);
        }
    }

    /// Returns what the run before kept under a key, once it can be read, and once.
    pub(super) fn take_restored(&self, key: &str) -> Option<Arc<[u8]>> {
        self.archive.as_ref()?.take_restored(key)
    }

    /// Returns the state of the archive; `None` where there is none.
    pub(crate) fn archive(&self) -> Option<Arc<ArchiveStatus>> {
        self.archive.as_ref().map(Archive::status)
    }

    /// Returns since when the history file has not been written though there is something to write.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        self.archive.as_ref()?.writing_since()
    }

    fn write_snapshot(&self, total: &Window, wall: Duration) {
        if let Some((archive, snapshot)) = self.archive.as_ref().zip(self.snapshot(total, wall)) {
            archive.write_version(snapshot);
        }
    }

    fn snapshot(&self, total: &Window, wall: Duration) -> Option<VersionSnapshot> {
        let service = self.service.as_ref()?;
        let written_at = Timestamp::try_from(SystemTime::UNIX_EPOCH + wall).unwrap_or_default().to_string();
        let snapshot = VersionSnapshot::new(&*service.name, &*service.version, written_at, latencies(total));
        snapshot.inspect_err(|error| warn!(%error, "no snapshot of this version can be written")).ok()
    }
}
