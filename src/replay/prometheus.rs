//! [`PrometheusReplay`]: rules replayed over what a Prometheus stored.
//!
//! The expressions are those that `rules export` writes, so that Prometheus computes the values and says which are over a threshold;
//! how long they must be is decided by the monitor's own lifecycle. This room asks no server: it says what to ask, and takes the
//! answers.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::chronicle::{Chronicle, Remark, Replay};
use crate::{
    export::{self, Histograms},
    names,
    rules::{Evidence, Finding, Rule, RuleSet, Severity, Subject, Threshold},
};

/// What to ask a Prometheus about the past, and what its answers mean.
#[derive(Debug)]
pub struct PrometheusReplay {
    rules: RuleSet,
    questions: Vec<(Arc<Rule>, PrometheusQuestion)>,
    remarks: Vec<Remark>,
}

/// An expression whose values over a time are asked for.
#[derive(Clone, Debug)]
pub struct PrometheusQuestion {
    /// Id of the rule.
    pub rule: String,
    /// The severity whose threshold the values are over.
    pub severity: Severity,
    /// In PromQL; it has a value for each subject that is over the threshold.
    pub expression: String,
}

/// One series of an answer.
#[derive(Clone, Debug)]
pub struct PrometheusSeries {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Times since the Unix epoch, each with its value.
    pub values: Vec<(Duration, f64)>,
}

/// Times that a Prometheus was asked about.
#[derive(Clone, Copy, Debug)]
pub struct PrometheusRange {
    /// The first, since the Unix epoch.
    pub from: Duration,
    /// The last, since the Unix epoch.
    pub to: Duration,
    /// The time between two; not 0.
    pub step: Duration,
}

/// What was over thresholds at a time, by rule and subject: the rule, the value and the thresholds by severity.
type Moment = BTreeMap<(Arc<str>, Arc<str>), (Arc<Rule>, Arc<Subject>, f64, BTreeMap<Severity, Threshold>)>;

impl PrometheusReplay {
    /// Returns the questions for `rules`; rules that Prometheus cannot judge have none, and a remark.
    #[must_use]
    pub fn new(rules: &RuleSet, histograms: Histograms) -> Self {
        let mut all = Self { rules: rules.clone(), questions: Vec::new(), remarks: Vec::new() };
        for rule in rules.rules() {
            match export::expressions(rule, rules, histograms) {
                Ok(expressions) => all.questions.extend(expressions.into_iter().map(|(severity, expression)| {
                    (rule.clone(), PrometheusQuestion { rule: rule.id.to_string(), severity, expression })
                })),
                Err(reason) => all.remarks.push(Remark { rule: rule.id.to_string(), is_judged: false, reason }),
            }
        }
        all
    }

    /// Returns the questions to ask.
    pub fn questions(&self) -> impl ExactSizeIterator<Item = &PrometheusQuestion> {
        self.questions.iter().map(|(_, question)| question)
    }

    /// Returns what would have fired, from an answer to each question, in their order.
    ///
    /// # Panics
    /// Panics where `range.step` is 0.
    #[must_use]
    pub fn replay(&self, answers: &[Vec<PrometheusSeries>], range: PrometheusRange) -> Replay {
        let PrometheusRange { from, to, step } = range;
        assert!(!step.is_zero(), "the time between two moments is not 0");
        let one = BTreeSet::from_iter(answers.iter().flatten().map(target)).len() <= 1;
        let mut moments: BTreeMap<Duration, Moment> = BTreeMap::new();
        for ((rule, question), series) in self.questions.iter().zip(answers) {
            for series in series {
                let subject = subject(rule, series, one);
                let threshold = rule.thresholds_for(&subject).0.iter().find(|(of, _)| *of == question.severity);
                let Some((severity, threshold)) = threshold else { continue };
                for (at, value) in series.values.iter().filter(|(_, value)| value.is_finite()) {
                    let key = (rule.id.clone(), subject.name.clone());
                    let found = moments.entry(*at).or_default().entry(key);
                    let found = found.or_insert_with(|| (rule.clone(), subject.clone(), *value, BTreeMap::new()));
                    found.3.insert(*severity, *threshold);
                }
            }
        }
        let mut chronicle = Chronicle::new(&self.rules, from);
        let mut at = from;
        while at <= to {
            // Prometheus answers in milliseconds.
            let near = at.saturating_sub(Duration::from_millis(1))..=at + Duration::from_millis(1);
            let found = moments.range(near).next().map(|(at, _)| *at).and_then(|at| moments.remove(&at));
            chronicle.take(at, step, found.into_iter().flatten().map(|(_, found)| finding(found)).collect());
            at += step;
        }
        Replay { from, to, alerts: chronicle.into_alerts(), remarks: self.remarks.clone() }
    }
}

fn finding((rule, subject, value, passed): (Arc<Rule>, Arc<Subject>, f64, BTreeMap<Severity, Threshold>)) -> Finding {
    Finding {
        window: rule.window,
        samples: rule.min_samples,
        passed: passed.into_iter().collect(),
        rule,
        subject,
        value,
        withheld: Vec::new(),
        evidence: Arc::new(Evidence::default()),
        cause: None,
        caused_by: None,
    }
}

