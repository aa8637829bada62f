//! `pinchpoint rules test`: runs unit tests of rules.

use std::{fmt::Write as _, io::Write, path::PathBuf};

use pinchpoint::replay::{RuleTests, TestResult, promtool_tests};

use super::RulesError;
use crate::answer;

/// Runs the tests of every file, and writes what became of them; or writes them for promtool, where `rule_file` has the alerts.
pub(super) fn run(files: &[PathBuf], rule_file: Option<&str>, out: &mut impl Write) -> Result<(), RulesError> {
    // Before any is run: a mistake in the last file should not take as long as the tests of the others.
    let read: Result<Vec<_>, _> = files.iter().map(|path| RuleTests::read(path)).collect();
    if let Some(rule_file) = rule_file {
        return Ok(answer::write(&promtool_tests(&read?, rule_file), out)?);
    }
    let (mut text, mut all, mut failed) = (String::new(), 0, 0);
    for (path, tests) in files.iter().zip(read?) {
        let results = tests.run();
        let failures: Vec<&TestResult> = results.iter().filter(|result| !result.differences.is_empty()).collect();
        (all, failed) = (all + results.len(), failed + failures.len());
        let path = path.display();
        let passed = results.len() - failures.len();
        let _ = writeln!(text, "{path}: {passed} of {} passed", results.len());
        for TestResult { name, line, differences } in failures {
            let _ = writeln!(text, "\n{path}:{line}: {name}: FAILED");
            for difference in differences {
                let _ = writeln!(text, "  {}", difference.to_string().replace('\n', "\n  "));
            }
        }
    }
    answer::write(&text, out)?;
    if failed == 0 { Ok(()) } else { Err(RulesError::Failed { failed, all }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(test: &str, expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.test.yaml");
        std::fs::write(&path, test).unwrap();
        let mut out = Vec::new();
        let error = run(std::slice::from_ref(&path), None, &mut out)
            .err()
            .map(|error| format!("{error}\n"))
            .unwrap_or_default();
        let answer = (String::from_utf8(out).unwrap() + &error).replace(path.to_str().unwrap(), "shop.test.yaml");
        assert_eq!(answer, expected);
    }

    const TEST: &str = "\
tests:
  - name: orders fail
    traffic: [GET /orders 20/s errors 50%]
    expect:
      - at: 20s
        alerts: [firing critical high_error_rate GET /orders]
";

    #[test]
    fn what_passes_is_counted() {
        check(TEST, "shop.test.yaml: 1 of 1 passed\n");
    }

    #[test]
    fn what_differs_is_shown_with_its_value_and_threshold() {
        let expected = "\
shop.test.yaml: 0 of 1 passed

shop.test.yaml:2: orders fail: FAILED
  line 5: at 10s, expected (-) and found (+):
    - firing critical high_error_rate GET /orders
    + pending critical high_error_rate GET /orders  (50% > 25%, since 5s)
1 of 1 test failed
";
        check(&TEST.replace("20s", "10s"), expected);
    }

    #[test]
    fn mistakes_are_reported_with_their_place() {
        let expected = "\
shop.test.yaml:3:15: \"orders\" is no route; expected one such as /orders, or unmatched
shop.test.yaml:4:5: unknown key \"expects\" in test; did you mean \"expect\"?
shop.test.yaml:2:5: missing key \"expect\" in test
";
        let mut lines: Vec<&str> = expected.lines().collect();
        lines.sort_unstable();
        check(&TEST.replace("/orders 20", "orders 20").replace("expect:", "expects:"), &(lines.join("\n") + "\n"));
        let expected = "shop.test.yaml:6:18: no rule is called \"high_eror_rate\"; did you mean \"high_error_rate\"?\n";
        check(&TEST.replace("high_error_rate", "high_eror_rate"), expected);
        check("", "shop.test.yaml:1:1: file has no tests; expected \"tests:\" and a list\n");
    }
}
