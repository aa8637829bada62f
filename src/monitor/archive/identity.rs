//! [`Identity`]: which file a name stands for now.
//!
//! A name may stand for another file at any time: a tool puts a copy back, an operator removes the file, another process
//! sets a broken one aside. The archive compares identities before it writes, and never trusts the name.

use std::{
    fs::{File, Metadata, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::error::ArchiveError;

/// Broken files kept beside the history file before the next one is refused.
const SET_ASIDE: u32 = 100;

/// A file, whatever its name. On platforms that do not identify files, all are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns the file that has a name now; `None` where there is none.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::of(&metadata))
    }

    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// Moves a broken file to a free name beside it, and returns that name.
///
/// Another process may have found it broken too. The file is therefore moved only while it is still the one that was
/// found `broken`, and only under its lock: neither process takes the other's new file for the broken one.
#[expect(clippy::incompatible_msrv, reason = "the feature `archive` asks for Rust 1.90, as redb does")]
pub(super) fn set_aside(path: &Path, broken: Option<Identity>) -> Result<PathBuf, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::from_io)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(ArchiveError::Locked);
    }
    let locked = Identity::of(&file.metadata().map_err(ArchiveError::from_io)?);
    if broken != Some(locked) || Identity::at(path) != Some(locked) {
        return Err(ArchiveError::Locked);
    }
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".broken".to_owned() } else { format!(".broken-{number}") });
        PathBuf::from(name)
    };
    for free in (1..=SET_ASIDE).map(name) {
        // A link never replaces anything; a rename does.
        match std::fs::hard_link(path, &free) {
            Ok(()) => {
                std::fs::remove_file(path).map_err(ArchiveError::from_io)?;
                return Ok(free);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if free.exists() => {}
            // Not every file system has links.
            Err(_) => {
                std::fs::rename(path, &free).map_err(ArchiveError::from_io)?;
                return Ok(free);
            }
        }
    }
    Err(ArchiveError::TooManyBroken(SET_ASIDE))
}