/// Returns which process a series is of.
fn target(series: &PrometheusSeries) -> (&str, &str) {
    let label = |name| series.labels.get(name).map_or("", String::as_str);
    (label("job"), label("instance"))
}

/// Returns the subject of a series, named after its process too where there are several.
fn subject(rule: &Rule, series: &PrometheusSeries, is_only_target: bool) -> Arc<Subject> {
    let label = |name: &str| {
        let value = series.labels.get(&*export::scraped(name)).filter(|value| !value.is_empty());
        // A statement whose text Prometheus does not have is called by its id.
        let or = || (name == names::DB_QUERY_TEXT).then(|| series.labels.get(names::DB_QUERY_ID)).flatten();
        value.or_else(or).cloned().unwrap_or_default()
    };
    let name = export::subject(rule, label);
    let name = if is_only_target { name } else { format!("{name} on {}", target(series).1) };
    let mut labels = series.labels.clone();
    // By the names that the rule has for them, `job` too.
    labels.extend(rule.metric.iter().flat_map(|metric| &metric.by).map(|own| (own.to_string(), label(own))));
    let labels = labels.into_iter().map(|(name, value)| (Cow::Owned(name), Arc::from(value)));
    Arc::new(Subject::new(name, labels.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], value: f64) -> PrometheusSeries {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        PrometheusSeries { labels, values: (0..10).map(|minute| (Duration::from_secs(60 * minute), value)).collect() }
    }

    fn range(step: Duration) -> PrometheusRange {
        PrometheusRange { from: Duration::ZERO, to: Duration::from_secs(540), step }
    }

    /// Replays a rule on what was over its threshold of severity high.
    fn subjects(rule: &str, found: &[PrometheusSeries]) -> Vec<String> {
        let replay = PrometheusReplay::new(&RuleSet::embedded(), Histograms::Classic);
        let is_asked = |question: &PrometheusQuestion| question.rule == rule && question.severity == Severity::High;
        let answers = replay.questions().map(|one| if is_asked(one) { found.to_vec() } else { Vec::new() });
        let past = replay.replay(&answers.collect::<Vec<_>>(), range(Duration::from_secs(60)));
        past.alerts.into_iter().map(|alert| alert.subject).collect()
    }

    #[test]
    fn a_statement_is_called_by_its_text_or_else_by_its_id() {
        let text = (names::DB_QUERY_TEXT, "SELECT 1");
        let id = (names::DB_QUERY_ID, "7f");
        assert_eq!(subjects("slow_query", &[series(&[id, text], 0.5)]), ["SELECT 1"]);
        assert_eq!(subjects("slow_query", &[series(&[id], 0.5)]), ["7f"]);
    }

    #[test]
    fn of_several_processes_each_is_named() {
        let of = |instance| {
            series(&[("job", "shop"), ("instance", instance), (names::METHOD, "GET"), (names::ROUTE, "/a")], 2.0)
        };
        assert_eq!(subjects("slow_endpoint", &[of("a:80")]), ["GET /a"]);
        assert_eq!(subjects("slow_endpoint", &[of("a:80"), of("b:80")]), ["GET /a on a:80", "GET /a on b:80"]);
    }

    /// Prometheus has them by other names: a scrape renames those that the target has too.
    #[test]
    fn own_labels_of_a_metric_are_those_of_the_rule() {
        const RULE: &str = "
rules:
  - id: long_queue
    scope: metric
    metric: queue_length
    measure: value
    by: [job, my-label]
    match: { instance: eu }
    overrides:
      - match: { job: mail }
        thresholds: { high: \"> 100\" }
    thresholds: { high: \"> 10\" }
    description: x
";
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("rules.yaml"), RULE).expect("writes");
        let rules = RuleSet::load_dir(directory.path()).expect("good rules");
        let replay = PrometheusReplay::new(&rules, Histograms::Classic);
        let asked: Vec<_> = replay.questions().map(|question| &*question.expression).collect();
        assert!(asked[0].contains("sum by (job, instance, exported_job, my_label) (queue_length{"), "{asked:?}");
        assert!(asked[0].contains(r#"exported_instance="eu",exported_job!="mail""#), "{asked:?}");
        let of = |own| series(&[("job", "shop"), ("instance", "a:80"), ("exported_job", own), ("my_label", "x")], 50.0);
        let past = replay.replay(&[vec![of("mail"), of("sms")]], range(Duration::from_secs(60)));
        let found: Vec<_> = past.alerts.iter().map(|alert| (&*alert.subject, &*alert.threshold)).collect();
        let named = |job: &str| format!("queue_length{{job=\"{job}\",my-label=\"x\"}}");
        assert_eq!(found, [(&*named("mail"), "> 100"), (&*named("sms"), "> 10")]);
    }

    #[test]
    #[should_panic(expected = "the time between two moments is not 0")]
    fn moments_without_time_between_them_are_refused() {
        let _ = PrometheusReplay::new(&RuleSet::embedded(), Histograms::Classic).replay(&[], range(Duration::ZERO));
    }
}
