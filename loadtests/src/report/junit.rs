//! `.xml`: the verdict as JUnit test results, so that a CI system shows each condition.

use super::svg::escape;
use crate::result::RunResult;

/// The result as JUnit XML: a test case for each condition, each endpoint without one, and the run itself.
pub(super) fn render(result: &RunResult) -> String {
    let mut cases = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for check in &result.verdict.checks {
        tests += 1;
        let name = match &check.rule {
            Some(rule) => format!("{}: {rule}: {}", check.subject, check.condition),
            None => format!("{}: {}", check.subject, check.condition),
        };
        let body = match check.status.as_str() {
            "breached" => {
                failures += 1;
                format!("<failure message=\"observed {}\"/>", escape(&check.observed))
            }
            "noted" => format!("<system-out>observed {}</system-out>", escape(&check.observed)),
            _ => String::new(),
        };
        push_case(&mut cases, &check.source, &name, result.duration, &body);
    }
    for endpoint in &result.endpoints {
        if result.verdict.checks.iter().any(|check| check.subject == endpoint.name()) {
            continue;
        }
        tests += 1;
        push_case(&mut cases, "endpoint", &endpoint.name(), endpoint.avg_response_time, "");
    }
    tests += 1;
    let body = match result.verdict.conclusion.as_str() {
        "passed" | "breached" => String::new(),
        other => {
            errors += 1;
            let reason = result.generator.reason.as_deref().unwrap_or(other);
            format!("<error type=\"{}\" message=\"{}\"/>", escape(other), escape(reason))
        }
    };
    push_case(&mut cases, "run", "the result can be trusted", result.duration, &body);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"loadtest {}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\" time=\"{}\" timestamp=\"{}\">\n{cases}  </testsuite>\n</testsuites>\n",
        escape(&result.target),
        result.duration,
        escape(&result.started_at),
    )
}

fn push_case(cases: &mut String, class: &str, name: &str, seconds: f64, body: &str) {
    cases.push_str(&format!(
        "    <testcase classname=\"loadtest.{}\" name=\"{}\" time=\"{seconds}\">{body}</testcase>\n",
        escape(class),
        escape(name)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::CheckResult;
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
