//! [`Objective`]: a service-level objective as recording rules and alerts of Prometheus.
//!
//! Of each job together, all of its processes: a budget is the service's. Windows up to six hours are read from what is scraped; longer
//! ones from the recorded rates of five minutes, since a day of every series is more than Prometheus reads at once. What that changes
//! is in docs/slo.md. Invariant: an alert asks for the same pair of windows, burn rate and least counts as the process does.

use std::time::Duration;

use super::{
    alerts::{camel_case, subject},
    query::{Histograms, is, quoted, sum},
    rule_file::{Entry, Group, Labels, prometheus_duration},
    selection::Selection,
    template::{label, literal},
};
use crate::{
    names,
    rules::{
        BURN_WINDOWS, BadRequests, BurnAlert, Rule, Scope, Severity, Slo, SloScope, Threshold, Unit,
        alert_labels::{DESCRIPTION, LEVEL, RUNBOOK_URL, SUMMARY, level, runbook},
        fact,
    },
};

/// What Prometheus adds to the series of a service, whatever process they are of.
const JOB: &str = "job";
/// Recorded rates are of this window: the shortest of a burn rate.
const RECORDED: Duration = BURN_WINDOWS[0];
/// Longer windows are read from recorded rates.
const LONGEST_SCRAPED: Duration = Duration::from_secs(6 * 3600);
/// Time between two evaluations: a burn rate of five minutes needs no shorter one.
const INTERVAL: Duration = Duration::from_secs(60);

/// Where the expressions of an objective read its rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From recording rules.
    Recorded,
    /// From what is scraped alone.
    #[cfg_attr(not(feature = "replay"), expect(dead_code, reason = "only a replay has no recording rules"))]
    Scraped,
}

/// An objective, and how its requests are selected.
pub(super) struct Objective<'a> {
    rule: &'a Rule,
    slo: &'a Slo,
    selection: Selection,
    histograms: Histograms,
}

impl<'a> Objective<'a> {
    /// Returns the objective of a rule; `None` for every other rule.
    pub(super) fn of(rule: &'a Rule, histograms: Histograms) -> Option<Self> {
        let slo = rule.slo.as_ref()?;
        let mut selection = Selection::of(Scope::Endpoint, histograms, &rule.matches);
        rule.exclude.iter().for_each(|globs| selection.leave_out(globs));
        Some(Self { rule, slo, selection, histograms })
    }

    /// Returns the group of several objectives: what the alerts read, and then the alerts. `None` without any.
    pub(super) fn group(objectives: &[Self]) -> Option<Group> {
        let records = objectives.iter().flat_map(Self::records);
        let alerts = objectives.iter().flat_map(Self::alerts);
        let rules: Vec<Entry> = records.chain(alerts).collect();
        (!rules.is_empty()).then(|| Group { name: "pinchpoint-slo".to_owned(), interval: Some(INTERVAL), rules })
    }

    /// Returns the expression of each severity, reading no recording rule.
    #[cfg(feature = "replay")]
    pub(super) fn expressions(&self) -> Vec<(Severity, String)> {
        let each = self.rule.thresholds.0.iter();
        each.map(|(severity, threshold)| (*severity, self.expression(*severity, *threshold, Source::Scraped))).collect()
    }

    fn records(&self) -> Vec<Entry> {
        let record = |name: &str, expr: String| Entry::Record {
            record: self.name(name),
            expr,
            labels: Labels::from_iter([(names::RULE, self.rule.id.to_string())]),
        };
        let mut records = vec![
            record(&rate_name(Part::All), self.rate(Part::All, RECORDED)),
            record(&rate_name(Part::Bad), self.rate(Part::Bad, RECORDED)),
        ];
        for window in BURN_WINDOWS.into_iter().chain([self.slo.window]) {
            records.push(record(&ratio_name(window), self.ratio(window, Source::Recorded)));
        }
        records.dedup();
        let spent = self.read(&ratio_name(self.slo.window));
        records
            .push(record(&format!("{}:ratio", names::RECORDED_SLO_LEFT), format!("1 - {spent} / {}", self.allowed())));
        records
    }

    fn alerts(&self) -> Vec<Entry> {
        let alert = |(severity, threshold): &(Severity, Threshold)| Entry::Alert {
            alert: format!("{}{}", camel_case(&self.rule.id), camel_case(severity.as_str())),
            expr: self.expression(*severity, *threshold, Source::Recorded),
            hold: self.rule.hold,
            keep_firing_for: self.rule.keep_firing_for,
            labels: Labels::from_iter([
                (names::SEVERITY, severity.as_str().to_owned()),
                (LEVEL, level(*severity).to_owned()),
                (names::RULE, self.rule.id.to_string()),
                (names::SUBJECT, subject(self.rule, label)),
            ]),
            annotations: self.annotations(*severity, *threshold),
        };
        self.rule.thresholds.0.iter().map(alert).collect()
    }

