//! [`ArchiveError`].

use std::{
    any::Any,
    io::{self, ErrorKind},
};

use redb::StorageError;

use crate::store::FORMAT;

/// Why a history file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the history file is in use by another process; trends are kept in memory until it is free")]
    Locked,
    #[error("the file is not a history file and was not changed; choose another path")]
    Foreign,
    #[error("the history file has schema {found}, and this release reads schema {FORMAT}; it was left as it is")]
    Schema { found: u64 },
    #[error("the file of that name is a store of format {0}, which this release does not read; it was left as it is")]
    StoreFormat(u8),
    #[error("the history file is broken: {0}")]
    Broken(String),
    #[error("{0} broken history files were set aside already; look at them and remove them")]
    TooManyBroken(u32),
    #[error("the history file cannot be read or written: {0}")]
    Io(#[source] redb::Error),
}

impl ArchiveError {
    pub(super) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Self::Broken(words.unwrap_or("its store gave up").to_owned())
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        Self::Io(StorageError::Io(error).into())
    }

    /// Returns the kind of failure, for the metric's label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Foreign | Self::Schema { .. } | Self::StoreFormat(_) => "refused",
            Self::Broken(_) | Self::TooManyBroken(_) => "broken",
            Self::Io(_) => "io",
        }
    }
}

impl<E: Into<redb::Error>> From<E> for ArchiveError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Corrupted(what) => Self::Broken(what),
            // The file ends before what its head promises: it was cut, and no disk will ever have the rest.
            redb::Error::Io(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
                Self::Broken(error.to_string())
            }
            // The archive never wrote an older format.
            redb::Error::UpgradeRequired(format) => Self::StoreFormat(format),
            other => Self::Io(other),
        }
    }
}
