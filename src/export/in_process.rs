//! Alerts on what the monitor inside a service reports: its findings, its own problems, and its absence.
//!
//! The rules are judged in the process, and these alerts read the result: they need no threshold of their own and
//! cannot disagree with `/performance/bottlenecks`.

use std::{iter, time::Duration};

use super::rule_file::{Entry, Group, Groups, Labels};
use crate::{
    names::{self, Metric},
    rules::{
        Severity,
        alert_labels::{DESCRIPTION, LEVEL, PROBLEM, RUNBOOK_URL, SUMMARY, alert_name, level, runbook},
    },
};

const ABOUT: &str = "\
Alerts on what the monitor inside a service reports: its findings, its own problems, and its absence.
They have no thresholds of their own: the rules are judged in the process. docs/alerting.md says how to load them.";
const COMMAND: &str = "pinchpoint rules export --to in-process";

/// Where what the rules say is not explained rule by rule.
const DOCUMENT: &str = "alerting.md";

/// Returns a rule file of Prometheus with alerts on what the monitor reports: on [`/performance/bottlenecks`] by severity, on
/// the monitor's own problems, on targets that are down, and on the monitor's absence.
///
/// The text is the same for every service; `prometheus/pinchpoint.in-process.rules.yml` in the repository holds it, and
/// `pinchpoint rules export --to in-process` prints it.
///
/// [`/performance/bottlenecks`]: crate::Monitor::router
///
/// ```
/// let rules = pinchpoint::export::in_process();
/// assert!(rules.contains("alert: PinchpointCriticalBottleneck"));
/// ```
#[must_use]
pub fn in_process() -> String {
    groups().to_yaml(ABOUT, COMMAND)
}

/// Returns the groups of the file.
pub(super) fn groups() -> Groups {
    let group = |name: &str, rules| Group { name: name.to_owned(), interval: None, rules };
    let findings =
        vec![finding(&[Severity::Critical]), finding(&[Severity::High]), finding(&[Severity::Medium, Severity::Low])];
    let groups = vec![
        group("pinchpoint-findings", findings),
        group("pinchpoint-monitor", vec![own_problems(), target_down(), absent()]),
    ];
    Groups { groups }
}

/// Returns the alert on findings of some severities. It waits for nothing: a finding fires in the process only once it has
/// lasted for the rule's `for`.
fn finding(severities: &[Severity]) -> Entry {
    let words: Vec<_> = severities.iter().map(|severity| severity.as_str()).collect();
    let expr = format!("{}{{{}=~\"{}\"}} > 0", names::BOTTLENECK.name, names::SEVERITY, words.join("|"));
    let expr = if words.len() == 1 { expr.replace("=~", "=") } else { expr };
    let level = level(severities[0]);
    // The series has the labels `rule` and `severity`; an alert keeps the labels of its series.
    let label = |name: &str| format!("{{{{ $labels.{name} }}}}");
    let (rule, severity, subject) = (label(names::RULE), label(names::SEVERITY), label(names::SUBJECT));
    let summary = format!("{rule} ({severity}): {subject}");
    let description = format!(
        "The rule {rule} has found a bottleneck of severity {severity} in {subject}, on {{{{ $labels.instance }}}}. \
         The cause, the evidence and what to do are at /performance/bottlenecks and in /performance/report there.\
         {{{{ if gt $value 1.0 }}}} {{{{ $value | humanize }}}} bottlenecks share this series, because the limit of series was \
         reached.{{{{ end }}}}"
    );
    Entry::Alert {
        alert: alert_name(severities[0]).to_owned(),
        expr,
        hold: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        labels: Labels::from_iter([(LEVEL, level)]),
        annotations: annotations(&summary, &description, &runbook("rules.md", &rule)),
    }
}

/// How far back what was counted makes the monitor's alert fire.
const RECENT: &str = "15m";

/// One of the monitor's own problems.
struct Problem {
    /// Value of [`PROBLEM`].
    name: &'static str,
    /// Returns the series of what has it.
    expr: String,
    /// What happened, in a template: `$value` is what `expr` returns.
    means: &'static str,
}

