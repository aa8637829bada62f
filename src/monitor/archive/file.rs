//! [`ArchiveFile`]: an open history file.
//!
//! The store is redb: pages are never overwritten in place and carry checksums, and a commit is on the disk when it
//! returns, so that a process or a machine that dies leaves the last commit. The invariant that a change could break:
//! damage of any kind is an error of [`open`](ArchiveFile::open), and never a panic.

use std::{
    fs::OpenOptions,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use redb::{Database, ReadableDatabase as _, backends::FileBackend};

use super::{
    error::ArchiveError,
    head,
    identity::Identity,
    tables::{self, Contents, ENDPOINTS, Forget, HALF_HOURS, MINUTES, REGULAR, RHYTHMS, RUNS, VERSIONS, millis},
};
use crate::{
    analysis::VersionSnapshot,
    store::{Changes, KnownRhythms, Run, SlotKey},
};

/// Pages kept in memory: those of a minute's slot and the path to it. redb's default is a gigabyte.
const CACHE_BYTES: usize = 1 << 20;

/// An open history file. It is locked: no other process can open it.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    database: Database,
    identity: Identity,
}

impl ArchiveFile {
    /// Opens or makes the file, and enters `run` in it. Runs older than `retention` are dropped, and with
    /// [`Forget::UnusedNames`] the names of endpoints that no slot mentions.
    pub(super) fn open(
        path: &Path,
        run: &Run,
        retention: Duration,
        forget: Forget,
    ) -> Result<(Self, Contents), ArchiveError> {
        let is_empty = head::check(path)?;
        let mut builder = Database::builder();
        // With the check, a file that something else wrote to is an error; without it, redb panics later.
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let open = || -> Result<_, ArchiveError> {
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let file = options.map_err(ArchiveError::from_io)?;
            let identity = Identity::of(&file.metadata().map_err(ArchiveError::from_io)?);
            let file = Self { database: builder.create_with_backend(FileBackend::new(file)?)?, identity };
            if !file.is_at(path) {
                // Another process set it aside before it was locked here.
                return Err(ArchiveError::Locked);
            }
            let writing = file.database.begin_write()?;
            let contents = tables::read(&writing, is_empty, run, retention, forget)?;
            writing.commit()?;
            Ok((file, contents))
        };
        // Damage that redb's checks do not foresee can still make it panic: the file is then as broken as any.
        catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| Err(ArchiveError::from_panic(&*panic)))
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns whether `path` still stands for this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        Identity::at(path) == Some(self.identity)
    }

    /// Writes what changed, all of it or nothing. It is on the disk when this returns.
    pub(super) fn write(&self, changes: &Changes) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        if changes.cleared {
            writing.delete_table(MINUTES)?;
            writing.delete_table(HALF_HOURS)?;
            writing.delete_table(RHYTHMS)?;
            writing.delete_table(REGULAR)?;
        }
        {
            let mut endpoints = writing.open_table(ENDPOINTS)?;
            for (number, name) in &changes.endpoints {
                endpoints.insert(number, &**name)?;
            }
            let (mut minutes, mut half_hours) = (writing.open_table(MINUTES)?, writing.open_table(HALF_HOURS)?);
            for (key, slot) in &changes.slots {
                let (table, at) = match key {
                    SlotKey::Minute(at) => (&mut minutes, at),
                    SlotKey::HalfHour(at) => (&mut half_hours, at),
                };
                match slot {
                    Some(slot) => drop(table.insert(at, slot.as_bytes())?),
                    None => drop(table.remove(at)?),
                }
            }
            let mut runs = writing.open_table(RUNS)?;
            for started in &changes.lost_runs {
                runs.remove(millis(*started))?;
            }
        }
        Ok(writing.commit()?)
    }

    /// Writes what a version measured, all of it or nothing, and apart from the minutes: a snapshot that the disk has no
    /// room for must not keep them out.
    pub(super) fn write_version(&self, snapshot: &VersionSnapshot) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        tables::write_version(&writing, snapshot)?;
        Ok(writing.commit()?)
    }

    /// Writes what another part of the monitor keeps under a key.
    pub(super) fn keep(&self, key: &str, json: &[u8]) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        writing.open_table(tables::KEPT)?.insert(key, json)?;
        Ok(writing.commit()?)
    }

    /// Writes how often everything usually runs, all of it or nothing.
    pub(super) fn write_rhythms(&self, rhythms: &KnownRhythms) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        tables::write_rhythms(&writing, rhythms)?;
        Ok(writing.commit()?)
    }

    /// Returns the snapshot of a version; `None` where there is none that can be read.
    pub(super) fn version(&self, version: &str) -> Result<Option<VersionSnapshot>, ArchiveError> {
        let reading = self.database.begin_read()?;
        let json = reading.open_table(VERSIONS)?.get(version)?;
        Ok(json.and_then(|json| serde_json::from_slice(json.value()).ok()))
    }
}