    fn expression(&self, severity: Severity, threshold: Threshold, source: Source) -> String {
        let BurnAlert { long, short, .. } = BurnAlert::of(severity);
        let burns = |window| {
            let ratio = match source {
                Source::Recorded => self.read(&ratio_name(window)),
                Source::Scraped => format!("({})", self.ratio(window, source)),
            };
            format!("{ratio} / {} {} {}", self.allowed(), threshold.operator.as_str(), threshold.limit)
        };
        let on = format!("and on ({})", self.labels());
        let (bad, all) = (self.count(Part::Bad, long, source), self.count(Part::All, long, source));
        let (min_bad, min_samples) = (self.slo.min_bad, self.rule.min_samples);
        format!("({})\n{on} ({})\n{on} ({bad} >= {min_bad})\n{on} ({all} >= {min_samples})", burns(long), burns(short))
    }

    /// Returns the share of bad requests in a window.
    fn ratio(&self, window: Duration, source: Source) -> String {
        let of = |part| match source {
            Source::Recorded if window == RECORDED => self.read(&rate_name(part)),
            Source::Recorded if window > LONGEST_SCRAPED => {
                format!("sum_over_time({}[{}])", self.read(&rate_name(part)), prometheus_duration(window))
            }
            Source::Recorded | Source::Scraped => self.rate(part, window),
        };
        format!("{} / {}", of(Part::Bad), of(Part::All))
    }

    /// Returns about how many requests there were in a window.
    fn count(&self, part: Part, window: Duration, source: Source) -> String {
        let seconds = window.as_secs();
        if source == Source::Recorded && window > LONGEST_SCRAPED {
            let read = self.read(&rate_name(part));
            // What is not recorded yet is in no sum.
            return format!("sum_over_time({read}[{}]) * {}", prometheus_duration(window), INTERVAL.as_secs());
        }
        format!("{} * {seconds}", self.rate(part, window))
    }

    /// Returns the requests of a second, from what is scraped.
    fn rate(&self, part: Part, window: Duration) -> String {
        let range = prometheus_duration(window);
        let of = |name: &str, more: &[String]| {
            let mut of = format!("rate({name}{}[{range}])", self.selection.matchers_with(more));
            self.selection.clauses(&range).iter().for_each(|clause| of += &format!(" {clause}"));
            sum(&self.labels(), &of)
        };
        let duration = names::HTTP_DURATION.name;
        match (self.slo.bad, part, self.histograms) {
            (BadRequests::Errors, Part::All, _) => of(names::REQUESTS.name, &[]),
            (BadRequests::Errors, Part::Bad, _) => of(names::REQUESTS.name, &[is(names::OUTCOME, names::ERROR)]),
            (_, Part::All, Histograms::Classic) => of(&format!("{duration}_count"), &[]),
            (BadRequests::SlowerThan(limit), Part::Bad, Histograms::Classic) => {
                let within = of(&format!("{duration}_bucket"), &[edge(limit)]);
                // Count and buckets are scraped at one time, and rates of both are extrapolated alike.
                format!("clamp_min({} - {within}, 0)", of(&format!("{duration}_count"), &[]))
            }
            (_, Part::All, Histograms::Native) => format!("histogram_count({})", of(duration, &[])),
            (BadRequests::SlowerThan(limit), Part::Bad, Histograms::Native) => {
                let all = of(duration, &[]);
                format!("histogram_count({all}) * (1 - histogram_fraction(0, {limit}, {all}))")
            }
        }
    }

    /// Returns a recorded series of this objective.
    fn read(&self, name: &str) -> String {
        format!("{}{{{}}}", self.name(name), is(names::RULE, &self.rule.id))
    }

    fn name(&self, name: &str) -> String {
        let level = match self.slo.scope {
            SloScope::Service => "job",
            SloScope::Endpoint => "job_endpoint",
        };
        format!("{level}:{name}")
    }

    fn labels(&self) -> String {
        match self.slo.scope {
            SloScope::Service => JOB.to_owned(),
            SloScope::Endpoint => [JOB, names::METHOD, names::ROUTE].join(", "),
        }
    }

    /// Returns the share that may be bad, without what binary fractions add to it.
    fn allowed(&self) -> f64 {
        (self.slo.allowed_ratio() * 1e12).round() / 1e12
    }

