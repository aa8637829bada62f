//! `.xml`: the verdict as JUnit test results, so that a CI system shows each condition.

use super::escape::escape;
use crate::result::{CheckResult, RunResult};

/// The counts of a suite, and its test cases.
#[derive(Default)]
struct Suite {
    tests: u64,
    failures: u64,
    errors: u64,
    cases: String,
}

/// Returns the result as JUnit XML: a test case for each condition, each endpoint without one, and the run itself.
pub(super) fn render(result: &RunResult) -> String {
    let mut suite = Suite::default();
    for check in &result.verdict.checks {
        suite.push_check(check, result.duration);
    }
    for endpoint in &result.endpoints {
        let is_checked = result.verdict.checks.iter().any(|check| check.subject == endpoint.name());
        if !is_checked {
            suite.push_case("endpoint", &endpoint.name(), endpoint.avg_response_time, "");
        }
    }
    suite.push_run(result);
    let properties = result.seed.map_or_else(String::new, |seed| {
        format!("    <properties>\n      <property name=\"seed\" value=\"{seed}\"/>\n    </properties>\n")
    });
    let Suite { tests, failures, errors, cases } = suite;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"loadtest {}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\" time=\"{}\" timestamp=\"{}\">\n{properties}{cases}  </testsuite>\n</testsuites>\n",
        escape(&result.target),
        result.duration,
        escape(&result.started_at),
    )
}

impl Suite {
    fn push_check(&mut self, check: &CheckResult, seconds: f64) {
        let name = match &check.rule {
            Some(rule) => format!("{}: {rule}: {}", check.subject, check.condition),
            None => format!("{}: {}", check.subject, check.condition),
        };
        let observed = escape(&check.observed);
        let body = match check.status.as_str() {
            "breached" => {
                self.failures += 1;
                format!("<failure message=\"observed {observed}\"/>")
            }
            "noted" => format!("<system-out>observed {observed}</system-out>"),
            _ => String::new(),
        };
        self.push_case(&check.source, &name, seconds, &body);
    }

    /// Adds the case of the run itself: one that proves nothing is an error, like a test that could not run.
    fn push_run(&mut self, result: &RunResult) {
        let body = match result.verdict.conclusion.as_str() {
            "passed" | "breached" => String::new(),
            other => {
                self.errors += 1;
                let reason = result.generator.reason.as_deref().unwrap_or(other);
                format!("<error type=\"{}\" message=\"{}\"/>", escape(other), escape(reason))
            }
        };
        self.push_case("run", "the result can be trusted", result.duration, &body);
    }

    fn push_case(&mut self, class: &str, name: &str, seconds: f64, body: &str) {
        self.tests += 1;
        self.cases.push_str(&format!(
            "    <testcase classname=\"loadtest.{}\" name=\"{}\" time=\"{seconds}\">{body}</testcase>\n",
            escape(class),
            escape(name)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::VerdictResult;

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
        let verdict = VerdictResult { conclusion: "generator saturated".to_owned(), exit_code: 3, checks: vec![check] };
        let text = render(&RunResult { verdict, ..RunResult::default() });
        assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"1\""), "{text}");
        assert!(
            text.contains("name=\"GET /a&amp;b: p95&lt;1s\"") && text.contains("message=\"observed 2 s\""),
            "{text}"
        );
    }
}
