//! `pinchpoint rules`: checks and tests rule files, and prints what may stand in them and the alerts that Prometheus makes of them.

mod replay;
mod suggest;
mod test;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use pinchpoint::{LoadError, RuleSet, replay::TestFileError};

use self::replay::ReplayError;
use crate::{answer, args::RulesCommand, export};

/// Why a command on rules failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// The files have mistakes; one a line, each with its place.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is no rule file that something could be suggested for.
    #[error("no rule files: there is no directory ./rules; name them with --rules")]
    NoRules,
    /// The past cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A file of rule tests cannot be run.
    #[error(transparent)]
    Tests(#[from] TestFileError),
    /// Tests of rules failed; the answer says which and how.
    #[error("{failed} of {all} {} failed", if *all == 1 { "test" } else { "tests" })]
    Failed {
        /// How many failed.
        failed: usize,
        /// How many there are.
        all: usize,
    },
    /// The file that was asked for could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Rules were left out, and `--strict` was given.
    #[error("left out, since Prometheus cannot judge them: {}", .0.join(", "))]
    LeftOut(Vec<String>),
    /// An option is of something else than what is exported.
    #[error("{option} is for {of} only")]
    Option {
        /// The option.
        option: &'static str,
        /// What it is for.
        of: &'static str,
    },
    /// Several files are to be written, and no directory is named.
    #[error("--to {to} writes several files; name their directory with --output")]
    Directory {
        /// What is exported.
        to: String,
    },
    /// The answer could not be written.
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
}

/// Writes the answer to `out`, or to the file that the command names.
///
/// # Errors
/// Returns an error when a file has a mistake, or when the answer cannot be written.
pub(crate) fn run(command: &RulesCommand, out: &mut impl Write) -> Result<(), RulesError> {
    let answer = match command {
        RulesCommand::Check { files } => good(files, RuleSet::check_files(files)?.ids().count()),
        RulesCommand::Export(arguments) => return export::run(arguments, out),
        RulesCommand::Replay(args) => return replay::run(args, out),
        RulesCommand::Suggest(args) => return suggest::run(args, out),
        RulesCommand::Test { files, promtool } => return test::run(files, promtool.as_deref(), out),
        RulesCommand::Schema => RuleSet::json_schema(),
        RulesCommand::Reference => RuleSet::reference_markdown(),
    };
    Ok(answer::write(&answer, out)?)
}

/// Writes an answer to `out`, or to the file that the command names.
pub(crate) fn write(answer: &str, file: Option<&Path>, out: &mut impl Write) -> Result<(), RulesError> {
    match file {
        Some(path) => write_file(answer, path),
        None => Ok(answer::write(answer, out)?),
    }
}

/// Writes a text to a file as it is.
pub(crate) fn write_file(text: &str, path: &Path) -> Result<(), RulesError> {
    fs::write(path, text).map_err(|source| RulesError::File { path: path.to_owned(), source })
}

fn good(files: &[PathBuf], rules: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let rules_are = if rules == 1 { "is" } else { "are" };
    // `RuleSet` does not report how many files a directory held.
    if files.iter().any(|path| path.is_dir()) {
        format!("{} {rules_are} good", count(rules, "rule"))
    } else {
        format!("{} in {} {rules_are} good", count(rules, "rule"), count(files.len(), "file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn answer(command: &RulesCommand) -> String {
        let mut out = Vec::new();
        run(command, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn good_files_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let (one, none) = (directory.path().join("one.yaml"), directory.path().join("none.yaml"));
        let rule = "rules:\n  - id: slow_shop\n    scope: endpoint\n    measure: avg_duration\n    \
                    thresholds: { high: \"> 1s\" }\n    description: slow\n    impact: \"{value}\"\n";
        std::fs::write(&one, rule).unwrap();
        std::fs::write(&none, "rules: []\n").unwrap();
        let check =
            |files: &[&PathBuf]| answer(&RulesCommand::Check { files: files.iter().copied().cloned().collect() });
        assert_eq!(check(&[&one]), "1 rule in 1 file is good\n");
        assert_eq!(check(&[&one, &none]), "1 rule in 2 files is good\n");
        assert_eq!(check(&[&none]), "0 rules in 1 file are good\n");
        assert_eq!(check(&[&directory.path().to_owned()]), "1 rule is good\n");
    }

    #[test]
    fn problems_read_as_the_library_reports_them() {
        let files = vec![PathBuf::from("no/such.yaml")];
        let error = run(&RulesCommand::Check { files: files.clone() }, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), RuleSet::check_files(&files).unwrap_err().to_string());
        assert!(error.to_string().starts_with("no/such.yaml: "), "{error}");
    }

    #[test]
    fn the_schema_is_json() {
        let schema: serde_json::Value = serde_json::from_str(&answer(&RulesCommand::Schema)).unwrap();
        assert!(schema["$schema"].is_string());
    }
}
