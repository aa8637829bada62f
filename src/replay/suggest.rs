//! Thresholds that follow from what a service measured.
//!
//! For each route and rule: a percentile of the values that the rule would have read, minute by minute, and some room above it. They are
//! suggested as overrides, in a diff of the rule file, and applied by nobody but its reader: what a service does today need not be what it
//! should do.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    chronicle::Replay,
    diff,
    edit::{Edit, Lines},
    judged::{MINUTE, judged},
    stored::StoredHistory,
};
use crate::{
    context::Glob,
    names,
    rules::{
        LabelGlobs, LoadError, Measure, Override, Question, Readings as _, Rule, RuleSet, RuleTexts, Scope, Severity,
        Subject, Threshold, Thresholds, Unit,
    },
};

/// Minutes with enough requests that a suggestion rests on at least: a quarter of a day, or the hours of the night would decide.
const LEAST_MINUTES: usize = 360;
/// Room above the percentile: less, and the ordinary bad minute is a finding.
const ROOM: f64 = 1.5;
/// What differs by less than this factor from today's threshold is not worth a line.
const WORTH: f64 = 1.5;
/// No duration below this is slow: a tenth of a second is the limit for what feels instantaneous (Nielsen, Usability Engineering,
/// 1993, chapter 5).
const SHORTEST_SECONDS: f64 = 0.1;
/// No lower rate of errors is suggested: where Netdata's alarms begin to warn.
const LOWEST_RATIO: f64 = 0.02;
/// Longest list of thresholds for a rule, those of the most requests: a longer one is read by nobody.
const MOST_ROUTES: usize = 50;

/// What to suggest thresholds for.
#[derive(Clone, Debug)]
pub struct SuggestionOptions {
    /// Ids of the rules; all where empty.
    pub rules: Vec<String>,
    /// The percentile of the minutes' values that a threshold rests on, from 50 to 100.
    pub percentile: f64,
}

impl Default for SuggestionOptions {
    /// All rules, by the 99th percentile: about a quarter of an hour of a day is above it.
    fn default() -> Self {
        Self { rules: Vec::new(), percentile: 99.0 }
    }
}

impl SuggestionOptions {
    fn names(&self, rule: &Rule) -> bool {
        self.rules.iter().any(|id| **id == *rule.id)
    }
}

/// A threshold for a route that follows from what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Id of the rule.
    pub rule: String,
    /// The route, such as `GET /orders`.
    pub subject: String,
    /// The percentile, with its unit.
    pub value: String,
    /// Minutes that it rests on, in which there were enough requests.
    pub minutes: usize,
    /// The thresholds, as rule files write them.
    pub thresholds: String,
    /// How often the rule fired for the route under today's thresholds.
    pub fired_today: usize,
    /// How often it would have fired under these.
    pub fires: usize,
}

/// Suggestions, and the change to the rule files that makes them.
#[derive(Clone, Debug)]
pub struct Suggestions {
    /// By rule and route.
    pub all: Vec<Suggestion>,
    /// A unified diff of the rule files; empty where nothing is suggested. [`patch`](Self::patch) says how it is applied.
    pub diff: String,
    /// Rules that were asked for or that something would be suggested for, and that nothing can be suggested for, with the reason.
    pub left_out: Vec<(String, String)>,
}

impl Suggestions {
    /// Returns the command that applies the diff, from the directory in which it was made: `patch -p0`, or one for absolute names where
    /// a rule file is outside that directory, since `patch` takes neither `..` nor an absolute name.
    #[must_use]
    pub fn patch(&self) -> &'static str {
        if diff::names_are_absolute(&self.diff) { "patch -d / -p1" } else { "patch -p0" }
    }
}

/// A suggestion with what it is written and tried with.
struct Draft {
    rule: Arc<Rule>,
    subject: Arc<Subject>,
    value: f64,
    minutes: usize,
    requests: u64,
    thresholds: Thresholds,
}

/// What was read of a rule's measure for a route: its values, and the samples of the last one.
#[derive(Default)]
struct Measured {
    values: Vec<f64>,
    samples: u64,
}

