//! [`RulesWatch`]: the rules in force, and the files they come from.
//!
//! The files are read at every tick and compared by content. That sees every way in which an editor or a Kubernetes
//! ConfigMap writes them (in place, by rename, by switching a symbolic link), asks for no notification service of the
//! platform, and costs some microseconds for a few small files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::time::Instant;

use crate::rules::{LoadError, RuleSet};

/// Rule files larger than this are not read further: a mistake, not a configuration.
const LARGEST: u64 = 1 << 20;

/// The rules in force.
#[derive(Clone, Debug)]
pub(crate) struct RulesState {
    pub(crate) set: Arc<RuleSet>,
    /// `embedded` or `directory`.
    pub(crate) source: &'static str,
    pub(crate) loaded: Instant,
    /// What is wrong with the files as they are now; the rules are those from before.
    pub(crate) error: Option<Arc<LoadError>>,
}

/// What a look at the files found.
#[derive(Debug)]
pub(crate) enum Reload {
    /// They are as they were.
    Unchanged,
    /// They changed, and are in force.
    Loaded(Arc<RuleSet>),
    /// They changed, and are wrong.
    Refused(Arc<LoadError>),
}

/// Looks at the files of a directory.
#[derive(Debug)]
pub(crate) struct RulesWatch {
    directory: PathBuf,
    seen: Vec<(PathBuf, Vec<u8>)>,
}

impl RulesWatch {
    /// Loads the rules of a directory.
    ///
    /// # Errors
    ///
    /// Returns every problem of every file.
    pub(super) fn open(directory: PathBuf) -> Result<(Self, RuleSet), LoadError> {
        // Read before they are loaded: an edit between the two is then seen as a change.
        let seen = contents(&directory);
        let set = RuleSet::load_dir(&directory)?;
        Ok((Self { directory, seen }, set))
    }

    /// Looks whether the files changed.
    pub(super) fn look(&mut self) -> Reload {
        let now = contents(&self.directory);
        if now == self.seen {
            return Reload::Unchanged;
        }
        self.seen = now;
        match RuleSet::load_dir(&self.directory) {
            Ok(set) => Reload::Loaded(Arc::new(set)),
            Err(error) => Reload::Refused(Arc::new(error)),
        }
    }
}

/// Returns the contents of the rule files; what cannot be read has none.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"))
        .map(|path| {
            let small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
            let content = if small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
            (path, content)
        })
        .collect();
    files.sort();
    files
}
