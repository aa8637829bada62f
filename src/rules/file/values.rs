//! The values that labels can have, where they are known: a pattern that none of them matches is a mistake.

use std::borrow::Cow;

use crate::{
    context::{Glob, methods::method_names},
    names::{self, Metric},
    rules::{severity::Severity, suggest::nearest},
    track,
};

/// The values of a label.
pub(super) struct Values {
    known: Vec<Cow<'static, str>>,
    /// What they are, for messages.
    about: String,
}

impl Values {
    /// Returns the values of a label on the series of a metric; `None` where they are the service's to choose.
    pub(super) fn of(metric: Option<&Metric>, label: &str) -> Option<Self> {
        let is = |one: &Metric| metric.is_some_and(|metric| metric.name == one.name);
        match label {
            names::METHOD => {
                // Messages name the standard ones alone, and so are the same in every process.
                let mut methods = Self::listed(names::METHODS.into_iter().chain([names::METHOD_OTHER]));
                methods.known.extend(method_names().into_iter().map(Cow::Borrowed));
                Some(methods)
            }
            names::DB_OPERATION => Some(Self::listed(track::operations())),
            names::STATUS => Some(Self::statuses([])),
            names::ERROR_TYPE if is(&names::HTTP_DURATION) => {
                let errors = [names::PANIC, names::CANCELLED, names::BODY_ERROR, names::SERVICE_ERROR];
                Some(Self::statuses(errors))
            }
            names::OUTCOME if is(&names::TASK_DURATION) => {
                Some(Self::listed([names::OK, names::ERROR, names::PANIC, names::CANCELLED]))
            }
            names::OUTCOME if is(&names::RULES_RELOAD) => Some(Self::listed([names::OK, names::ERROR])),
            names::SEVERITY => Some(Self::listed(Severity::ALL.map(Severity::as_str))),
            _ => None,
        }
    }

    fn listed(known: impl IntoIterator<Item = &'static str>) -> Self {
        let known: Vec<Cow<'static, str>> = known.into_iter().map(Cow::Borrowed).collect();
        Self { about: format!("one of {}", known.join(", ")), known }
    }

    /// Every status that HTTP can have, and these words.
    fn statuses<const N: usize>(words: [&'static str; N]) -> Self {
        let or = if N == 0 { String::new() } else { format!(", {}", words.join(", ")) };
        let statuses = (100..1000).map(|status| Cow::Owned(status.to_string()));
        Self {
            known: statuses.chain(words.map(Cow::Borrowed)).collect(),
            about: format!("a status such as 404 or 5*{or}"),
        }
    }

    /// Returns what to say about a pattern that none of the values matches; `None` about every other.
    pub(super) fn mistake(&self, pattern: &str) -> Option<Mistake> {
        let glob = Glob::new(pattern);
        // An absent label is the empty one, and what is past a limit is folded into `other`.
        let others = ["", names::OTHER];
        if self.known.iter().map(AsRef::as_ref).chain(others).any(|value| glob.matches(value)) {
            return None;
        }
        let class = pattern.strip_suffix("xx").or_else(|| pattern.strip_suffix("XX")).map(|class| format!("{class}*"));
        let class = class.filter(|class| self.mistake(class).is_none());
        let near = || nearest(pattern, self.known.iter().map(AsRef::as_ref)).map(str::to_owned);
        Some(Mistake { suggestion: class.or_else(near), expected: self.about.clone() })
    }
}

/// Returns the labels that a rule may name on the series of a metric. The text of a statement is none of its series' own.
pub(super) fn labels_of(metric: &Metric) -> impl Iterator<Item = &'static str> {
    let text = (metric.labels.contains(&names::DB_QUERY_ID) && !metric.labels.contains(&names::DB_QUERY_TEXT))
        .then_some(names::DB_QUERY_TEXT);
    metric.labels.iter().copied().chain(text)
}

/// Returns what to say about a pattern on a label that none of its values matches; `None` about every other.
pub(super) fn mistake(metric: Option<&Metric>, label: &str, pattern: &str) -> Option<Mistake> {
    match label {
        names::ROUTE => route_mistake(pattern),
        names::DB_SUMMARY => summary_mistake(pattern),
        _ => Values::of(metric, label)?.mistake(pattern),
    }
}

/// Returns what to say about a pattern of summaries that no summary matches: one of a statement's text, which the label
/// once had.
fn summary_mistake(pattern: &str) -> Option<Mistake> {
    const WORDS: [&str; 10] = ["AND", "FROM", "INTO", "IN", "JOIN", "LIMIT", "ON", "SET", "VALUES", "WHERE"];
    let quoted = |text: &str| text.split(['"', '`', '[', ']']).step_by(2).collect::<Vec<_>>().join("");
    let outside = quoted(pattern);
    let has_word = outside.split([' ', '*']).skip(1).any(|word| WORDS.contains(&word));
    let has_sign = outside.contains(['?', '=', '(', ')', ',', '<', '>', '…', '#']);
    (has_word || has_sign).then(|| Mistake {
        suggestion: None,
        expected: format!(
            "operations and their targets, such as \"SELECT orders\"; match the text of a statement with {}",
            names::DB_QUERY_TEXT
        ),
    })
}

