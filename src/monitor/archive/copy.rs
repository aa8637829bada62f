//! [`read`]: what a history file holds, without opening it for writing.
//!
//! A running service has its file locked, and redb never reads a locked file. So the file is copied into memory and the copy is
//! opened. A copy that is made while the service commits may be torn; redb's checksums find that, and it is made again. Invariant:
//! nothing is written to the file or beside it.

use std::{
    fs::File,
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, SystemTime},
};

use redb::{Database, StorageBackend as _, backends::InMemoryBackend};

use super::{
    error::ArchiveError,
    head,
    tables::{self, Contents, Forget},
};
use crate::store::{ArchiveContents, Run};

/// Copies that are made while the service writes: it does so for some milliseconds, every half minute.
const ATTEMPTS: usize = 10;
/// Largest file that is read. What a service writes is bounded by its `history_bytes`, 64 MB unless set.
const LARGEST: u64 = 1 << 30;

/// What a history file holds.
#[derive(Debug)]
pub(crate) struct StoredContents {
    pub(crate) contents: ArchiveContents,
    /// Entries that cannot be read and are left out.
    pub(crate) unreadable: usize,
}

/// Why a history file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// There is nothing in the file.
    #[error("the file is empty; a service writes its first minute half a minute after its start")]
    Empty,
    /// The file is larger than any history.
    #[error("the file has {0} bytes, more than any history file; expected one that history_file of a service names")]
    TooLarge(u64),
    /// The file is no history file, is damaged, or has a format of another release.
    #[error("{0}")]
    Unusable(String),
    /// The file cannot be read.
    #[error("cannot be read")]
    Io(#[from] std::io::Error),
}

/// Reads a file, also while a service has it open; then what the service measured in the last half minute may be missing.
///
/// # Errors
/// Returns why the file cannot be used. It is never changed.
pub(crate) fn read(path: &Path) -> Result<StoredContents, HistoryError> {
    let mut attempt = read_once(path);
    for _ in 1..ATTEMPTS {
        match attempt {
            Err(Failure::Torn) => attempt = read_once(path),
            other => return other.map_err(Failure::into_error),
        }
    }
    attempt.map_err(Failure::into_error)
}

enum Failure {
    /// The file was written to while it was copied.
    Torn,
    For(HistoryError),
}

impl Failure {
    fn into_error(self) -> HistoryError {
        match self {
            Self::Torn => HistoryError::Unusable("the file is written to all the time; read a copy of it".to_owned()),
            Self::For(error) => error,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::For(error.into())
    }
}

fn read_once(path: &Path) -> Result<StoredContents, Failure> {
    let unusable = |error: &ArchiveError| Failure::For(HistoryError::Unusable(error.to_string()));
    let before = stamp(path)?;
    if head::check(path).map_err(|error| unusable(&error))? {
        return Err(Failure::For(HistoryError::Empty));
    }
    if before.0 > LARGEST {
        return Err(Failure::For(HistoryError::TooLarge(before.0)));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    let is_torn = stamp(path)? != before;
    // Damage that redb's checks do not foresee can make it panic.
    let read = catch_unwind(AssertUnwindSafe(|| contents(&bytes)));
    match read.unwrap_or_else(|panic| Err(ArchiveError::from_panic(&*panic))) {
        Ok(Contents { stored, unreadable, .. }) => Ok(StoredContents { contents: stored, unreadable }),
        Err(_) if is_torn => Err(Failure::Torn),
        Err(error) => Err(unusable(&error)),
    }
}

/// Returns the size of a file and when it was last written to.
fn stamp(path: &Path) -> std::io::Result<(u64, Option<SystemTime>)> {
    let metadata = path.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// Opens a copy in memory, and reads it as a service would that starts now.
fn contents(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, bytes));
    filled.map_err(|error| ArchiveError::Broken(error.to_string()))?;
    let database = Database::builder().set_check_integrity_on_open(true).create_with_backend(memory)?;
    let writing = database.begin_write()?;
    // Of the copy; a run is entered into it, which nobody sees.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let run = Run { started: now, version: "".into() };
    tables::read(&writing, false, &run, Duration::MAX, Forget::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        monitor::archive::file::ArchiveFile,
        store::{Changes, SlotKey},
    };

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A file with a minute, still open as a service has it.
    fn opened(path: &Path) -> ArchiveFile {
        let run = Run { started: DAY * 400, version: "1".into() };
        let (file, _) = ArchiveFile::open(path, &run, DAY, Forget::Nothing).expect("a new file");
        let slot = crate::store::Slot::read(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("an empty slot");
        let mut changes = Changes::default();
        changes.slots.insert(SlotKey::Minute(7), Some(slot));
        file.write(&changes).expect("written");
        file
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("history.redb");
        std::fs::write(&path, bytes).expect("written");
        let error = read(&path).map(|stored| stored.contents.slots.len()).expect_err("it is refused").to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(std::fs::read(&path).expect("readable"), bytes, "it was changed");
    }

    #[test]
    fn a_file_is_read_while_a_service_has_it_open_and_not_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("history.redb");
        let open = opened(&path);
        let before = std::fs::read(&path).expect("readable");
        let stored = read(&path).expect("it is read");
        assert_eq!(stored.contents.slots.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [SlotKey::Minute(7)]);
        assert_eq!((stored.contents.runs.len(), stored.unreadable), (1, 0));
        assert_eq!(std::fs::read(&path).expect("readable"), before);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing is left beside it");
        drop(open);
        assert_eq!(read(&path).expect("it is read").contents.slots.len(), 1);
    }

    #[test]
    fn what_is_no_history_file_is_refused_with_the_reason() {
        check(b"", "the file is empty; a service writes its first minute");
        check(b"rules: []\n", "the file is not a history file");
        let directory = tempfile::tempdir().expect("a directory");
        let missing = read(&directory.path().join("none")).expect_err("it is missing").to_string();
        assert_eq!(missing, "cannot be read");
        let path = directory.path().join("history.redb");
        drop(opened(&path));
        let whole = std::fs::read(&path).expect("readable");
        check(&whole[..5000], "the history file is broken: ");
        let mut damaged = whole.clone();
        damaged[4096..].iter_mut().for_each(|byte| *byte = !*byte);
        check(&damaged, "the history file is broken: ");
    }
}