/// Returns the expression for a counter that grew lately. `increase` does not see the first value of a series that is new,
/// and an error at the start of a service is just that; so a series counts whole that was not there in the hour before.
fn grew(counter: &Metric) -> String {
    let name = counter.name;
    // Extrapolated, thus not whole.
    format!("round(increase({name}[{RECENT}])) > 0\nor\n({name} > 0 unless max_over_time({name}[1h] offset {RECENT}))")
}

/// Returns the expression for receivers that nothing reaches, and for notifications that are lost. An attempt that fails and is made
/// good is neither. The counters are there from the start, at 0.
fn notifications_failing() -> String {
    let (name, outcome, receiver) = (names::NOTIFICATIONS.name, names::OUTCOME, names::RECEIVER);
    let (ok, error, rejected, dropped) = (names::OK, names::ERROR, names::REJECTED, names::DROPPED);
    let increase = |matcher: String| format!("round(increase({name}{{{outcome}{matcher}}}[{RECENT}])) > 0");
    let failed = increase(format!("=\"{error}\""));
    let arrived = increase(format!("=\"{ok}\""));
    let lost = increase(format!("=~\"{rejected}|{dropped}\""));
    format!("(\n  {failed}\n  unless on (job, instance, {receiver})\n  {arrived}\n)\nor\n{lost}")
}

fn problems() -> Vec<Problem> {
    let problem = |name, expr, means| Problem { name, expr, means };
    let evaluation = names::RULE_EVALUATION.name;
    vec![
        problem(
            "rules_refused",
            format!("{} == 0", names::RULES_RELOAD_SUCCESSFUL.name),
            "the rule files are wrong, and the rules from before them are in force; the log and /performance/status name \
             the file and the line",
        ),
        problem(
            "series_dropped",
            grew(&names::SERIES_DROPPED),
            "{{ $value | humanize }} times in 15 minutes a series was folded into `other`, because a limit such as \
             max_series was reached; rules do not see what is in it apart",
        ),
        problem(
            "archive_errors",
            grew(&names::ARCHIVE_ERRORS),
            "the history file could not be opened or written {{ $value | humanize }} times in 15 minutes \
             ({{ $labels.error_type }}); trends do not survive a restart",
        ),
        problem(
            "archive_entries_lost",
            grew(&names::ARCHIVE_LOST),
            "{{ $value | humanize }} entries of the history file could not be read and were dropped",
        ),
        problem(
            "archive_set_aside",
            grew(&names::ARCHIVE_SET_ASIDE),
            "the history file was broken; it was renamed and a new one begun",
        ),
        problem(
            "work_pending",
            format!("{} > 30", names::WORK_PENDING.name),
            "{{ $labels.work }} has been under way for {{ $value | humanizeDuration }}; a file system does not answer",
        ),
        problem(
            "notifications_failing",
            notifications_failing(),
            "{{ $value | humanize }} notifications to {{ $labels.receiver }} ended with `{{ $labels.outcome }}` in 15 minutes, so that \
             alerts that the service sends itself do not all arrive; /performance/status says why",
        ),
        // The longest interval between two evaluations is a minute.
        problem(
            "evaluation_stopped",
            format!("rate({evaluation}_count[5m]) == 0"),
            "no rule has been evaluated for 5 minutes; findings are as old as that",
        ),
        problem(
            "evaluation_late",
            format!("rate({evaluation}_sum[5m]) > 0.5"),
            "evaluating the rules takes {{ $value | humanizePercentage }} of the time; findings come late",
        ),
    ]
}

