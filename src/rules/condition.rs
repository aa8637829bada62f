//! Conditions over named values: `db_time_ratio > 0.5 and not (cancelled_ratio > 10%)`, `cause == computing`.
//!
//! A condition is parsed and checked once, when its file is loaded. Numbers are compared with a limit, words with `==` and
//! `!=`. A comparison with a value that was not measured is false, and so is its opposite, with `not` or without: nothing
//! follows from a missing value.

use std::sync::Arc;

use thiserror::Error;

use super::{
    suggest::nearest,
    threshold::Operator,
    unit::{Unit, UnitError},
    vocabulary,
};

/// Deeper than any condition that a person writes; the parser recurses, so a generated one could overflow the stack.
const DEEPEST: usize = 16;

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Compare { name: &'static str, operator: Operator, limit: f64 },
    Word { name: &'static str, is: bool, word: Arc<str> },
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
    /// What it may be: it is a word only where no other remains, and is not a word that does not remain.
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
    #[error("condition has {found:?} after {name}, which is a word; expected == or !=")]
    NoEquality { name: &'static str, found: String },
    #[error("condition compares {name} with {found:?}; expected a word{}", examples(.expected))]
    NoWord { name: &'static str, found: String, expected: &'static [&'static str] },
    #[error("condition compares {name} with {found:?}, which it never is; {}", meant(.suggestion, .expected))]
    UnknownWord {
        name: &'static str,
        found: String,
        suggestion: Option<&'static str>,
        expected: &'static [&'static str],
    },
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

impl ConditionError {
    /// Returns the part of the text that is wrong, so that a message can have its column.
    pub(crate) fn found(&self) -> Option<&str> {
        match self {
            Self::NoName { found }
            | Self::UnknownName { found, .. }
            | Self::NoComparison { found, .. }
            | Self::NoEquality { found, .. }
            | Self::UnknownWord { found, .. }
            | Self::NoConnective { found } => Some(found),
            Self::Value { reason, .. } => Some(match reason {
                UnitError::NotANumber { found, .. }
                | UnitError::Missing { found, .. }
                | UnitError::Unknown { found, .. }
                | UnitError::Unexpected { found }
                | UnitError::TooLarge { found } => found,
            }),
            Self::NoWord { name, .. } => Some(name),
            Self::Empty | Self::OpenQuote | Self::Unclosed | Self::TooDeep => None,
        }
    }
}

fn meant(suggestion: &Option<&'static str>, expected: &[&'static str]) -> String {
    match suggestion {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("expected one of {}", expected.join(", ")),
    }
}

fn examples(expected: &[&'static str]) -> String {
    expected.first().map_or_else(String::new, |first| format!(" such as {first}"))
}

impl Condition {
    /// Parses a condition and checks its names and values.
    ///
    /// # Errors
    /// Returns the first thing that is wrong with it.
    pub(crate) fn parse(text: &str, names: &Names) -> Result<Self, ConditionError> {
        let mut parser = Parser { rest: text, names };
        if parser.peek().is_empty() {
            return Err(ConditionError::Empty);
        }
        let condition = parser.any(0)?;
        match parser.peek() {
            "" => Ok(condition),
            found => Err(ConditionError::NoConnective { found: found.to_owned() }),
        }
    }

    /// Returns the opposite. `not` is resolved into the comparisons, so that one with a missing value stays false.
    fn negated(self) -> Self {
        let each = |conditions: Vec<Self>| conditions.into_iter().map(Self::negated).collect();
        match self {
            Self::Compare { name, operator, limit } => Self::Compare { name, operator: operator.opposite(), limit },
            Self::Word { name, is, word } => Self::Word { name, is: !is, word },
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
            Self::Word { name, is, word } => match value(name) {
                Some(Value::Word(value)) => (value == *word) == *is,
                Some(Value::OneOf(words)) if *is => matches!(words[..], [only] if only == &**word),
                Some(Value::OneOf(words)) => !words.contains(&&**word),
                Some(Value::Number(_)) | None => false,
            },
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(value)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(value)),
        }
    }
}

/// What a word of several may stand in.
const QUOTES: [char; 2] = ['"', '\''];
/// What `==` and `!=` are made of.
const EQUALITY: [char; 2] = ['=', '!'];

struct Parser<'a> {
    rest: &'a str,
    names: &'a Names,
}

impl<'a> Parser<'a> {
    /// Returns the next token without taking it: a bracket, an operator, a quoted word or a run of anything else; empty at
    /// the end.
    fn peek(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let rest = self.rest;
        if rest.starts_with(['(', ')']) {
            return &rest[..1];
        }
        if let Some((operator, _)) = Operator::strip(rest) {
            return &rest[..operator.as_str().len()];
        }
        if let Some(quote) = rest.chars().next().filter(|first| QUOTES.contains(first)) {
            let end = rest[1..].find(quote).map_or(rest.len(), |end| end + 2);
            return &rest[..end];
        }
        if rest.starts_with(EQUALITY) {
            let end = rest.find(|c: char| !EQUALITY.contains(&c)).unwrap_or(rest.len());
            return &rest[..end];
        }
        let ends = |c: char| c.is_whitespace() || "()<>".contains(c) || EQUALITY.contains(&c);
        &rest[..rest.find(ends).unwrap_or(rest.len())]
    }

    fn take(&mut self) -> &'a str {
        let token = self.peek();
        self.rest = &self.rest[token.len()..];
        token
    }

    fn any(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        let mut conditions = vec![self.all(depth)?];
        while self.peek() == "or" {
            self.take();
            conditions.push(self.all(depth)?);
        }
        Ok(single_or(conditions, Condition::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        let mut conditions = vec![self.one(depth)?];
        while self.peek() == "and" {
            self.take();
            conditions.push(self.one(depth)?);
        }
        Ok(single_or(conditions, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        let opens = self.peek();
        if !matches!(opens, "(" | "not") {
            return self.compare();
        }
        if depth == DEEPEST {
            return Err(ConditionError::TooDeep);
        }
        self.take();
        if opens == "not" {
            return self.one(depth + 1).map(Condition::negated);
        }
        let inner = self.any(depth + 1)?;
        match self.take() {
            ")" => Ok(inner),
            "" => Err(ConditionError::Unclosed),
            found => Err(ConditionError::NoConnective { found: found.to_owned() }),
        }
    }

    fn compare(&mut self) -> Result<Condition, ConditionError> {
        let found = self.take();
        if !found.starts_with(|c: char| c.is_alphabetic()) || matches!(found, "and" | "or" | "not") {
            return Err(ConditionError::NoName { found: found.to_owned() });
        }
        let names = || self.names.iter().map(|(name, _)| *name);
        let Some((name, unit)) = self.names.iter().copied().find(|(name, _)| *name == found) else {
            let suggestion = nearest(found, names());
            let (found, expected) = (found.to_owned(), names().collect());
            return Err(ConditionError::UnknownName { found, suggestion, expected });
        };
        let Some(unit) = unit else { return self.compare_word(name) };
        let sign = self.take();
        let Some((operator, "")) = Operator::strip(sign) else {
            return Err(ConditionError::NoComparison { name, found: sign.to_owned() });
        };
        let limit = unit.parse(self.take()).map_err(|reason| ConditionError::Value { name, reason })?;
        Ok(Condition::Compare { name, operator, limit })
    }

    fn compare_word(&mut self, name: &'static str) -> Result<Condition, ConditionError> {
        let is = match self.take() {
            "==" => true,
            "!=" => false,
            found => return Err(ConditionError::NoEquality { name, found: found.to_owned() }),
        };
        let found = self.take();
        let word = match found.chars().next().filter(|first| QUOTES.contains(first)) {
            Some(quote) => found[1..].strip_suffix(quote).ok_or(ConditionError::OpenQuote)?,
            None => found,
        };
        let expected = vocabulary::values_of(name).unwrap_or_default();
        let is_connective = found.len() == word.len() && matches!(word, "and" | "or" | "not");
        if word.is_empty() || word.starts_with(['(', ')', '<', '>', '=', '!']) || is_connective {
            return Err(ConditionError::NoWord { name, found: found.to_owned(), expected });
        }
        if !expected.is_empty() && !expected.contains(&word) {
            let suggestion = nearest(word, expected.iter().copied());
            return Err(ConditionError::UnknownWord { name, found: word.to_owned(), suggestion, expected });
        }
        Ok(Condition::Word { name, is, word: word.into() })
    }
}

fn single_or(mut conditions: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    if conditions.len() == 1 { conditions.remove(0) } else { many(conditions) }
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
            _ => None,
        };
        assert_eq!(condition.holds(&mut values), expected, "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(Condition::parse(text, NAMES).expect_err(text).to_string(), message);
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
    fn nothing_follows_from_a_word_that_is_not_there() {
        holds("none == any", false);
        holds("none != any", false);
        holds("not none == any", false);
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
    }

    #[test]
    fn wrong_words_are_refused() {
        refuses(
            "cause == computin",
            "condition compares cause with \"computin\", which it never is; did you mean \"computing\"?",
        );
        refuses("cause = computing", "condition has \"=\" after cause, which is a word; expected == or !=");
        refuses("cause computing", "condition has \"computing\" after cause, which is a word; expected == or !=");
        refuses("cause == ", "condition compares cause with \"\"; expected a word such as computing");
        refuses("cause == and", "condition compares cause with \"and\"; expected a word such as computing");
        refuses("top_query == 'SELECT", "condition has a quoted word that is never closed");
        refuses("top_query == '", "condition has a quoted word that is never closed");
        refuses("calls == 5", "condition has \"==\" after calls; expected one of >, >=, <, <=");
    }

    #[test]
    fn wrong_conditions_say_where_they_went_wrong() {
        refuses(" ", "condition is empty; expected something like \"db_time_ratio > 0.5\"");
        refuses("db_time_rato > 0.5", "unknown name \"db_time_rato\" in condition; did you mean \"db_time_ratio\"?");
        refuses(
            "colour > 0.5",
            "unknown name \"colour\" in condition; expected one of db_time_ratio, avg_duration, calls, gone, top_query, cause, none",
        );
        refuses("top_query > 5", "condition has \">\" after top_query, which is a word; expected == or !=");
        refuses("calls 5", "condition has \"5\" after calls; expected one of >, >=, <, <=");
        refuses("calls = 5", "condition has \"=\" after calls; expected one of >, >=, <, <=");
        refuses(
            "calls > ",
            "condition compares calls with a wrong value: \"\" is not a number; expected a number such as 5",
        );
        refuses(
            "avg_duration > 1sec",
            "condition compares avg_duration with a wrong value: unknown unit in \"1sec\"; expected one of ms, s, m, h",
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
        fn no_text_makes_the_parser_panic(text in "(calls|avg_duration|[0-9.]{1,3}|ms|and|or|not|cause|[!'\"]|[<>=() ]|\\PC){0,12}") {
            // Panicking is what is tested; most of these texts are refused.
            let _ = Condition::parse(&text, NAMES);
        }
    }
}
