//! [`RuleTests`]: unit tests of rules.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    expectation::{Course, Difference},
    flow::Flow,
    problem::TestFileError,
    samples::{self, Recorded},
    test_file::{BEFORE, Life, Spell, Test, TestFile},
};
use crate::{monitor::Simulation, rules::RuleSet};

/// Unit tests of rules, from a file.
///
/// A test describes traffic or series, and says what must be pending, firing or resolved at which time. It runs on the monitor's own
/// windows, evaluator and lifecycle, with time that the test sets: an hour takes no longer than it takes to compute it.
/// docs/rules-testing.md describes the file.
///
/// ```
/// use pinchpoint::replay::RuleTests;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("pinchpoint-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("orders.test.yaml");
/// std::fs::write(&path, r#"
/// tests:
///   - name: orders that fail are found
///     traffic: ["GET /orders 20/s errors 50%"]
///     expect:
///       - at: 5s
///         alerts: [pending critical high_error_rate GET /orders]
///       - at: 1m
///         alerts: [firing critical high_error_rate GET /orders]
/// "#)?;
/// for result in RuleTests::read(&path)?.run() {
///     assert!(result.differences.is_empty(), "{}: {:?}", result.name, result.differences);
/// }
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RuleTests {
    pub(super) rules: RuleSet,
    pub(super) file: TestFile,
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Where it begins in the file, counted from 1.
    pub line: usize,
    /// Each time at which something else was found than was expected; none where it passed.
    pub differences: Vec<Difference>,
}

impl RuleTests {
    /// Reads a file of tests and the rules that it names, by their paths from there; without any, those that are built in.
    ///
    /// # Errors
    /// Returns every mistake of the file, each with its line and column, or those of the rule files.
    pub fn read(path: &Path) -> Result<Self, TestFileError> {
        let unread = |source| TestFileError::Unread { path: path.to_owned(), source };
        let file = TestFile::read(&std::fs::read_to_string(path).map_err(unread)?, path)?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let rules = match &file.rules {
            None => RuleSet::embedded(),
            Some(paths) => {
                RuleSet::check_files(&paths.iter().map(|named| beside.join(named)).collect::<Vec<PathBuf>>())?
            }
        };
        file.check_names(&rules, path)?;
        Ok(Self { rules, file })
    }

    /// Runs every test, in the order of the file. Nothing but the file decides the results: no clock is read.
    #[must_use]
    pub fn run(&self) -> Vec<TestResult> {
        let interval = self.file.interval;
        let run = |test: &Test| TestResult {
            name: test.name.clone(),
            line: test.at.line,
            differences: Run::new(&test.life, self.rules.clone()).differences(test, interval),
        };
        self.file.tests.iter().map(run).collect()
    }
}

/// Returns what is sent, from when and to when.
fn flows(spells: &[Spell], simulation: &Simulation) -> Vec<(Flow, Duration, Duration)> {
    spells.iter().map(|spell| (Flow::new(spell.traffic.clone(), simulation), spell.from, spell.to)).collect()
}

/// A test under way.
pub(super) struct Run {
    step: Duration,
    pub(super) simulation: Simulation,
    flows: Vec<(Flow, Duration, Duration)>,
    /// What begins later. Until then it has no series.
    later: Vec<Spell>,
    series: Vec<Recorded>,
    /// Steps of the series that were recorded.
    steps: usize,
}

impl Run {
    pub(super) fn new(life: &Life, rules: RuleSet) -> Self {
        let simulation = match &life.before[..] {
            [] if life.is_past_limit => Simulation::past_its_limit(rules),
            [] => Simulation::new(rules),
            spells => {
                let before = Simulation::new(rules.clone());
                for (mut flow, from, to) in flows(spells, &before) {
                    flow.record_until(to.saturating_sub(from));
                }
                Simulation::new(rules).after(&before, BEFORE)
            }
        };
        let (now, later) = life.traffic.iter().cloned().partition::<Vec<_>, _>(|spell| spell.from.is_zero());
        let flows = flows(&now, &simulation);
        let series = samples::recorded(life.series.clone()).expect("checked when the file was read");
        Self { step: life.step, simulation, flows, later, series, steps: 0 }
    }

    fn differences(mut self, test: &Test, interval: Duration) -> Vec<Difference> {
        let mut course = Course::new(self.simulation.started());
        let mut differences = Vec::new();
        let mut now = Duration::ZERO;
        for check in &test.checks {
            while now + interval <= check.at {
                now += interval;
                self.record_until(now);
                course.follow(self.simulation.tick(now));
            }
            let alerts: Vec<_> = check.alerts.iter().map(|(expected, _)| expected.clone()).collect();
            let rule = check.rule.as_ref().map(|(id, _)| id.as_str());
            if let Some((missing, unexpected)) = course.difference(&alerts, rule) {
                differences.push(Difference { at: check.at, line: check.place.line, missing, unexpected });
            }
        }
        differences
    }

    /// Records what happens up to a time.
    pub(super) fn record_until(&mut self, now: Duration) {
        let (begun, later) =
            std::mem::take(&mut self.later).into_iter().partition::<Vec<_>, _>(|spell| spell.from < now);
        self.later = later;
        self.flows.extend(flows(&begun, &self.simulation));
        for (flow, from, to) in &mut self.flows {
            flow.record_until(now.min(*to).saturating_sub(*from));
        }
        while self.step * u32::try_from(self.steps).unwrap_or(u32::MAX) <= now {
            for series in &mut self.series {
                series.record(self.steps, &self.simulation);
            }
            self.steps += 1;
        }
    }
}
