//! [`RulesWatch`]: the rules in force, and the files they come from.
//!
//! The files are read every second and compared by content. That detects every way in which an editor or a Kubernetes
//! ConfigMap writes them (in place, by rename, by switching a symbolic link), needs no notification service of the
//! platform, and costs some microseconds for a few small files. New content is parsed once two looks in a row have found
//! it: a file that is renamed away for a moment, or half written to what happens to be good YAML, takes no rule out of
//! force. The invariant that a change could break: the texts that are parsed are the texts that were compared.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::rules::{LoadError, RuleSet, RuleTexts};

/// Time between two looks, and how long files must stay unchanged before they are parsed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The rules in force.
#[derive(Clone, Debug)]
pub(crate) struct RulesState {
    pub(crate) set: Arc<RuleSet>,
    /// `embedded` or `directory`.
    pub(crate) source: &'static str,
    pub(crate) loaded: Instant,
    /// What is wrong with the files as they are now, where `set` is from before.
    pub(crate) error: Option<Arc<LoadError>>,
}

/// What a look at the files found.
#[derive(Debug)]
pub(crate) enum Reload {
    /// The files are as before, or are still being changed.
    Unchanged,
    /// The files changed, to these rules.
    Loaded(Arc<RuleSet>),
    /// The files changed, and are wrong.
    Refused(Arc<LoadError>),
}

/// The rule files of a directory, as the last looks found them.
#[derive(Debug)]
pub(crate) struct RulesWatch {
    directory: PathBuf,
    /// The texts that were loaded or refused last.
    parsed: RuleTexts,
    /// The texts that the last look found, where they differ from those.
    unsettled: Option<RuleTexts>,
}

impl RulesWatch {
    /// Loads the rules of a directory.
    ///
    /// # Errors
    ///
    /// Returns every problem of every file.
    pub(super) fn open(directory: PathBuf) -> Result<(Self, RuleSet), LoadError> {
        let parsed = RuleTexts::of_dir(&directory);
        let set = RuleSet::of_texts(&parsed)?;
        Ok((Self { directory, parsed, unsettled: None }, set))
    }

