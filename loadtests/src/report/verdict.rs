//! The last lines of a run: passed or not, and why.

use crate::result::RunResult;

/// The verdict as text.
pub(crate) fn render_verdict(result: &RunResult) -> String {
    let verdict = &result.verdict;
    let mut text = String::from("\n");
    for check in &verdict.checks {
        let mark = match check.status.as_str() {
            "passed" => "ok  ",
            "noted" => "note",
            _ => "FAIL",
        };
        let what = match (&check.rule, &check.severity) {
            (Some(rule), Some(severity)) => format!("{rule} ({severity}): {}", check.condition),
            _ => check.condition.clone(),
        };
        text.push_str(&format!("{mark}  {}: {what}; observed {}\n", check.subject, check.observed));
    }
    if let Some(reason) = &result.generator.reason {
        text.push_str(&format!(
            "The generator was saturated: {reason}. What is measured is the generator as much as the service; use fewer \
             users, a lower rate, a release build or another machine.\n"
        ));
    }
    let line = match verdict.conclusion.as_str() {
        "passed" => "PASSED",
        "breached" => "BREACHED",
        "generator saturated" => "GENERATOR SATURATED",
        "interrupted" => "INTERRUPTED: the result covers the time until then",
        _ => "SET-UP ERROR",
    };
    text.push_str(line);
    text.push('\n');
    text
}
