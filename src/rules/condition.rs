//! Conditions over named values: `db_time_ratio > 0.5 and not (cancelled_ratio > 10%)`, `top_error in ("409", "422")`.
//!
//! A condition is parsed and checked once, when its file is loaded ([`parser`]). Numbers are compared with a limit, words with
//! `==`, `!=`, `in (…)` and `not in (…)`. A comparison with a number that was not measured is false, and so is its opposite, with
//! `not` or without: nothing follows from a missing number. A word that is not there is no word at all: `==` and `in` are false,
//! `!=` and `not in` hold.

mod parser;

use std::sync::Arc;

use thiserror::Error;

use super::{
    suggest::meant,
    threshold::Operator,
    unit::{Unit, UnitError},
};
use parser::Parser;

/// Deeper than any condition that a person writes; the parser recurses, so a generated one could overflow the stack.
const DEEPEST: usize = 16;

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Compare {
        name: &'static str,
        operator: Operator,
        limit: f64,
    },
    /// Whether the word is, or is not, one of these.
    Word {
        name: &'static str,
        is: bool,
        words: Vec<Arc<str>>,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// The names that a condition may use, with the unit of each; `None` for a word.
pub(crate) type Names = [(&'static str, Option<Unit>)];

/// A value that a condition compares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Word(Arc<str>),
    /// What it may be: it is one of some words only where no other remains, and none of those that do not remain.
    OneOf(Vec<&'static str>),
}

/// Why a text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ConditionError {
    #[error("condition is empty; expected something like \"db_time_ratio > 0.5\"")]
    Empty,
    #[error("condition has {found:?} where a name was expected")]
    NoName { found: String },
    #[error("unknown name {found:?} in condition; {}", meant(.suggestion, .expected))]
    UnknownName { found: String, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("condition has {found:?} after {name}, which is a word; expected ==, !=, in or not in")]
    NoEquality { name: &'static str, found: String },
    #[error("condition compares {name} with {found:?}; expected a word{}", .example.map_or_else(String::new, |word| format!(" such as {word}")))]
    NoWord { name: &'static str, found: String, example: Option<&'static str> },
    #[error("condition compares {name} with {found:?}, which it never is; {}", meant(.suggestion, .expected))]
    UnknownWord { name: &'static str, found: String, suggestion: Option<&'static str>, expected: Vec<&'static str> },
    #[error("condition has {found:?} after the \"in\" of {name}; expected a list such as (\"a\", \"b\")")]
    NoList { name: &'static str, found: String },
    #[error("condition has {found:?} in the list of {name}; expected \",\" or \")\"")]
    NoListEnd { name: &'static str, found: String },
    #[error("condition has a quoted word that is never closed")]
    OpenQuote,
    #[error("condition has {found:?} after {name}; expected one of >, >=, <, <=")]
    NoComparison { name: &'static str, found: String },
    #[error("condition compares {name} with a wrong value: {reason}")]
    Value { name: &'static str, reason: UnitError },
    #[error("condition has {found:?}; expected \"and\" or \"or\"")]
    NoConnective { found: String },
    #[error("condition has an open bracket that is never closed")]
    Unclosed,
    #[error("condition nests more than {DEEPEST} brackets and \"not\"s")]
    TooDeep,
}

/// What is wrong with a condition, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced {
    /// In bytes from the beginning of the text.
    pub(crate) offset: usize,
    /// What stands there; empty at the end of the text.
    pub(crate) found: String,
    pub(crate) reason: ConditionError,
}

impl Condition {
    /// Parses a condition and checks its names and values.
    ///
    /// # Errors
    /// Returns the first thing that is wrong with it.
    pub(crate) fn parse(text: &str, names: &Names) -> Result<Self, Misplaced> {
        Parser::new(text, names).parse()
    }

    /// Returns the opposite. `not` is resolved into the comparisons, so that one with a missing value stays false.
    fn negated(self) -> Self {
        let each = |conditions: Vec<Self>| conditions.into_iter().map(Self::negated).collect();
        match self {
            Self::Compare { name, operator, limit } => Self::Compare { name, operator: operator.opposite(), limit },
            Self::Word { name, is, words } => Self::Word { name, is: !is, words },
            Self::All(conditions) => Self::Any(each(conditions)),
            Self::Any(conditions) => Self::All(each(conditions)),
        }
    }

    /// Returns every comparison of a number in it.
    pub(crate) fn comparisons(&self) -> Vec<(&'static str, Operator, f64)> {
        match self {
            Self::Compare { name, operator, limit } => vec![(name, *operator, *limit)],
            Self::Word { .. } => Vec::new(),
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().flat_map(Self::comparisons).collect(),
        }
    }

    /// Returns whether it holds for the values that `value` returns.
    pub(crate) fn holds(&self, value: &mut dyn FnMut(&'static str) -> Option<Value>) -> bool {
        match self {
            Self::Compare { name, operator, limit } => {
                matches!(value(name), Some(Value::Number(value)) if operator.holds(value, *limit))
            }
            Self::Word { name, is, words } => {
                let listed = |word: &str| words.iter().any(|one| **one == *word);
                match value(name) {
                    Some(Value::Word(word)) => listed(&word) == *is,
                    Some(Value::OneOf(remain)) if *is => !remain.is_empty() && remain.into_iter().all(listed),
                    Some(Value::OneOf(remain)) => !remain.into_iter().any(listed),
                    Some(Value::Number(_)) => false,
                    None => !is,
                }
            }
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(value)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: &Names = &[
        ("db_time_ratio", Some(Unit::Ratio)),
        ("avg_duration", Some(Unit::Seconds)),
        ("calls", Some(Unit::Count)),
        ("gone", Some(Unit::Count)),
        ("top_query", None),
        ("cause", None),
        ("operation", None),
        ("top_error", None),
        ("none", None),
    ];

    #[track_caller]
    fn holds(text: &str, expected: bool) {
        let condition = Condition::parse(text, NAMES).expect(text);
        let mut values = |name: &str| match name {
            "db_time_ratio" => Some(Value::Number(0.6)),
            "avg_duration" => Some(Value::Number(1.5)),
            "calls" => Some(Value::Number(12.0)),
            "top_query" => Some(Value::Word("SELECT 1".into())),
            "cause" => Some(Value::Word("computing".into())),
            "operation" => Some(Value::Word("INSERT".into())),
            "top_error" => Some(Value::Word("422".into())),
            _ => None,
        };
        assert_eq!(condition.holds(&mut values), expected, "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(Condition::parse(text, NAMES).expect_err(text).reason.to_string(), message);
    }

    #[test]
    fn comparisons_and_connectives_hold_as_written() {
        holds("db_time_ratio > 0.5", true);
        holds("db_time_ratio>50%", true);
        holds("db_time_ratio >= 60%", true);
        holds("db_time_ratio < 60%", false);
        holds("avg_duration <= 1500ms", true);
        holds("calls > 10 and avg_duration > 2s", false);
        holds("calls > 10 or avg_duration > 2s", true);
        holds("calls > 20 and calls > 20 or calls > 5", true);
        holds("calls > 20 and (calls > 20 or calls > 5)", false);
        holds("(calls > 5)and(calls > 6)", true);
    }

    #[test]
    fn not_turns_what_follows_it_around() {
        holds("not calls > 12", true);
        holds("not calls >= 12", false);
        holds("not calls < 12", true);
        holds("not calls <= 12", false);
        holds("not calls > 20 and calls > 20", false);
        holds("not (calls > 20 and calls > 5)", true);
        holds("not(calls > 20 or calls > 5)", false);
        holds("db_time_ratio > 0.5 and not (avg_duration > 2s)", true);
        holds("not not (calls > 5)", true);
    }

    #[test]
    fn nothing_follows_from_a_value_that_is_not_there() {
        holds("gone > 0", false);
        holds("gone <= 0", false);
        holds("gone > 0 or calls > 1", true);
        holds("not gone > 0", false);
        holds("not (gone > 0 or calls > 20)", false);
        holds("not (gone > 0 and calls > 20)", true);
    }

    #[test]
    fn words_are_equal_or_not() {
        holds("cause == computing", true);
        holds("cause==computing and calls>5", true);
        holds("cause != computing", false);
        holds("cause != slow_plan", true);
        holds("not cause == slow_plan", true);
        holds("(cause == slow_plan or cause == computing)", true);
        holds("top_query == \"SELECT 1\"", true);
        holds("top_query == 'SELECT 1' and calls > 5", true);
        holds("top_query != 'SELECT 2'", true);
    }

    #[test]
    fn a_word_is_one_of_a_list_or_is_not() {
        holds("top_error in (\"409\", \"422\")", true);
        holds("top_error not in (\"409\", \"422\")", false);
        holds("top_error in (409, 422)", true);
        holds("top_error in(409,'422')and calls > 5", true);
        holds("top_error in ( 409 , 500 )", false);
        holds("top_error not in (409)", true);
        holds("not top_error in (409, 422)", false);
        holds("not top_error not in (409, 422)", true);
        holds("operation == \"INSERT\" and (top_error in (409) or top_error in (422))", true);
        holds("operation in (INSERT, 'UPDATE', \"DELETE\")", true);
        holds("top_query in ('SELECT 1, 2', 'SELECT 1')", true);
        holds("top_query in ('SELECT 1, 2', \"SELECT (1)\")", false);
    }

    #[test]
    fn a_word_that_is_not_there_is_no_word() {
        for (equal, different) in [("none == any", "none != any"), ("none in (any, other)", "none not in (any, other)")]
        {
            holds(equal, false);
            holds(different, true);
            holds(&format!("not {equal}"), true);
            holds(&format!("not {different}"), false);
            holds(&format!("{different} and not (gone > 1)"), false);
        }
    }

    #[test]
    fn of_several_words_that_remain_none_is_it_and_only_the_others_are_excluded() {
        #[track_caller]
        fn check(remain: &[&'static str], text: &str, expected: bool) {
            let condition = Condition::parse(text, NAMES).expect(text);
            assert_eq!(condition.holds(&mut |_| Some(Value::OneOf(remain.to_vec()))), expected, "{text}");
        }
        let both = ["slow_plan", "db_lock"];
        check(&both, "cause == slow_plan", false);
        check(&both, "cause != slow_plan", false);
        check(&both, "cause != stampede and not cause == computing", true);
        check(&["slow_plan"], "cause == slow_plan and cause != db_lock", true);
        check(&["slow_plan"], "cause != slow_plan", false);
        check(&[], "cause == slow_plan", false);
        check(&[], "cause != slow_plan", true);
        check(&both, "cause in (slow_plan, db_lock, stampede)", true);
        check(&both, "cause in (slow_plan, stampede)", false);
        check(&both, "cause not in (slow_plan, stampede)", false);
        check(&both, "cause not in (computing, stampede)", true);
        check(&[], "cause in (slow_plan, db_lock)", false);
        check(&[], "cause not in (slow_plan, db_lock)", true);
    }

    #[test]
    fn wrong_words_are_refused() {
        refuses(
            "cause == computin",
            "condition compares cause with \"computin\", which it never is; did you mean \"computing\"?",
        );
        refuses("cause = computing", "condition has \"=\" after cause, which is a word; expected ==, !=, in or not in");
        refuses(
            "cause computing",
            "condition has \"computing\" after cause, which is a word; expected ==, !=, in or not in",
        );
        refuses("cause == ", "condition compares cause with \"\"; expected a word such as computing");
        refuses("cause == and", "condition compares cause with \"and\"; expected a word such as computing");
        refuses("top_query == 'SELECT", "condition has a quoted word that is never closed");
        refuses("top_query == '", "condition has a quoted word that is never closed");
        refuses(
            "operation == insrt",
            "condition compares operation with \"insrt\", which it never is; did you mean \"INSERT\"?",
        );
        refuses(
            "operation in (SELECT, 'insert')",
            "condition compares operation with \"insert\", which it never is; did you mean \"INSERT\"?",
        );
        refuses("calls == 5", "condition has \"==\" after calls; expected one of >, >=, <, <=");
    }

    #[test]
    fn wrong_lists_are_refused() {
        refuses(
            "top_error in 409",
            "condition has \"409\" after the \"in\" of top_error; expected a list such as (\"a\", \"b\")",
        );
        refuses(
            "top_error in",
            "condition has \"\" after the \"in\" of top_error; expected a list such as (\"a\", \"b\")",
        );
        refuses(
            "top_error not 409",
            "condition has \"not\" after top_error, which is a word; expected ==, !=, in or not in",
        );
        refuses("top_error in ()", "condition compares top_error with \")\"; expected a word");
        refuses("top_error in (409,)", "condition compares top_error with \")\"; expected a word");
        refuses("top_error in (,409)", "condition compares top_error with \",\"; expected a word");
        refuses("cause in (and)", "condition compares cause with \"and\"; expected a word such as computing");
        refuses("top_error == in", "condition compares top_error with \"in\"; expected a word");
        refuses("top_error in (409 422)", "condition has \"422\" in the list of top_error; expected \",\" or \")\"");
        refuses("top_error in (409, 422", "condition has an open bracket that is never closed");
        refuses("top_error in ('409, 422)", "condition has a quoted word that is never closed");
        refuses("calls in (1, 2)", "condition has \"in\" after calls; expected one of >, >=, <, <=");
        refuses("in in (1)", "condition has \"in\" where a name was expected");
    }

    #[test]
    fn a_mistake_has_its_place() {
        #[track_caller]
        fn check(text: &str, found: &str, offset: usize) {
            let misplaced = Condition::parse(text, NAMES).expect_err(text);
            assert_eq!((misplaced.found.as_str(), misplaced.offset), (found, offset), "{text}");
        }
        check("cause == an", "an", 9);
        check("cause == 'an'", "an", 10);
        check("cause in (stampede, an)", "an", 20);
        check("calls > 5 and call > 5", "call", 14);
        check("calls > 5 or calls > s", "s", 21);
        check("calls > 5 and (calls > 6", "(", 14);
        check("calls > 5)", ")", 9);
        check("top_error in (é, é é)", "é", 21);
        check("calls > 5 and ", "", 14);
    }

    /// Ten times as many words take ten times as long, not a hundred times: the file is read while the service runs.
    #[test]
    fn a_long_list_is_read_once() {
        let list = format!("top_error in ({}422)", "x,".repeat(200_000));
        let condition = Condition::parse(&list, NAMES).expect("a long list");
        assert!(matches!(condition, Condition::Word { words, .. } if words.len() == 200_001));
    }

    #[test]
    fn wrong_conditions_say_where_they_went_wrong() {
        refuses(" ", "condition is empty; expected something like \"db_time_ratio > 0.5\"");
        refuses("db_time_rato > 0.5", "unknown name \"db_time_rato\" in condition; did you mean \"db_time_ratio\"?");
        refuses(
            "colour > 0.5",
            "unknown name \"colour\" in condition; expected one of db_time_ratio, avg_duration, calls, gone, top_query, cause, operation, top_error, none",
        );
        refuses("top_query > 5", "condition has \">\" after top_query, which is a word; expected ==, !=, in or not in");
        refuses("calls 5", "condition has \"5\" after calls; expected one of >, >=, <, <=");
        refuses("calls = 5", "condition has \"=\" after calls; expected one of >, >=, <, <=");
        refuses(
            "calls > ",
            "condition compares calls with a wrong value: \"\" is not a number; expected a number such as 5",
        );
        refuses(
            "avg_duration > 1sec",
            "condition compares avg_duration with a wrong value: unknown unit in \"1sec\"; expected one of ms, s, m, h, d",
        );
        refuses("calls > 5 xor calls > 6", "condition has \"xor\"; expected \"and\" or \"or\"");
        refuses("calls > 5 and", "condition has \"\" where a name was expected");
        refuses("(calls > 5", "condition has an open bracket that is never closed");
        refuses("calls > 5)", "condition has \")\"; expected \"and\" or \"or\"");
        refuses(&format!("{}calls > 5", "(".repeat(100_000)), "condition nests more than 16 brackets and \"not\"s");
        refuses(&format!("{}calls > 5", "not ".repeat(100_000)), "condition nests more than 16 brackets and \"not\"s");
        refuses("calls > 5 and not", "condition has \"\" where a name was expected");
        refuses("calls not > 5", "condition has \"not\" after calls; expected one of >, >=, <, <=");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(calls|avg_duration|[0-9.]{1,3}|ms|and|or|not|in|cause|[!'\"]|[<>=(), ]|\\PC){0,12}") {
            // Panicking is what is tested; most of these texts are refused.
            let _ = Condition::parse(&text, NAMES);
        }
    }
}