impl StoredHistory {
    /// Suggests thresholds for the routes that were measured, by the minutes that the history has of the last day.
    ///
    /// Suggested are thresholds on durations and on the rate of errors of endpoints, half above the percentile, rounded up, where that
    /// differs from today's threshold by half or more; never less than 100 ms or 2 %. A route that has an override keeps it.
    ///
    /// # Errors
    /// Returns what is wrong with the rule files.
    pub fn suggest(&self, files: &[PathBuf], options: &SuggestionOptions) -> Result<Suggestions, LoadError> {
        debug_assert!(options.percentile > 0.0);
        let texts = RuleTexts::of(files);
        let rules = RuleSet::of_texts(&texts)?;
        let drafts = self.drafts(&rules, options);
        let today = self.replay(&rules, None);
        let tried = self.replay(&with(&rules, &drafts), None);
        let names = diff::names(&texts.readable().map(|(path, _)| path).collect::<Vec<_>>());
        let mut suggestions = Suggestions { all: Vec::new(), diff: String::new(), left_out: Vec::new() };
        for (name, (_, text)) in names.iter().zip(texts.readable()) {
            let mut edit = Edit::of(text);
            for of_rule in drafts.chunk_by(|a, b| a.rule.id == b.rule.id) {
                let Some(first) = of_rule.first().filter(|first| edit.has(&first.rule.id)) else { continue };
                let written = of_rule.iter().map(|draft| (draft.suggestion(&today, &tried), draft));
                let (all, lines): (Vec<_>, Vec<_>) =
                    written.map(|(suggestion, draft)| (suggestion.clone(), draft.lines(&suggestion, options))).unzip();
                match edit.insert(&first.rule.id, &lines) {
                    Ok(()) => suggestions.all.extend(all),
                    Err(reason) => suggestions.left_out.push((first.rule.id.to_string(), reason.to_owned())),
                }
            }
            suggestions.diff += &diff::unified(name, text, &edit.insertions);
        }
        let others = rules.rules().iter().filter(|rule| options.names(rule) && !is_suggested_for(rule));
        let reason = "thresholds follow from what is usual for durations and error rates of endpoints only";
        suggestions.left_out.extend(others.map(|rule| (rule.id.to_string(), reason.to_owned())));
        Ok(suggestions)
    }

    fn drafts(&self, rules: &RuleSet, options: &SuggestionOptions) -> Vec<Draft> {
        let (judged, _) = judged(rules);
        let is_asked_for = |rule: &Rule| options.rules.is_empty() || options.names(rule);
        let chosen: Vec<Arc<Rule>> =
            judged.rules().iter().filter(|rule| is_suggested_for(rule) && is_asked_for(rule)).cloned().collect();
        let mut measured: HashMap<(usize, Arc<Subject>), Measured> = HashMap::new();
        self.walk(&chosen, Duration::ZERO, |_, precision, readings| {
            let Some(readings) = readings.filter(|_| precision == MINUTE) else { return };
            for (place, rule) in chosen.iter().enumerate() {
                let Rule { scope, measure, window, min_samples, .. } = &**rule;
                let (scope, measure, window, min_samples) = (*scope, *measure, *window, *min_samples);
                let question = Question { scope, measure, window, min_samples, at_least: None, metric: None };
                for reading in readings.read(&question) {
                    let known = measured.entry((place, reading.subject)).or_default();
                    known.values.push(reading.value);
                    known.samples += reading.samples;
                }
            }
        });
        let mut by_rule: BTreeMap<usize, Vec<Draft>> = BTreeMap::new();
        for ((place, subject), measured) in measured {
            if let Some(draft) = draft(&chosen[place], subject, measured, options.percentile) {
                by_rule.entry(place).or_default().push(draft);
            }
        }
        for drafts in by_rule.values_mut() {
            drafts.sort_by(|a, b| (b.requests, &a.subject.name).cmp(&(a.requests, &b.subject.name)));
            drafts.truncate(MOST_ROUTES);
            drafts.sort_by(|a, b| a.subject.name.cmp(&b.subject.name));
        }
        by_rule.into_values().flatten().collect()
    }
}

/// Returns whether thresholds of a rule can follow from a route's own history: more is worse, and every route has a usual value.
fn is_suggested_for(rule: &Rule) -> bool {
    let is_upward = rule.thresholds.0.iter().all(|(_, threshold)| threshold.operator.is_upward());
    let is_rate = rule.measure == Measure::ErrorRatio;
    rule.scope == Scope::Endpoint && is_upward && (rule.unit == Unit::Seconds || is_rate)
}

fn draft(rule: &Arc<Rule>, subject: Arc<Subject>, mut measured: Measured, percentile: f64) -> Option<Draft> {
    let has_own = rule.overrides.iter().any(|own| own.matches.match_all(&subject));
    if measured.values.len() < LEAST_MINUTES || has_own || !rule.applies_to(&subject) {
        return None;
    }
    measured.values.sort_by(f64::total_cmp);
    let minutes = measured.values.len();
    let rank = (percentile / 100.0 * minutes as f64).ceil() as usize;
    let value = measured.values[rank.clamp(1, minutes) - 1];
    let thresholds = thresholds(rule, value)?;
    // Each request is in every minute whose window has it.
    let windows = (rule.window.as_secs() / MINUTE.as_secs()).max(1);
    Some(Draft { rule: rule.clone(), subject, value, minutes, requests: measured.samples / windows, thresholds })
}