    /// Reads the files and compares them with the last looks.
    pub(super) fn look(&mut self) -> Reload {
        let now = RuleTexts::of_dir(&self.directory);
        if now == self.parsed {
            self.unsettled = None;
            return Reload::Unchanged;
        }
        if self.unsettled.as_ref() != Some(&now) {
            self.unsettled = Some(now);
            return Reload::Unchanged;
        }
        self.unsettled = None;
        self.parsed = now;
        match RuleSet::of_texts(&self.parsed) {
            Ok(set) => Reload::Loaded(Arc::new(set)),
            Err(error) => Reload::Refused(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn rule(id: &str) -> String {
        format!(
            "  - id: {id}\n    scope: endpoint\n    measure: avg_duration\n    thresholds: {{ high: \"> 1s\" }}\n    \
             description: x\n"
        )
    }

    fn rules(ids: &[&str]) -> String {
        format!("rules:\n{}", ids.iter().map(|id| rule(id)).collect::<String>())
    }

    struct Watched {
        directory: TempDir,
        watch: RulesWatch,
    }

    impl Watched {
        /// Watches `a.yaml` with the rules `a1` and `a2`, and `b.yaml` with `b`.
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            fs::write(directory.path().join("a.yaml"), rules(&["a1", "a2"])).expect("writes");
            fs::write(directory.path().join("b.yaml"), rules(&["b"])).expect("writes");
            let (watch, _) = RulesWatch::open(directory.path().to_owned()).expect("good rules");
            Self { directory, watch }
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) {
            fs::write(self.directory.path().join(name), content).expect("writes");
        }

        /// What one look finds: nothing, the rules, or what is wrong.
        #[track_caller]
        fn look(&mut self, expected: &str) {
            let found = match self.watch.look() {
                Reload::Unchanged => "-".to_owned(),
                Reload::Loaded(set) => set.ids().collect::<Vec<_>>().join(" "),
                Reload::Refused(error) => {
                    error.to_string().replace(&format!("{}", self.directory.path().display()), "rules")
                }
            };
            assert_eq!(found, expected);
        }

        /// What the second of two looks finds: the first one only notes the change.
        #[track_caller]
        fn settle(&mut self, expected: &str) {
            self.look("-");
            self.look(expected);
            self.look("-");
        }
    }

    #[test]
    fn a_good_part_of_a_file_changes_nothing_until_it_stays() {
        let mut files = Watched::new();
        let whole = rules(&["a1", "a2"]);
        files.write("a.yaml", rules(&["a1"]));
        files.look("-");
        files.write("a.yaml", &whole[..whole.len() - 5]);
        files.look("-");
        files.write("a.yaml", &whole);
        files.look("-");
        files.write("a.yaml", rules(&["a1"]));
        files.settle("a1 b");
    }

    #[test]
    fn a_file_may_come_and_go() {
        let mut files = Watched::new();
        files.write("c.yml", rules(&["c"]));
        files.settle("a1 a2 b c");
        fs::remove_file(files.directory.path().join("b.yaml")).expect("removes");
        files.settle("a1 a2 c");
        let (path, away) = (files.directory.path().join("a.yaml"), files.directory.path().join("a.yaml~"));
        fs::rename(&path, &away).expect("renames");
        files.look("-");
        fs::rename(&away, &path).expect("renames");
        files.look("-");
        files.look("-");
    }

    #[test]
    fn a_missing_directory_is_reported_and_found_again() {
        let mut files = Watched::new();
        let (path, away) = (files.directory.path().to_owned(), files.directory.path().with_extension("away"));
        fs::rename(&path, &away).expect("renames");
        files.settle("rules: cannot be read: No such file or directory (os error 2)");
        fs::create_dir(&path).expect("creates");
        files.settle("rules: no rule files here; expected at least one *.yaml");
        fs::remove_dir(&path).expect("removes");
        fs::rename(&away, &path).expect("renames");
        files.settle("a1 a2 b");
    }

    #[test]
    fn an_edit_that_is_taken_back_is_good_again() {
        let mut files = Watched::new();
        files.write("b.yaml", "rules: 7\n");
        files.settle("rules/b.yaml:1:8: rules is a plain value; expected a list");
        files.write("b.yaml", rules(&["b"]));
        files.settle("a1 a2 b");
    }

    #[test]
    fn a_file_that_is_too_large_is_reported_and_may_shrink() {
        let mut files = Watched::new();
        let large = |ids: &[&str]| format!("{}#{}\n", rules(ids), "x".repeat(1_100_000));
        files.write("b.yaml", large(&["b"]));
        files.settle("rules/b.yaml: larger than 1 MiB, the limit for a rule file");
        files.write("b.yaml", large(&["b", "b2"]));
        files.look("-");
        files.look("-");
        files.write("b.yaml", rules(&["b", "b2"]));
        files.settle("a1 a2 b b2");
    }

    #[test]
    fn an_encoding_is_utf_8_with_whatever_ends_of_lines() {
        let mut files = Watched::new();
        files.write("b.yaml", b"rules: [] # caf\xe9\n");
        files.settle("rules/b.yaml:1:16: not UTF-8; save it in that encoding");
        files.write("b.yaml", format!("\u{feff}{}", rules(&["b2"])));
        files.settle("a1 a2 b2");
        files.write("b.yaml", rules(&["b3"]).replace('\n', "\r\n"));
        files.settle("a1 a2 b3");
        let wrong = format!("\u{feff}{}", rules(&["b4"]).replace('\n', "\r\n").replace("avg_", "avrg_"));
        files.write("b.yaml", wrong);
        files.settle(
            "rules/b.yaml:4:14: rule \"b4\": unknown measure \"avrg_duration\" of scope endpoint; did you mean \
             \"avg_duration\"?",
        );
    }
}
