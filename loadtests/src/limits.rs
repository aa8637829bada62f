//! How many files this process may open. Each user's connection is one.

/// Raises the limit as far as the system allows. The usual limits would end a test at 256 or 1,024 users.
#[cfg(unix)]
pub(crate) fn raise_open_files() {
    // A failure is reported once the limit is reached: most tests never reach it.
    _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Does nothing: this platform has no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_open_files() {}

/// Returns the limit, where there is one.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

/// Returns the limit, where there is one.
#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<u64> {
    None
}