    fn annotations(&self, severity: Severity, threshold: Threshold) -> Labels {
        let Rule { id, description, .. } = self.rule;
        let BurnAlert { long, short, .. } = BurnAlert::of(severity);
        let span = |duration: Duration| Unit::Seconds.render(duration.as_secs_f64());
        let (subject, value) = (subject(self.rule, label), "{{ $value | humanize }}".to_owned());
        let objective = Unit::Ratio.render(self.slo.objective);
        let bad = self.slo.bad.about();
        let known = |name: &'static str| match name {
            "subject" => Some(subject.clone()),
            "value" => Some(value.clone()),
            "threshold" => Some(Unit::Count.render(threshold.limit)),
            "window" => Some(span(long)),
            name if name == fact::OBJECTIVE.name => Some(objective.clone()),
            name if name == fact::SLO_WINDOW.name => Some(span(self.slo.window)),
            name if name == fact::SHORT_WINDOW.name => Some(span(short)),
            name if name == fact::BAD.name => Some(bad.clone()),
            name if name == self.rule.measure_name => Some(value.clone()),
            _ => None,
        };
        let summary = description.render_with(&literal, &known).unwrap_or_else(|| format!("{id}: {subject}"));
        let details = format!(
            "Over the last {} and the last {}, bad requests ({bad}) came more than {} times as fast as an objective of {objective} over \
             {} allows ({}).",
            span(long),
            span(short),
            Unit::Count.render(threshold.limit),
            span(self.slo.window),
            label(JOB),
        );
        Labels::from_iter([(SUMMARY, summary), (DESCRIPTION, details), (RUNBOOK_URL, runbook("slo.md", "alerts"))])
    }
}

/// Which requests.
#[derive(Clone, Copy, Debug)]
enum Part {
    All,
    Bad,
}

/// Returns the name of what is recorded, without its level.
fn rate_name(part: Part) -> String {
    let of = match part {
        Part::All => names::RECORDED_SLO_REQUESTS,
        Part::Bad => names::RECORDED_SLO_BAD,
    };
    format!("{of}:rate{}", prometheus_duration(RECORDED))
}

fn ratio_name(window: Duration) -> String {
    format!("{}:ratio_rate{}", names::RECORDED_SLO_BAD, prometheus_duration(window))
}

/// Returns a matcher of the bucket up to an edge. Where that is whole some formats write `1` and others `1.0`.
fn edge(limit: f64) -> String {
    match limit.fract() {
        0.0 => format!("le=~{}", quoted(&format!("{limit}(\\.0)?"))),
        _ => is("le", &limit.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::prometheus;

    const SLOS: &str = "
slo:
  - id: fast
    objective: 99.9%
    bad: \"> 1s\"
    scope: endpoint
    exclude: [{ http_request_method: GET, http_route: /a }, { http_route: \"/b/*\" }]
    thresholds: { low: off }
";

    fn exported(slo: &str, histograms: Histograms) -> String {
        let directory = tempfile::tempdir().expect("a place for temporary files");
        std::fs::write(directory.path().join("slo.yaml"), slo).expect("it can be written");
        let exported = prometheus(&crate::RuleSet::load_dir(directory.path()).expect("good rules"), histograms);
        assert_eq!(exported.left_out, []);
        exported.file
    }

    #[test]
    fn slow_requests_are_counted_by_the_bucket_of_the_limit() {
        let file = exported(SLOS, Histograms::Classic);
        assert!(file.contains(r#"le=~"1(\\.0)?""#) || file.contains(r#"le=~"1(\.0)?""#), "{file}");
        assert!(file.contains(" / 0.001 > 14.4)"), "{file}");
        assert!(file.contains("FastCritical") && !file.contains("FastLow"), "{file}");
        let native = exported(SLOS, Histograms::Native);
        assert!(native.contains("histogram_fraction(0, 1, ") && !native.contains("_bucket"), "{native}");
    }

    #[test]
    fn endpoints_that_are_left_out_are_in_no_sum() {
        let file = exported(&SLOS.replace("endpoint\n", "service\n"), Histograms::Classic);
        let record = file.lines().find(|line| line.contains("expr: sum by (job) (rate(")).expect("a record");
        assert!(record.contains(r#"http_route!~"/b/.*""#), "{record}");
        assert!(record.contains("unless on (job, instance, http_request_method, http_route) group by"), "{record}");
    }

    #[test]
    fn long_windows_are_read_from_what_is_recorded() {
        let file = exported(SLOS, Histograms::Classic);
        for window in ["1d", "3d", "30d"] {
            assert!(!file.contains(&format!("}}[{window}]))")), "{window}");
            assert!(file.contains(&format!("{{rule=\"fast\"}}[{window}])")), "{window}");
        }
    }
}
