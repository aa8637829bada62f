//! [`Versions`]: what this version of the service leaves for the next, and how it compares with the one before.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tracing::warn;

use super::{
    archive::{Archive, ArchiveStatus},
    config::Config,
};
use crate::{
    analysis::{Comparison, VersionSnapshot, compare},
    rules::latencies,
    store::Window,
};

/// Minutes between two snapshots: what a version measured since is lost where its process is killed.
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
    /// When the version before wrote what it left, as RFC 3339.
    pub(crate) before_written_at: String,
    pub(crate) after: String,
    pub(crate) comparison: Arc<Comparison>,
}

/// The versions of the service, as far as the history file knows them.
#[derive(Debug)]
pub(crate) struct Versions {
    service: Option<Service>,
    archive: Option<Archive>,
}

impl Versions {
    pub(super) fn new(service: Option<Service>, archive: Option<Archive>) -> Self {
        Self { service, archive }
    }

    /// Has what is new written, and now and then what this version measured in all.
    pub(super) fn minute_ended(&self, total: &Window, wall: Duration) {
        let Some(archive) = &self.archive else { return };
        archive.wake();
        if (wall.as_secs() / 60).is_multiple_of(MINUTES) {
            self.leave(total, wall);
        }
    }

    /// Has what a minute has so far written.
    pub(super) fn minute_goes_on(&self) {
        self.archive.iter().for_each(Archive::wake);
    }

    /// Has the last of this life written.
    pub(super) fn finish(&self, total: &Window, wall: Duration) {
        self.leave(total, wall);
        self.archive.iter().for_each(Archive::wake);
    }

    /// Waits until the file is written and closed.
    pub(super) async fn close(&self) {
        if let Some(archive) = &self.archive {
            archive.close().await;
        }
    }

    /// Compares everything since the start or the last clear with what the version before left; `None` without a history
    /// file, without a version, and where there is none before.
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

    /// Returns how the history file is; `None` where there is none.
    pub(crate) fn archive(&self) -> Option<Arc<ArchiveStatus>> {
        self.archive.as_ref().map(Archive::status)
    }

    fn leave(&self, total: &Window, wall: Duration) {
        if let Some((archive, snapshot)) = self.archive.as_ref().zip(self.snapshot(total, wall)) {
            archive.leave(snapshot);
        }
    }

    fn snapshot(&self, total: &Window, wall: Duration) -> Option<VersionSnapshot> {
        let service = self.service.as_ref()?;
        let written_at = Timestamp::try_from(SystemTime::UNIX_EPOCH + wall).unwrap_or_default().to_string();
        let snapshot = VersionSnapshot::new(&*service.name, &*service.version, written_at, latencies(total));
        snapshot.inspect_err(|error| warn!(%error, "this version leaves no snapshot")).ok()
    }
}
