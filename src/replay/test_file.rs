//! [`TestFile`]: a file of rule tests, read and checked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    expectation::{Expected, render},
    fields::{self, Fields},
    flow::Flow,
    problem::{Problems, TestFileError},
    samples,
    series::Series,
    traffic::Traffic,
};
use crate::rules::{
    RuleSet,
    located::{self, Node, Position, Value},
    nearest,
};

/// Time between two evaluations, as in a service that sets none.
const INTERVAL: Duration = Duration::from_secs(5);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two values of a series, as in promtool.
const STEP: Duration = Duration::from_secs(60);
/// How long the version of the service before ran.
pub(super) const BEFORE: Duration = Duration::from_secs(3600);
/// Most evaluations of a test: five days of one every 5 s.
const MOST_EVALUATIONS: u128 = 100_000;
/// Most requests, queries and runs of a test: they take a second or two to record.
const MOST_OBSERVATIONS: f64 = 10_000_000.0;

/// A file of rule tests.
#[derive(Debug)]
pub(super) struct TestFile {
    /// Files and directories, as the file names them; `None` for the rules that are built in.
    pub(super) rules: Option<Vec<PathBuf>>,
    pub(super) interval: Duration,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) life: Life,
    /// In the order of their times.
    pub(super) checks: Vec<Check>,
}

/// What happens to a service from its start on.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// Traffic of the version of the service before, for [`BEFORE`]; empty where there was none.
    pub(super) before: Vec<Spell>,
    pub(super) traffic: Vec<Spell>,
    pub(super) series: Vec<Series>,
    /// Time between two values of a series.
    pub(super) step: Duration,
    pub(super) lasts: Duration,
    /// Whether the service has as many series as it may have when it begins.
    pub(super) is_past_limit: bool,
}

/// Traffic for some time.
#[derive(Clone, Debug)]
pub(super) struct Spell {
    pub(super) traffic: Traffic,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// What is expected at a time.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) at: Duration,
    pub(super) place: Position,
    /// Only of this rule, with the place of its name.
    pub(super) rule: Option<(String, Position)>,
    pub(super) alerts: Vec<(Expected, Position)>,
}

impl TestFile {
    /// Reads a file's text.
    pub(super) fn read(text: &str, path: &Path) -> Result<Self, TestFileError> {
        let mut problems = Problems::of(path);
        let read = match located::parse(text) {
            Ok(Some(root)) if !matches!(root.value, Value::Nothing) => Self::of(&root, &mut problems),
            Ok(_) => {
                problems.report(Position { line: 1, column: 1 }, "file has no tests; expected \"tests:\" and a list");
                None
            }
            Err(error) => {
                problems.report(error.at, format!("not valid YAML: {}", error.message));
                None
            }
        };
        problems.none_or(read)
    }

    fn of(root: &Node, problems: &mut Problems<'_>) -> Option<Self> {
        let fields = Fields::of(root, "file", &["rules", "interval", "tests"], problems)?;
        let rules = fields.get("rules").is_some().then(|| {
            let items = fields.list("rules", "rule files or directories", problems);
            let texts = items.iter().filter_map(|item| fields::text(item, "rules", "a rule file", problems));
            texts.map(PathBuf::from).collect()
        });
        let interval = fields.duration("interval", INTERVAL, problems);
        if interval < SHORTEST_INTERVAL {
            let at = fields.get("interval").map_or(root.at, |node| node.at);
            problems.report(at, format!("interval is shorter than {}", render(SHORTEST_INTERVAL)));
            return None;
        }
        if fields.need("tests", "file", problems).is_some() && fields.list("tests", "tests", problems).is_empty() {
            problems.report(root.at, "tests is empty; expected at least one");
        }
        let tests = fields.list("tests", "tests", problems);
        let tests = tests.iter().filter_map(|test| Test::of(test, interval, problems)).collect();
        Some(Self { rules, interval, tests })
    }

    /// Reports rules that the file expects something of and that are not among `rules`.
    pub(super) fn check_names(&self, rules: &RuleSet, path: &Path) -> Result<(), TestFileError> {
        let mut problems = Problems::of(path);
        for check in self.tests.iter().flat_map(|test| &test.checks) {
            let alerts = check.alerts.iter().map(|(expected, at)| (&expected.rule, *at));
            for (id, at) in check.rule.iter().map(|(id, at)| (id, *at)).chain(alerts) {
                if !rules.ids().any(|known| known == id) {
                    let meant = nearest(id, rules.ids()).map_or_else(
                        || "expected the id of one of the rules that are tested".to_owned(),
                        |meant| format!("did you mean {meant:?}?"),
                    );
                    problems.report(at, format!("no rule is called {id:?}; {meant}"));
                }
            }
            for (expected, at) in &check.alerts {
                if let Some((only, _)) = check.rule.as_ref().filter(|(only, _)| *only != expected.rule) {
                    problems.report(*at, format!("expects {:?} where only {only:?} is looked at", expected.rule));
                }
            }
        }
        problems.none_or(Some(()))
    }
}

