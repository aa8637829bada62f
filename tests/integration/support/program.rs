//! Programs that the end-to-end tests need.

use std::path::{Path, PathBuf};

/// Finds a program on the path or in `directories`. In CI a missing one is a failure, elsewhere it is said.
pub(crate) fn program(name: &str, package: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).collect();
    let found = path.iter().chain(directories).map(|directory| directory.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let said = format!("{name} is not installed; .ci/run installs it (Debian package {package})");
        assert!(std::env::var_os("CI").is_none(), "{said}");
        eprintln!("NOT TESTED: {said}");
    }
    found
}

/// Returns the folders in `parent`, each with `below` after it.
pub(crate) fn folders(parent: &Path, below: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(below)).collect()
}