/// Returns the thresholds for a value; `None` where today's are about the same.
fn thresholds(rule: &Rule, value: f64) -> Option<Thresholds> {
    let (_, lowest) = rule.thresholds.0.first()?;
    let least = if rule.unit == Unit::Seconds { SHORTEST_SECONDS } else { LOWEST_RATIO };
    let limit = rounded_up((value * ROOM).max(least));
    let factor = limit / lowest.limit;
    if !factor.is_finite() || (1.0 / WORTH < factor && factor < WORTH) {
        return None;
    }
    let mut before = 0.0;
    let mut each: Vec<(Severity, Threshold)> = Vec::new();
    for (severity, threshold) in &rule.thresholds.0 {
        let limit = rounded_up(threshold.limit * factor);
        // A share above all can never be passed, and a rule file with one is refused.
        let is_possible = rule.unit == Unit::Seconds || limit < 1.0;
        if limit > before && is_possible {
            each.push((*severity, Threshold { limit, ..*threshold }));
            before = limit;
        }
    }
    (!each.is_empty()).then_some(Thresholds(each))
}

/// Rounds up to two digits, so that a threshold is a number that people write.
fn rounded_up(value: f64) -> f64 {
    if value <= 0.0 {
        return value;
    }
    let digits = 1 - value.log10().floor() as i32;
    let scale = 10_f64.powi(digits);
    // What is two digits long already must not be rounded to the next number by its last bit.
    let scaled = value * scale;
    let whole = if (scaled - scaled.round()).abs() < 1e-9 { scaled.round() } else { scaled.ceil() };
    // By division: 27 / 100 is 0.27, and 27 * 0.01 is not.
    if digits >= 0 { whole / scale } else { whole * 10_f64.powi(-digits) }
}

/// Returns the rules with the drafts as overrides, before those that they have.
fn with(rules: &RuleSet, drafts: &[Draft]) -> RuleSet {
    rules.changed(|rule| {
        let own = drafts.iter().filter(|draft| draft.rule.id == rule.id).map(|draft| Override {
            matches: LabelGlobs(
                draft.subject.labels.iter().map(|(name, value)| (Arc::from(&**name), Glob::new(value))).collect(),
            ),
            thresholds: Thresholds(draft.thresholds.0.clone()),
        });
        Some(Rule { overrides: own.chain(rule.overrides.iter().cloned()).collect(), ..rule.clone() })
    })
}

impl Draft {
    fn suggestion(&self, today: &Replay, tried: &Replay) -> Suggestion {
        let fired = |replay: &Replay| {
            let is_own = |rule: &str, subject: &str| *rule == *self.rule.id && *subject == *self.subject.name;
            replay.alerts.iter().filter(|alert| is_own(&alert.rule, &alert.subject)).count()
        };
        let unit = self.rule.unit;
        let has = |severity: Severity| self.thresholds.0.iter().find(|(of, _)| *of == severity);
        let each = self.rule.thresholds.0.iter().map(|(severity, threshold)| match has(*severity) {
            Some((_, own)) => format!("{severity}: \"{} {}\"", threshold.operator.as_str(), unit.render(own.limit)),
            None => format!("{severity}: off"),
        });
        Suggestion {
            rule: self.rule.id.to_string(),
            subject: self.subject.name.to_string(),
            value: unit.render(self.value),
            minutes: self.minutes,
            thresholds: each.collect::<Vec<_>>().join(", "),
            fired_today: fired(today),
            fires: fired(tried),
        }
    }

    fn lines(&self, suggestion: &Suggestion, options: &SuggestionOptions) -> Lines {
        let Suggestion { value, minutes, thresholds, fired_today, fires, .. } = suggestion;
        let label = |name| self.subject.label(name).unwrap_or_default();
        let times = |times: &usize| format!("{times} time{}", if *times == 1 { "" } else { "s" });
        Lines {
            comment: format!(
                "p{} of {minutes} minutes with {} requests: {value}; fired {} before, {} with this",
                options.percentile,
                self.requests,
                times(fired_today),
                times(fires),
            ),
            matches: format!(
                "match: {{ {}: {}, {}: {} }}",
                names::METHOD,
                quoted(label(names::METHOD)),
                names::ROUTE,
                quoted(label(names::ROUTE))
            ),
            thresholds: format!("thresholds: {{ {thresholds} }}"),
        }
    }
}

/// Writes a text as YAML does in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: f64) {
        assert_eq!(rounded_up(value), expected, "{value}");
    }

    #[test]
    fn thresholds_have_two_digits() {
        check(0.2701, 0.28);
        check(0.27, 0.27);
        check(0.1, 0.1);
        check(1.0, 1.0);
        check(12.3, 13.0);
        check(999.0, 1000.0);
        check(1234.0, 1300.0);
        check(0.0, 0.0);
    }
}
