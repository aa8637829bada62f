//! The tests that are shipped with the default rules: they pass, and leave no threshold out.

use std::{collections::BTreeSet, path::PathBuf};

use super::*;
use crate::rules::RuleSet;

fn files() -> Vec<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/tests");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    let mut failures = Vec::new();
    for path in files() {
        let tests = RuleTests::read(&path).unwrap_or_else(|error| panic!("{error}"));
        for TestResult { name, line, differences } in tests.run() {
            let differences =
                differences.iter().map(|difference| format!("{}:{line}: {name}: {difference}", path.display()));
            failures.extend(differences);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_threshold_of_the_shipped_rules_fires_in_a_test() {
    let texts: String = files().iter().map(|path| std::fs::read_to_string(path).expect("readable")).collect();
    let rules = RuleSet::embedded();
    let all = rules
        .rules()
        .iter()
        .flat_map(|rule| rule.thresholds.0.iter().map(|(severity, _)| format!("firing {severity} {} ", rule.id)));
    let missing: BTreeSet<String> = all.filter(|line| !texts.contains(line.as_str())).collect();
    assert_eq!(missing, BTreeSet::new());
}
