//! [`Selection`]: which subjects an expression is about.
//!
//! Labels that the values of a scope have become matchers. Others, such as the operation of a statement, choose subjects by the series
//! that have them. The invariant that a change could break: a subject is chosen as long as anything of it is in the window. Otherwise what
//! a rule leaves alone would have an alert whenever a scrape fails.

use super::{
    labels::scraped,
    query::{self, Histograms, Query},
};
use crate::{
    context::escaped,
    names,
    rules::{Condition, LabelGlobs, Scope, label_of_word},
};

/// Which subjects an expression is about.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    scope: Scope,
    histograms: Histograms,
    /// Matchers of labels that the series of the scope have.
    pub(super) matchers: Vec<String>,
    /// What cannot be said with matchers.
    clauses: Vec<Clause>,
    /// What a rule requires that neither says.
    pub(super) condition: Option<Condition>,
}

/// `and on (…) …` or `unless on (…) …`: subjects that are in all of some sets.
#[derive(Clone, Debug)]
struct Clause {
    word: &'static str,
    sets: Vec<Set>,
}

/// A set of subjects.
#[derive(Clone, Debug)]
enum Set {
    /// Those that have series with these labels.
    Counted(Vec<String>),
    /// Statements with such a text.
    Text(String),
}

/// How a comparison of a word chooses subjects.
pub(super) enum Chosen {
    /// By a label that the values have: with this matcher.
    ByMatcher(String),
    /// By this set of subjects.
    BySet(String),
}

impl Selection {
    pub(super) fn of(scope: Scope, histograms: Histograms, globs: &LabelGlobs) -> Self {
        let mut selection = Self { scope, histograms, matchers: Vec::new(), clauses: Vec::new(), condition: None };
        selection.keep(globs);
        selection
    }

    pub(super) fn keep(&mut self, globs: &LabelGlobs) {
        let (own, others) = self.divided(globs);
        self.matchers.extend(own);
        self.clauses.extend(others.into_iter().map(|set| Clause { word: "and", sets: vec![set] }));
    }

    pub(super) fn leave_out(&mut self, globs: &LabelGlobs) {
        if let [(name, glob)] = &globs.0[..]
            && is_own(self.scope, name)
        {
            self.matchers.push(matcher(name, glob.regex(), glob.as_str(), false));
            return;
        }
        let (own, others) = self.divided(globs);
        let sets = std::iter::once(Set::Counted(own)).chain(others).collect();
        self.clauses.push(Clause { word: "unless", sets });
    }

    /// Keeps the subjects that a condition allows as far as matchers can say it, and returns the rest of the condition.
    pub(super) fn require(&mut self, condition: &Condition) -> Option<Condition> {
        let all = match condition {
            Condition::All(all) => &all[..],
            one => std::slice::from_ref(one),
        };
        let mut rest = Vec::new();
        for one in all {
            match word(one) {
                Some((label, matcher)) if is_own(self.scope, label) => self.matchers.push(matcher),
                _ => rest.push(one.clone()),
            }
        }
        if rest.len() > 1 { Some(Condition::All(rest)) } else { rest.pop() }
    }

    /// Returns how the comparison of a word chooses subjects; `None` if the word is none of their labels.
    pub(super) fn chosen(&self, condition: &Condition, window: &str) -> Option<Chosen> {
        let (label, matcher) = word(condition)?;
        if is_own(self.scope, label) {
            return Some(Chosen::ByMatcher(matcher));
        }
        Some(Chosen::BySet(self.written(&Set::Counted(vec![matcher]), window)))
    }

    /// Returns the matchers of a series, with `more` that only it has.
    pub(super) fn matchers_with(&self, more: &[String]) -> String {
        query(self.scope, "5m", &self.matchers, self.histograms).matchers(more)
    }

    /// Returns what chooses among values of a window beside matchers.
    pub(super) fn clauses(&self, window: &str) -> Vec<String> {
        let on = labels(self.scope);
        let sets = |sets: &[Set]| match sets {
            [one] => self.written(one, window),
            all => {
                let all: Vec<String> = all.iter().map(|set| self.written(set, window)).collect();
                format!("({})", all.join(&format!(" and on ({on}) ")))
            }
        };
        self.clauses.iter().map(|clause| format!("{} on ({on}) {}", clause.word, sets(&clause.sets))).collect()
    }

    /// Returns matchers for the labels that the values have, and sets of subjects for the others.
    fn divided(&self, globs: &LabelGlobs) -> (Vec<String>, Vec<Set>) {
        let mut own = Vec::new();
        let mut others = Vec::new();
        for (name, glob) in &globs.0 {
            let matcher = matcher(name, glob.regex(), glob.as_str(), true);
            if is_own(self.scope, name) {
                own.push(matcher);
            } else if &**name == names::DB_QUERY_TEXT {
                others.push(Set::Text(matcher));
            } else {
                others.push(Set::Counted(vec![matcher]));
            }
        }
        (own, others)
    }

    /// Returns a set of subjects as an expression.
    fn written(&self, set: &Set, window: &str) -> String {
        let counted = query(self.scope, window, &[], self.histograms).counted().name;
        match set {
            Set::Text(matcher) => format!("last_over_time({}{{{matcher}}}[{window}])", names::DB_QUERY_INFO.name),
            Set::Counted(matchers) => {
                // Where Prometheus reads native histograms, it has no series of their counts.
                let series =
                    if self.histograms == Histograms::Native { counted.to_owned() } else { format!("{counted}_count") };
                let matchers = if matchers.is_empty() { String::new() } else { format!("{{{}}}", matchers.join(",")) };
                format!("group by ({}) (last_over_time({series}{matchers}[{window}]))", labels(self.scope))
            }
        }
    }
}

/// Returns the label that a comparison of a word is about, and its matcher; `None` if it is about none. A word that is not there is an
/// empty label: of both only `!=` and `not in` hold.
fn word(condition: &Condition) -> Option<(&'static str, String)> {
    let Condition::Word { name, is, words } = condition else { return None };
    let label = label_of_word(name)?;
    let matcher = match &words[..] {
        [word] => matcher(label, None, word, *is),
        words => {
            let words: Vec<String> = words.iter().map(|word| escaped(word)).collect();
            matcher(label, Some(words.join("|")), "", *is)
        }
    };
    Some((label, matcher))
}

/// Returns whether the values of a scope have a label.
fn is_own(scope: Scope, name: &str) -> bool {
    scope == Scope::Metric
        || query(scope, "5m", &[], Histograms::Classic).subject_labels().iter().any(|label| label == name)
}

pub(super) fn labels(scope: Scope) -> String {
    query(scope, "5m", &[], Histograms::Classic).labels()
}

pub(super) fn query<'a>(scope: Scope, window: &'a str, matchers: &'a [String], histograms: Histograms) -> Query<'a> {
    Query { scope, of_process: &query::TARGET, window, matchers, histograms, metric: None, min_samples: 1 }
}

fn matcher(label: &str, regex: Option<String>, text: &str, is: bool) -> String {
    let name = scraped(label);
    match regex {
        Some(regex) => format!("{name}{}{}", if is { "=~" } else { "!~" }, query::quoted(&regex)),
        None if is => query::is(&name, text),
        None => query::is_not(&name, text),
    }
}
