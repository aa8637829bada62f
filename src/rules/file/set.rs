//! [`RuleSet`]: all rules that are in force together.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    embedded::EMBEDDED,
    load,
    problem::LoadError,
    source::{RuleText, RuleTexts},
};
#[cfg(feature = "schema")]
use super::{entry::RuleFile, reference, schema};
use crate::rules::{
    observed::{self, Breach, ObservedEndpoint},
    rule::Rule,
    unit::Unit,
};

/// The longest window of a rule: at most this much history is kept.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The rules that say what a bottleneck is.
///
/// Loading either succeeds as a whole or reports every problem of every file; there is no set with half of the rules.
///
/// ```
/// use pinchpoint::RuleSet;
///
/// let rules = RuleSet::embedded();
/// assert!(rules.ids().any(|id| id == "slow_endpoint"));
/// ```
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// Returns the default rules, which are compiled in.
    #[must_use]
    pub fn embedded() -> Self {
        let texts = EMBEDDED.iter().map(|(path, text)| RuleText { path: path.into(), text: Ok((*text).to_owned()) });
        Self::of_texts(&RuleTexts(texts.collect())).expect("a test loads the embedded rules")
    }

    /// Loads every `*.yaml` and `*.yml` of a directory; hidden files and sub-directories are left alone.
    /// The files are UTF-8 and have at most 1 MiB each.
    ///
    /// # Errors
    /// Returns every problem of every file, each with its line and column. A directory without a rule file is an error.
    pub fn load_dir(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::check_files(&[path.as_ref().to_owned()])
    }

    /// Loads the given files, and every rule file of those that are directories.
    ///
    /// # Errors
    /// Returns every problem of every file, each with its line and column.
    pub fn check_files(paths: &[PathBuf]) -> Result<Self, LoadError> {
        Self::of_texts(&RuleTexts::of(paths))
    }

    /// Loads what was read.
    pub(crate) fn of_texts(texts: &RuleTexts) -> Result<Self, LoadError> {
        load::load(&texts.0, LONGEST_WINDOW).map(|rules| Self { rules })
    }

    /// Returns the JSON schema of rule files, for editors; `rules/rules.schema.json` is this text.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn json_schema() -> String {
        schema::text::<RuleFile>()
    }

    /// Returns the reference of rule files and of the default rules as Markdown; `docs/rules.md` is this text.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn reference_markdown() -> String {
        reference::markdown()
    }

    /// Judges endpoints by what a client measured of them over `span`; returns what is over a threshold.
    ///
    /// Windows and waiting times of the rules do not apply: what counts is the whole time that was measured.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pinchpoint::{ObservedEndpoint, RuleSet, Severity};
    ///
    /// let slow = ObservedEndpoint {
    ///     name: "GET /users/{id}",
    ///     method: "GET",
    ///     route: "/users/{id}",
    ///     requests: 100,
    ///     failed: 0,
    ///     refused: 0,
    ///     given_up: 0,
    ///     mean: Duration::from_secs(2),
    ///     longest: Duration::from_secs(3),
    ///     quantile: &|_| Duration::from_secs(2),
    /// };
    /// let breaches = RuleSet::embedded().judge_observed(&[slow], Duration::from_secs(60));
    /// assert_eq!((breaches[0].rule.as_str(), breaches[0].severity), ("slow_endpoint", Severity::High));
    /// ```
    #[must_use]
    pub fn judge_observed(&self, endpoints: &[ObservedEndpoint<'_>], span: Duration) -> Vec<Breach> {
        observed::judge(&self.rules, endpoints, span)
    }

    /// Returns the ids of the rules, in the order of the files.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.id)
    }

    /// Returns a set of what `change` returns for each rule, without those for which it returns `None`.
    pub(crate) fn changed(&self, change: impl Fn(&Rule) -> Option<Rule>) -> Self {
        Self { rules: self.rules.iter().filter_map(|rule| change(rule)).map(Arc::new).collect() }
    }

    pub(crate) fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Returns the limits of every threshold that is a duration, in seconds. A histogram with an edge at each counts exactly
    /// what is above it.
    pub(crate) fn duration_thresholds(&self) -> Vec<f64> {
        let durations = self.rules.iter().filter(|rule| rule.unit == Unit::Seconds);
        let thresholds = durations.flat_map(|rule| {
            let overrides = rule.overrides.iter().map(|other| &other.thresholds);
            overrides.chain([&rule.thresholds]).flat_map(|thresholds| &thresholds.0)
        });
        let mut limits: Vec<f64> =
            thresholds.map(|(_, threshold)| threshold.limit).filter(|limit| *limit > 0.0).collect();
        limits.sort_by(f64::total_cmp);
        limits.dedup();
        limits
    }

    /// Returns each window that some rule looks at, from the shortest. Memory growth and objectives are left out: they
    /// have counts of their own, or days of every series would be kept.
    pub(crate) fn windows(&self) -> Vec<Duration> {
        let looking = self.rules.iter().filter(|rule| rule.measure.own_span().is_none() && rule.slo.is_none());
        let mut windows: Vec<_> = looking.map(|rule| rule.window).collect();
        windows.sort();
        windows.dedup();
        windows
    }

    #[cfg(test)]
    pub(crate) fn of(rules: Vec<Arc<Rule>>) -> Self {
        Self { rules }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> serde_json::Value {
        serde_json::from_str(&RuleSet::json_schema()).expect("a schema is JSON")
    }

    fn as_json(text: &str) -> serde_json::Value {
        crate::rules::file::yaml::from_str(text).expect("good YAML is JSON")
    }

    #[test]
    fn the_schema_beside_the_rules_is_current() {
        let current = include_str!("../../../rules/rules.schema.json");
        assert!(current == RuleSet::json_schema(), "run: cargo run -- rules schema > rules/rules.schema.json");
    }

    #[test]
    fn the_schema_accepts_the_shipped_files_and_names_itself_in_them() {
        let validator = jsonschema::validator_for(&schema()).expect("a good schema");
        for (path, text) in EMBEDDED {
            let errors: Vec<_> = validator.iter_errors(&as_json(text)).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{path}: {errors:?}");
            assert!(text.starts_with("# yaml-language-server: $schema=./rules.schema.json\n"), "{path}");
        }
    }

    #[test]
    fn the_schema_refuses_what_an_editor_should_mark() {
        let validator = jsonschema::validator_for(&schema()).expect("a good schema");
        let rule =
            "rules:\n  - { id: a, scope: task, measure: avg_duration, description: x, thresholds: { high: '> 1s' } }";
        assert!(validator.is_valid(&as_json(rule)));
        for (from, to) in [
            ("id: a", "id: A"),
            ("scope: task", "scope: tasks"),
            ("measure: avg_duration", "measure: error_ratio"),
            ("'> 1s'", "1s"),
            ("high:", "hihg:"),
            ("description: x,", ""),
            ("description: x", "description: x, window: 5 minutes"),
            ("description: x", "description: x, match: { http_route: x }"),
            ("description: x", "description: x, metric: x"),
            ("scope: task, measure: avg_duration", "scope: process, measure: memory_growth, window: 1h"),
        ] {
            assert!(!validator.is_valid(&as_json(&rule.replace(from, to))), "{from} -> {to}");
        }
    }

    #[test]
    fn a_directory_is_loaded_file_by_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = RuleSet::load_dir(dir.path()).expect_err("no files").to_string();
        assert_eq!(empty, format!("{}: no rule files here; expected at least one *.yaml", dir.path().display()));
        for (path, text) in EMBEDDED {
            std::fs::write(dir.path().join(Path::new(path).file_name().expect("a name")), text).expect("written");
        }
        std::fs::write(dir.path().join(".endpoints.yaml.swp.yaml"), "nonsense: [").expect("written");
        std::fs::write(dir.path().join("notes.txt"), "nonsense: [").expect("written");
        let loaded = RuleSet::load_dir(dir.path()).expect("good files");
        assert!(loaded.ids().eq(RuleSet::embedded().ids()));
    }

    #[test]
    fn limits_on_durations_are_known() {
        let limits = RuleSet::embedded().duration_thresholds();
        for limit in [0.1, 0.5, 1.0, 2.0, 5.0] {
            assert!(limits.contains(&limit), "{limit} is not in {limits:?}");
        }
    }
}