/// Returns what to say about a pattern of routes that no route matches: one with more of a request than its path.
fn route_mistake(pattern: &str) -> Option<Mistake> {
    let after_method = pattern.split_once(' ').filter(|(method, _)| method_names().contains(method));
    let route = after_method.map_or(pattern, |(_, route)| route.trim_start());
    let route = match route.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |path| &rest[path..]),
        None => route,
    };
    let route = route.split('?').next().unwrap_or_default();
    (route != pattern).then(|| Mistake {
        suggestion: Some(route.to_owned()).filter(|route| !route.is_empty()),
        expected: "the template of a route alone, such as /users/{id}".to_owned(),
    })
}

/// What is wrong with a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) suggestion: Option<String>,
    pub(super) expected: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metric: Option<&Metric>, label: &str, pattern: &str, expected: Option<(Option<&str>, &str)>) {
        let mistake = Values::of(metric, label).and_then(|values| values.mistake(pattern));
        let found = mistake.as_ref().map(|mistake| (mistake.suggestion.as_deref(), mistake.expected.as_str()));
        assert_eq!(found.map(|(meant, _)| meant), expected.map(|(meant, _)| meant), "{label}: {pattern}");
        assert!(found.is_none_or(|(_, about)| about.contains(expected.map_or("", |(_, about)| about))), "{found:?}");
    }

    #[test]
    fn a_value_that_a_label_never_has_is_a_mistake() {
        check(None, names::METHOD, "GET", None);
        check(None, names::METHOD, "P*T", None);
        check(None, names::METHOD, "*", None);
        check(None, names::METHOD, "_OTHER", None);
        check(None, names::METHOD, "get", Some((Some("GET"), "one of GET, POST")));
        check(None, names::METHOD, "GET|POST", Some((None, "one of GET, POST")));
        check(None, names::DB_OPERATION, "select", Some((Some("SELECT"), "one of ABORT")));
        check(None, names::SEVERITY, "hihg", Some((Some("high"), "one of low, medium")));
        check(None, names::ROUTE, "anything", None);
        check(None, names::DB_SYSTEM, "anything", None);
    }

    #[test]
    fn a_pattern_of_a_statements_text_is_no_summary() {
        for good in [
            "SELECT orders",
            "SELECT*",
            "*orders*",
            "BEGIN; UPDATE t",
            "",
            "other",
            "SELECT \"a (b)\" c",
            "SELECT [Order, Details]",
            "ROLLBACK TO SAVEPOINT",
        ] {
            assert_eq!(mistake(None, names::DB_SUMMARY, good), None, "{good}");
        }
        for text in [
            "SELECT * FROM orders",
            "SELECT*FROM*",
            "INSERT INTO t*",
            "UPDATE t SET*",
            "* WHERE *",
            "SELECT a, b*",
            "PRAGMA a = ?",
            "SELECT count(*)",
        ] {
            let found = mistake(Some(&names::DB_DURATION), names::DB_SUMMARY, text);
            assert!(found.is_some_and(|mistake| mistake.expected.contains("db_query_text")), "{text}");
            assert_eq!(mistake(None, names::DB_QUERY_TEXT, text), None, "{text}");
        }
    }

    #[test]
    fn a_route_is_a_path_alone() {
        for good in ["", "*", "/", "/a b", "/users/{id}", "/users/*", "reports/*", "other"] {
            assert_eq!(route_mistake(good), None, "{good}");
        }
        for (wrong, meant) in [
            ("GET /users", "/users"),
            ("POST /users?sort=name", "/users"),
            ("/users?*", "/users"),
            ("https://shop.example/users/*", "/users/*"),
            ("http://shop.example", "/"),
        ] {
            assert_eq!(route_mistake(wrong).and_then(|mistake| mistake.suggestion).as_deref(), Some(meant), "{wrong}");
        }
    }

    #[test]
    fn statuses_are_numbers_and_their_class_is_a_star() {
        let http = Some(&names::HTTP_DURATION);
        for good in ["404", "5*", "", "4?4".replace('?', "*").as_str()] {
            check(http, names::STATUS, good, None);
        }
        check(http, names::STATUS, "5xx", Some((Some("5*"), "a status such as 404")));
        check(http, names::STATUS, "5000", Some((Some("500"), "a status")));
        check(http, names::STATUS, "ok", Some((None, "a status")));
        check(http, names::ERROR_TYPE, "panics", Some((Some("panic"), "panic, cancelled")));
        check(http, names::ERROR_TYPE, "503", None);
    }

    #[test]
    fn a_label_has_other_values_on_other_metrics() {
        check(Some(&names::TASK_DURATION), names::OUTCOME, "cancelled", None);
        check(Some(&names::TASK_DURATION), names::OUTCOME, "canceled", Some((Some("cancelled"), "ok, error, panic")));
        check(Some(&names::RULES_RELOAD), names::OUTCOME, "cancelled", Some((None, "one of ok, error")));
        // A database's own codes.
        check(Some(&names::DB_DURATION), names::ERROR_TYPE, "23*", None);
    }
}