impl Test {
    fn of(node: &Node, interval: Duration, problems: &mut Problems<'_>) -> Option<Self> {
        let fields = Fields::of(node, "test", &["name", "step", "before", "traffic", "series", "expect"], problems)?;
        let name = fields.need("name", "test", problems)?;
        let name = fields::text(name, "name", "a sentence", problems)?.to_owned();
        let step = fields.duration("step", STEP, problems);
        let is_expecting = fields.need("expect", "test", problems).is_some();
        let checks = fields.list("expect", "expectations", problems).iter();
        let mut checks: Vec<Check> = checks.filter_map(|check| Check::of(check, problems)).collect();
        checks.sort_by_key(|check| check.at);
        let end = checks.last().map_or(Duration::ZERO, |check| check.at);
        let mut spells = |name, end| -> Vec<Spell> {
            let spells = fields.list(name, "descriptions such as \"GET /orders 20/s\"", problems).iter();
            spells.filter_map(|spell| Spell::of(spell, end, problems)).collect()
        };
        let (before, traffic) = (spells("before", BEFORE), spells("traffic", end));
        if end.is_zero() {
            if is_expecting {
                problems.report(node.at, "expect has no time to look at; expected some after the beginning");
            }
            return None;
        }
        if end.as_nanos() / interval.as_nanos() > MOST_EVALUATIONS || step.is_zero() {
            let reason = format!("expected at most {MOST_EVALUATIONS} evaluations, and a step above 0");
            problems.report(
                node.at,
                format!("{} is too long for an interval of {}; {reason}", render(end), render(interval)),
            );
            return None;
        }
        let count_in = |spell: &Spell| Flow::count_in(&spell.traffic, spell.to.saturating_sub(spell.from));
        let count: f64 = before.iter().chain(&traffic).map(count_in).sum();
        if count > MOST_OBSERVATIONS {
            problems.report(
                node.at,
                format!("{count:.0} requests, queries and runs; expected at most {MOST_OBSERVATIONS:.0}"),
            );
            return None;
        }
        let items = fields.list("series", "series with values", problems);
        let series: Vec<Series> = items.iter().filter_map(|item| series(item, problems)).collect();
        if let Err((place, problem)) = samples::recorded(series.clone()) {
            problems.report(items.get(place).map_or(node.at, |item| item.at), problem);
        }
        Some(Self {
            name,
            at: node.at,
            life: Life { before, traffic, series, step, lasts: end, is_past_limit: false },
            checks,
        })
    }
}

impl Spell {
    fn of(node: &Node, end: Duration, problems: &mut Problems<'_>) -> Option<Self> {
        let whole = (Duration::ZERO, Duration::MAX);
        let (send, (from, to)) = if let Value::Scalar(_) = node.value {
            (node, whole)
        } else {
            let fields = Fields::of(node, "traffic", &["send", "from", "to"], problems)?;
            let times = (fields.duration("from", whole.0, problems), fields.duration("to", whole.1, problems));
            (fields.need("send", "traffic", problems)?, times)
        };
        if from >= to {
            problems.report(
                node.at,
                format!("ends at {} and begins at {}; expected it to end later", render(to), render(from)),
            );
        }
        let text = fields::text(send, "send", "a description such as \"GET /orders 20/s\"", problems)?;
        let traffic = Traffic::read(text).map_err(|problem| problems.report(send.at, problem)).ok()?;
        Some(Self { traffic, from, to: to.min(end) })
    }
}

fn series(node: &Node, problems: &mut Problems<'_>) -> Option<Series> {
    let fields = Fields::of(node, "series", &["series", "values"], problems)?;
    let (name, values) = (fields.need("series", "series", problems)?, fields.need("values", "series", problems)?);
    let text = fields::text(name, "series", "a name such as mails_total{queue=\"new\"}", problems)?;
    let named = Series::named(text).map_err(|problem| problems.report(name.at, problem)).ok()?;
    let text = fields::text(values, "values", "values such as 0+10x5", problems)?;
    named.with_samples(text).map_err(|problem| problems.report(values.at, problem)).ok()
}

impl Check {
    fn of(node: &Node, problems: &mut Problems<'_>) -> Option<Self> {
        let fields = Fields::of(node, "expectation", &["at", "rule", "alerts"], problems)?;
        let at = fields::duration(fields.need("at", "expectation", problems)?, "at", problems)?;
        let rule = fields
            .get("rule")
            .and_then(|rule| Some((fields::text(rule, "rule", "the id of a rule", problems)?.to_owned(), rule.at)));
        fields.need("alerts", "expectation", problems)?;
        let mut alerts = Vec::new();
        for item in fields.list("alerts", "alerts such as \"firing high slow_endpoint GET /orders\"", problems) {
            let Some(line) = fields::text(item, "alerts", "a line such as \"firing high slow_endpoint\"", problems)
            else {
                continue;
            };
            match Expected::read(line) {
                Ok(expected) => alerts.push((expected, item.at)),
                Err(problem) => problems.report(item.at, problem),
            }
        }
        Some(Self { at, place: node.at, rule, alerts })
    }
}
