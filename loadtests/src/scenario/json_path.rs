//! A path into a JSON document: `items[0].id`, `$.token`, `[*].id`.

use std::{fmt, str::FromStr};

use serde_json::Value;
use thiserror::Error;

use super::random::Random;

/// The way from the top of a document to one value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    text: String,
    steps: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathStep {
    Key(String),
    Index(usize),
    /// A random element: a list of products becomes one product.
    Any,
}

/// A text that is not a path.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a JSON path; expected something like items[0].id or [*].id")]
pub(crate) struct JsonPathError(String);

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || JsonPathError(text.to_owned());
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        let mut first = true;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (index, behind) = inner.split_once(']').ok_or_else(bad)?;
                steps.push(match index.trim() {
                    "*" => PathStep::Any,
                    number => PathStep::Index(number.parse().map_err(|_| bad())?),
                });
                rest = behind;
            } else {
                let after_dot = rest.strip_prefix('.');
                if after_dot.is_none() && !first {
                    return Err(bad());
                }
                let body = after_dot.unwrap_or(rest);
                let end = body.find(['.', '[']).unwrap_or(body.len());
                if end == 0 {
                    return Err(bad());
                }
                steps.push(PathStep::Key(body[..end].to_owned()));
                rest = &body[end..];
            }
            first = false;
        }
        Ok(Self { text: text.trim().to_owned(), steps })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonPath {
    /// Returns the value at the end of the path, if the document has one.
    pub(crate) fn find<'a>(&self, document: &'a Value, random: &mut Random) -> Option<&'a Value> {
        self.steps.iter().try_fold(document, |value, step| match step {
            PathStep::Key(key) => value.get(key),
            PathStep::Index(index) => value.get(index),
            PathStep::Any => value.as_array().and_then(|all| all.get(random.index(all.len()))),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&Value>) {
        let document = json!({"token": "t", "items": [{"id": 7}, {"id": 8}], "deep": {"a b": [[1]]}});
        let path: JsonPath = path.parse().unwrap();
        assert_eq!(path.find(&document, &mut Random::new(1)), expected);
    }

    #[test]
    fn finds_values() {
        check("token", Some(&json!("t")));
        check("$.token", Some(&json!("t")));
        check("items[1].id", Some(&json!(8)));
        check("deep.a b[0][0]", Some(&json!(1)));
        check("items[2].id", None);
        check("token.x", None);
    }

    #[test]
    fn star_picks_every_element_in_time() {
        let path: JsonPath = "[*]".parse().unwrap();
        let (document, mut random) = (json!([1, 2, 3]), Random::new(1));
        let mut seen: Vec<Value> = (0..60).filter_map(|_| path.find(&document, &mut random).cloned()).collect();
        seen.sort_by_key(Value::as_i64);
        seen.dedup();
        assert_eq!(seen, [json!(1), json!(2), json!(3)]);
        assert_eq!(path.find(&json!([]), &mut random), None);
    }

    #[test]
    fn refuses_broken_paths() {
        for text in ["a..b", "a[", "a[x]", "a[0]b", "."] {
            assert!(text.parse::<JsonPath>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = text.parse::<JsonPath>();
        }
    }
}
