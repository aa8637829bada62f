//! Finds the programs that end-to-end tests run, such as PostgreSQL and Prometheus.

use std::path::{Path, PathBuf};

/// Finds a program in `PATH` or in `directories`. Where it is missing the caller's test does nothing: that panics in
/// CI, and prints a note elsewhere.
pub(crate) fn program(name: &str, package: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).collect();
    let found = path.iter().chain(directories).map(|directory| directory.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let message = format!("{name} is not installed; .ci/run installs it ({package})");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("NOT TESTED: {message}");
    }
    found
}

/// Returns `parent/*/below`, for programs installed in a directory for each version.
pub(crate) fn folders(parent: &Path, below: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(below)).collect()
}
