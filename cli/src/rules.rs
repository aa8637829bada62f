//! `pinchpoint rules`: checks rule files, and prints what may stand in them and the alerts that Prometheus makes of them.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use pinchpoint::{LoadError, RuleSet, export};

use crate::{
    answer,
    args::{Export, RulesCommand},
};

/// Why a command on rules failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// The files have mistakes; one a line, each with its place.
    #[error(transparent)]
    Load(#[from] LoadError),
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
        RulesCommand::Export { to, rules, native, strict, output } => {
            let answer = match to {
                Export::InProcess => export::in_process(),
                Export::Prometheus => prometheus(&of_files(rules)?, *native, *strict)?,
            };
            if let Some(path) = output {
                return fs::write(path, answer).map_err(|source| RulesError::File { path: path.clone(), source });
            }
            answer
        }
        RulesCommand::Schema => RuleSet::json_schema(),
        RulesCommand::Reference => RuleSet::reference_markdown(),
    };
    Ok(answer::write(&answer, out)?)
}

/// Returns the rules of the files, those in `./rules`, or those built in.
fn of_files(files: &[PathBuf]) -> Result<RuleSet, LoadError> {
    let here = Path::new("rules");
    match files {
        [] if here.is_dir() => RuleSet::load_dir(here),
        [] => Ok(RuleSet::embedded()),
        files => RuleSet::check_files(files),
    }
}

/// Returns the rules as alerts; says on standard error what is left out.
fn prometheus(rules: &RuleSet, native: bool, strict: bool) -> Result<String, RulesError> {
    let histograms = if native { export::Histograms::Native } else { export::Histograms::Classic };
    let exported = export::prometheus(rules, histograms);
    for export::LeftOut { rule, reason } in &exported.left_out {
        // Standard output is the file.
        let _ = writeln!(io::stderr(), "warning: {rule} is left out: {reason}");
    }
    if strict && !exported.left_out.is_empty() {
        return Err(RulesError::LeftOut(exported.left_out.into_iter().map(|left_out| left_out.rule).collect()));
    }
    Ok(exported.file)
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

    fn export(to: Export, rules: Vec<PathBuf>, strict: bool, output: Option<PathBuf>) -> RulesCommand {
        RulesCommand::Export { to, rules, native: false, strict, output }
    }

    #[test]
    fn a_rule_that_prometheus_cannot_judge_is_left_out_and_fails_where_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.yaml");
        let rule = |id: &str, measure: &str| {
            format!(
                "  - id: {id}\n    scope: endpoint\n    measure: {measure}\n    thresholds: {{ high: \"> 1s\" }}\n    description: slow\n    impact: \"{{value}}\"\n"
            )
        };
        let rules = format!("rules:\n{}{}", rule("slow", "avg_duration"), rule("slowest", "max_duration"));
        std::fs::write(&file, rules).unwrap();
        let written = answer(&export(Export::Prometheus, vec![file.clone()], false, None));
        assert!(written.contains("alert: SlowHigh") && !written.contains("alert: SlowestHigh"), "{written}");
        assert!(written.contains("# - slowest: max_duration: a histogram"), "{written}");
        let strict = run(&export(Export::Prometheus, vec![file], true, None), &mut io::sink()).unwrap_err();
        assert_eq!(strict.to_string(), "left out, since Prometheus cannot judge them: slowest");
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
    fn alerts_go_to_the_file_that_is_named_and_nowhere_else() {
        let export = |output| export(Export::InProcess, Vec::new(), false, output);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.yml");
        assert_eq!(answer(&export(Some(path.clone()))), "");
        assert_eq!(fs::read_to_string(&path).unwrap(), answer(&export(None)));
        let missing = directory.path().join("no/such/alerts.yml");
        let error = run(&export(Some(missing.clone())), &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", missing.display()));
    }

    #[test]
    fn the_schema_is_json() {
        let schema: serde_json::Value = serde_json::from_str(&answer(&RulesCommand::Schema)).unwrap();
        assert!(schema["$schema"].is_string());
    }
}
