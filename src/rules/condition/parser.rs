//! [`Parser`]: from the text of a condition to a checked [`Condition`].

use std::sync::Arc;

use super::{Condition, ConditionError, DEEPEST, Misplaced, Names};
use crate::rules::{suggest::nearest, threshold::Operator, vocabulary};

/// What a word of several may stand in.
const QUOTES: [char; 2] = ['"', '\''];
/// What `==` and `!=` are made of.
const EQUALITY: [char; 2] = ['=', '!'];
/// What ends a word without quotes, beside white space.
const ENDS: &str = "()<>=!";
/// The same in a list.
const ENDS_IN_LIST: &str = "()<>=!,";
/// Words of the language: as values they stand in quotes.
const KEYWORDS: [&str; 4] = ["and", "or", "not", "in"];

pub(super) struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    names: &'a Names,
    /// The token that a problem is about: the last one that was taken.
    last: &'a str,
    /// Where it begins.
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, names: &'a Names) -> Self {
        Self { text, rest: text, names, last: "", at: 0 }
    }

    /// Parses the whole text.
    ///
    /// # Errors
    /// Returns the first thing that is wrong with it.
    pub(super) fn parse(mut self) -> Result<Condition, Misplaced> {
        let condition = self.whole();
        condition.map_err(|reason| Misplaced { offset: self.at, found: self.last.to_owned(), reason })
    }

    fn whole(&mut self) -> Result<Condition, ConditionError> {
        if self.peek().is_empty() {
            return Err(ConditionError::Empty);
        }
        let condition = self.any(0)?;
        match self.take() {
            "" => Ok(condition),
            found => Err(ConditionError::NoConnective { found: found.to_owned() }),
        }
    }

    /// Returns the next token without taking it.
    fn peek(&mut self) -> &'a str {
        self.token(ENDS)
    }

    /// Returns the next token: a bracket, an operator, a quoted word or a run of anything else up to one of `ends`; empty at the
    /// end. A comma that ends a run is a token.
    fn token(&mut self, ends: &str) -> &'a str {
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
        if rest.starts_with(',') && ends.contains(',') {
            return &rest[..1];
        }
        let is_end = |c: char| c.is_whitespace() || ends.contains(c);
        &rest[..rest.find(is_end).unwrap_or(rest.len())]
    }

    fn take(&mut self) -> &'a str {
        let token = self.peek();
        self.advance(token)
    }

    /// Takes a token of a list, in which a comma ends a word.
    fn take_of_list(&mut self) -> &'a str {
        let token = self.token(ENDS_IN_LIST);
        self.advance(token)
    }

    fn advance(&mut self, token: &'a str) -> &'a str {
        self.at = self.text.len() - self.rest.len();
        self.last = token;
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
        self.take();
        if depth == DEEPEST {
            return Err(ConditionError::TooDeep);
        }
        let opened_at = self.at;
        if opens == "not" {
            return self.one(depth + 1).map(Condition::negated);
        }
        let inner = self.any(depth + 1)?;
        match self.take() {
            ")" => Ok(inner),
            "" => {
                (self.at, self.last) = (opened_at, opens);
                Err(ConditionError::Unclosed)
            }
            found => Err(ConditionError::NoConnective { found: found.to_owned() }),
        }
    }

    fn compare(&mut self) -> Result<Condition, ConditionError> {
        let found = self.take();
        if !found.starts_with(|c: char| c.is_alphabetic()) || KEYWORDS.contains(&found) {
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
        let sign = self.take();
        let (is, is_list) = match sign {
            "==" => (true, false),
            "!=" => (false, false),
            "in" => (true, true),
            "not" if self.peek() == "in" => {
                self.take();
                (false, true)
            }
            found => return Err(ConditionError::NoEquality { name, found: found.to_owned() }),
        };
        let values = vocabulary::values_of(name).unwrap_or_default();
        let words = if is_list {
            self.list(name, &values)?
        } else {
            let found = self.take();
            vec![self.word(name, found, &values)?]
        };
        Ok(Condition::Word { name, is, words })
    }

    /// Parses the words in brackets, of which there is at least one.
    fn list(&mut self, name: &'static str, values: &[&'static str]) -> Result<Vec<Arc<str>>, ConditionError> {
        let found = self.take();
        let (opened_at, opens) = (self.at, found);
        if found != "(" {
            return Err(ConditionError::NoList { name, found: found.to_owned() });
        }
        let mut words = Vec::new();
        loop {
            let found = self.take_of_list();
            words.push(self.word(name, found, values)?);
            match self.take_of_list() {
                ")" => return Ok(words),
                "," => {}
                "" => {
                    (self.at, self.last) = (opened_at, opens);
                    return Err(ConditionError::Unclosed);
                }
                found => return Err(ConditionError::NoListEnd { name, found: found.to_owned() }),
            }
        }
    }

    /// Checks a token that was taken: a word, in quotes or without, and one of `values` if there are any.
    fn word(
        &mut self,
        name: &'static str,
        found: &'a str,
        values: &[&'static str],
    ) -> Result<Arc<str>, ConditionError> {
        let word = match found.chars().next().filter(|first| QUOTES.contains(first)) {
            Some(quote) => found[1..].strip_suffix(quote).ok_or(ConditionError::OpenQuote)?,
            None => found,
        };
        let is_plain = found.len() == word.len();
        let is_sign = is_plain && (word.starts_with(['(', ')', ',', '<', '>', '=', '!']) || KEYWORDS.contains(&word));
        if word.is_empty() || is_sign {
            let example = values.first().copied();
            return Err(ConditionError::NoWord { name, found: found.to_owned(), example });
        }
        if !values.is_empty() && !values.contains(&word) {
            // Of a quoted word the place is its first letter.
            self.at += usize::from(!is_plain);
            self.last = word;
            let (suggestion, expected) = (nearest(word, values.iter().copied()), values.to_vec());
            return Err(ConditionError::UnknownWord { name, found: word.to_owned(), suggestion, expected });
        }
        Ok(word.into())
    }
}

fn single_or(mut conditions: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    if conditions.len() == 1 { conditions.remove(0) } else { many(conditions) }
}