fn own_problems() -> Entry {
    let problems = problems();
    let marked = |problem: &Problem| {
        let expr = problem.expr.replace('\n', "\n  ");
        format!("label_replace(\n  {expr},\n  \"{PROBLEM}\", \"{}\", \"\", \"\"\n)", problem.name)
    };
    let expr = problems.iter().map(marked).collect::<Vec<_>>().join("\nor\n");
    let cases = iter::once("if").chain(iter::repeat("else if")).zip(&problems);
    let cases: String = cases
        .map(|(case, problem)| format!("{{{{ {case} eq $labels.{PROBLEM} \"{}\" }}}}{}", problem.name, problem.means))
        .collect();
    alert(
        "PinchpointMonitorProblem",
        expr,
        Duration::from_secs(60),
        Severity::High,
        "The monitor in {{ $labels.instance }} has a problem: {{ $labels.problem }}",
        &format!("The monitor in {{{{ $labels.instance }}}} does not work as it should: {cases}{{{{ end }}}}."),
    )
}

/// Selects targets by what they exposed within a day, so that the alert needs no name of a job and leaves other services alone.
fn seen_within_a_day() -> String {
    // A subquery reads one sample a minute of the day.
    format!("max_over_time({}[1d:1m])", names::BUILD_INFO.name)
}

fn target_down() -> Entry {
    alert(
        "PinchpointTargetDown",
        format!("up == 0\nand on (job, instance)\n{}", seen_within_a_day()),
        Duration::from_secs(120),
        Severity::Critical,
        "{{ $labels.instance }} does not answer Prometheus",
        "Prometheus cannot scrape {{ $labels.instance }} of {{ $labels.job }}, which had the monitor inside within the last day: \
         the service is down, is not reachable, or refuses the token.",
    )
}

/// Returns the alert on a monitor that is gone: from a target that answers, from all targets of a job, or from everywhere.
fn absent() -> Entry {
    let here = names::BUILD_INFO.name;
    let seen = seen_within_a_day();
    alert(
        "PinchpointAbsent",
        format!(
            "(\n  up == 1\n  and on (job, instance)\n  {seen}\n)\nunless on (job, instance)\n{here}\n\
             or\ncount by (job) ({seen}) unless on (job) up\nor\nabsent({seen})"
        ),
        Duration::from_secs(300),
        Severity::High,
        "{{ if $labels.instance }}The monitor in {{ $labels.instance }} is gone{{ else if $labels.job }}No target of {{ $labels.job }} \
         is left{{ else }}No target has a monitor inside{{ end }}",
        "{{ if $labels.instance }}{{ $labels.instance }} answers Prometheus, but not with the monitor's metrics, which it had \
         within the last day: was the monitor taken out, or does another program answer there?\
         {{ else if $labels.job }}Prometheus has no target of {{ $labels.job }} any more, and had {{ $value | humanize }} with the \
         monitor inside within the last day: was the service taken away, or does Prometheus not find it?\
         {{ else }}Prometheus has had no metrics of any monitor within the last day: is the scrape configured, and is the service running?{{ end }}",
    )
}

fn alert(name: &str, expr: String, hold: Duration, severity: Severity, summary: &str, description: &str) -> Entry {
    Entry::Alert {
        alert: name.to_owned(),
        expr,
        hold,
        keep_firing_for: Duration::ZERO,
        labels: Labels::from_iter([(names::SEVERITY, severity.as_str()), (LEVEL, level(severity))]),
        annotations: annotations(summary, description, &runbook(DOCUMENT, &name.to_lowercase())),
    }
}

fn annotations(summary: &str, description: &str, runbook: &str) -> Labels {
    Labels::from_iter([(SUMMARY, summary), (DESCRIPTION, description), (RUNBOOK_URL, runbook)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/pinchpoint.in-process.rules.yml");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == in_process(),
            "prometheus/pinchpoint.in-process.rules.yml is stale: run `{COMMAND} > prometheus/pinchpoint.in-process.rules.yml`"
        );
    }

    #[test]
    fn every_severity_has_one_alert() {
        let rules = in_process();
        for severity in Severity::ALL {
            let selected = rules.lines().filter(|line| {
                let matcher = line.split_once("pinchpoint_bottleneck{severity").map(|(_, matcher)| matcher);
                matcher.is_some_and(|matcher| matcher.contains(severity.as_str()))
            });
            assert_eq!(selected.count(), 1, "{severity}");
        }
    }
}
