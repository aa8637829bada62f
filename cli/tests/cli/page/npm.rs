//! Packages of npm, which `.ci/run` installs beside the compiled tests.

use std::path::{Path, PathBuf};

use crate::missing;

/// Returns a file of a package; where it is missing the test does nothing, and fails in CI, unless that said that npm has nothing.
pub(super) fn file(path: &str) -> Option<PathBuf> {
    if std::env::var_os("NO_NPM").is_some() {
        eprintln!("NOT TESTED: npm packages could not be installed");
        return None;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/npm/node_modules").join(path);
    if file.is_file() {
        return Some(file);
    }
    missing(&format!("{path} is not installed; .ci/run installs it from npm"));
    None
}
