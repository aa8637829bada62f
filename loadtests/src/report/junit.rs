//! `.xml`: the verdict as JUnit test results, so that a CI system shows each condition.

use super::escape::escape;
use crate::{
    printable::printable_line,
    result::{CheckResult, RunResult},
};

/// The counts of a suite, and its test cases.
#[derive(Default)]
struct Suite {
    failures: u64,
    errors: u64,
    skipped: u64,
    /// Class, name and the rest of each case.
    cases: Vec<(String, String, String)>,
}

/// How a case ended, with what is said about it.
enum CaseEnd<'t> {
    Passed,
    /// It did not hold, which is not enough to fail the test.
    Noted(&'t str),
    Failed(&'t str),
    /// It says nothing about the service, and the user wants no failure of that.
    Skipped(&'t str),
    /// It says nothing about the service, like a test that could not run.
    Error(&'t str, &'t str),
}

/// Returns the result as JUnit XML: a test case for each condition, each endpoint without one, and the run itself.
///
/// CI systems follow a case by its name over many runs, so that no name has a measured value in it.
pub(super) fn render(result: &RunResult) -> String {
    let mut suite = Suite::default();
    for check in &result.verdict.checks {
        suite.push_check(check, result.duration);
    }
    for endpoint in &result.endpoints {
        let is_checked = result.verdict.checks.iter().any(|check| check.subject == endpoint.name());
        if !is_checked {
            suite.push_case("endpoint", endpoint.name(), endpoint.avg_response_time.unwrap_or(0.0), &CaseEnd::Passed);
        }
    }
    suite.push_run(result);
    let properties = result.seed.map_or_else(String::new, |seed| {
        format!("    <properties>\n      <property name=\"seed\" value=\"{seed}\"/>\n    </properties>\n")
    });
    let Suite { failures, errors, skipped, cases } = suite;
    let write = |(class, name, rest): &(String, String, String)| {
        let name = escape(&printable_line(name));
        format!("    <testcase classname=\"loadtest.{}\" name=\"{name}\" {rest}\n", escape(class))
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"loadtest {}\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{}\" timestamp=\"{}\">\n{properties}{}  \
         </testsuite>\n</testsuites>\n",
        escape(&result.target),
        cases.len(),
        result.duration,
        escape(&result.started_at),
        cases.iter().map(write).collect::<String>(),
    )
}

impl Suite {
    fn push_check(&mut self, check: &CheckResult, seconds: f64) {
        let (name, said) = match &check.rule {
            // Which of a rule's thresholds is passed depends on what was measured.
            Some(rule) => {
                (format!("{}: {rule}", check.subject), format!("{}; observed {}", check.condition, check.observed))
            }
            None => (format!("{}: {}", check.subject, check.condition), format!("observed {}", check.observed)),
        };
        let end = match check.status.as_str() {
            "breached" => CaseEnd::Failed(&said),
            "noted" => CaseEnd::Noted(&said),
            _ => CaseEnd::Passed,
        };
        self.push_case(&check.source, name, seconds, &end);
    }

    /// Adds the case of the run itself.
    fn push_run(&mut self, result: &RunResult) {
        let conclusion = result.verdict.conclusion.as_str();
        let reason = result.generator.reason.as_deref().unwrap_or(conclusion);
        let end = match conclusion {
            "passed" | "breached" if result.generator.saturated => CaseEnd::Skipped(reason),
            "passed" | "breached" => CaseEnd::Passed,
            other => CaseEnd::Error(other, reason),
        };
        self.push_case("run", "the result can be trusted".to_owned(), result.duration, &end);
    }

    /// Adds a case, unless a condition was given twice.
    fn push_case(&mut self, class: &str, name: String, seconds: f64, end: &CaseEnd<'_>) {
        if self.cases.iter().any(|(known_class, known, _)| known_class == class && *known == name) {
            return;
        }
        let escape = |text: &str| escape(&printable_line(text));
        let body = match end {
            CaseEnd::Passed => String::new(),
            CaseEnd::Noted(said) => format!("<system-out>{}</system-out>", escape(said)),
            CaseEnd::Failed(said) => {
                self.failures += 1;
                format!("<failure message=\"{}\"/>", escape(said))
            }
            CaseEnd::Skipped(said) => {
                self.skipped += 1;
                format!("<skipped message=\"the generator was saturated: {}\"/>", escape(said))
            }
            CaseEnd::Error(kind, said) => {
                self.errors += 1;
                format!("<error type=\"{}\" message=\"{}\"/>", escape(kind), escape(said))
            }
        };
        self.cases.push((class.to_owned(), name, format!("time=\"{seconds}\">{body}</testcase>")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{GeneratorResult, VerdictResult};

    #[test]
    fn a_breach_is_a_failure_and_saturation_an_error() {
        let check = CheckResult {
            source: "threshold".to_owned(),
            subject: "GET /a&b".to_owned(),
            condition: "p95<1s".to_owned(),
            observed: "2 s".to_owned(),
            status: "breached".to_owned(),
            ..CheckResult::default()
        };
        // The same condition may be given twice.
        let checks = vec![check.clone(), check];
        let verdict = VerdictResult { conclusion: "generator saturated".to_owned(), exit_code: 3, checks };
        let text = render(&RunResult { verdict, ..RunResult::default() });
        assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"1\""), "{text}");
        assert!(
            text.contains("name=\"GET /a&amp;b: p95&lt;1s\"") && text.contains("message=\"observed 2 s\""),
            "{text}"
        );
    }
    #[test]
    fn a_saturated_run_that_may_pass_is_not_called_trustworthy() {
        let generator = GeneratorResult { saturated: true, reason: Some("no CPU".to_owned()), ..Default::default() };
        let verdict = VerdictResult { conclusion: "passed".to_owned(), ..VerdictResult::default() };
        let text = render(&RunResult { verdict, generator, ..RunResult::default() });
        assert!(text.contains("<skipped message=\"the generator was saturated: no CPU\"/>"), "{text}");
        assert!(text.contains("tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""), "{text}");
    }
}
