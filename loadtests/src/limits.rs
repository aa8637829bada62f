//! How many files this process may open: each user's connection is one.

/// Raises the limit as far as it may be raised; without that, some systems end at 256 users and most at 1,024.
#[cfg(unix)]
pub(crate) fn raise_open_files() {
    // What cannot be raised shows when it is reached, and is told then.
    _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Raises the limit as far as it may be raised.
#[cfg(not(unix))]
pub(crate) fn raise_open_files() {}

/// The limit, where there is one.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

/// The limit, where there is one.
#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<u64> {
    None
}
