//! One entry of `--endpoints`: `[METHOD ]PATH[=WEIGHT]`.

use std::str::FromStr;

use reqwest::Method;
use thiserror::Error;

/// A request to be sent, and how often against the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSpec {
    /// Method, where the entry has one.
    pub(crate) method: Option<Method>,
    /// Path with its query.
    pub(crate) path: String,
    /// Share among the entries.
    pub(crate) weight: usize,
}

/// An entry that is none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum EndpointError {
    /// No path.
    #[error("\"{0}\" names no path; expected something like /api/users or \"POST /api/users=3\"")]
    NoPath(String),
    /// An address where a path is wanted.
    #[error("\"{0}\" is a whole address; give its first part with --base-url and only the path here")]
    WholeAddress(String),
    /// A method that does not exist.
    #[error("unknown method \"{0}\"; expected one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS")]
    UnknownMethod(String),
    /// A weight out of range.
    #[error("\"{0}\" is no weight; expected a whole number from 1 to 10000")]
    BadWeight(String),
    /// Something in the path that no address has.
    #[error("\"{0}\" has a space in its path; write it as %20")]
    SpaceInPath(String),
}

impl FromStr for EndpointSpec {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        let mut method = None;
        if let Some((first, behind)) = rest.split_once(char::is_whitespace)
            && !first.contains(['/', '{'])
        {
            method = Some(parse_method(first)?);
            rest = behind.trim_start();
        }
        let mut weight = 1;
        // In a query "=2" belongs to the query, unless a space stands before it.
        if let Some((path, number)) = rest.rsplit_once('=')
            && (path.ends_with(char::is_whitespace) || (!path.contains('?') && !number.contains(['/', '}'])))
        {
            weight = number
                .trim()
                .parse()
                .ok()
                .filter(|weight| (1..=10_000).contains(weight))
                .ok_or_else(|| EndpointError::BadWeight(number.to_owned()))?;
            rest = path.trim_end();
        }
        if rest.is_empty() {
            return Err(EndpointError::NoPath(text.to_owned()));
        }
        if rest.contains("://") && !rest.starts_with('/') {
            return Err(EndpointError::WholeAddress(rest.to_owned()));
        }
        if outside_placeholders(rest).contains(char::is_whitespace) {
            return Err(EndpointError::SpaceInPath(rest.to_owned()));
        }
        let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { method, path, weight })
    }
}

/// Reads a method, in any case.
pub(crate) fn parse_method(text: &str) -> Result<Method, EndpointError> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" => {
            Method::from_bytes(upper.as_bytes()).map_err(|_| EndpointError::UnknownMethod(text.to_owned()))
        }
        _ => Err(EndpointError::UnknownMethod(text.to_owned())),
    }
}

fn outside_placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, behind)| behind);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, method: Option<Method>, path: &str, weight: usize) {
        assert_eq!(text.parse(), Ok(EndpointSpec { method, path: path.to_owned(), weight }), "{text}");
    }

    #[test]
    fn reads_what_people_write() {
        check("/api/users", None, "/api/users", 1);
        check("api/users", None, "/api/users", 1);
        check("POST /api/users=3", Some(Method::POST), "/api/users", 3);
        check("post /api/users = 3", Some(Method::POST), "/api/users", 3);
        check("/search?q=3", None, "/search?q=3", 1);
        check("GET /search?q=3 =2", Some(Method::GET), "/search?q=3", 2);
        check("GET /p/{{ random(1, 9) }}=4", Some(Method::GET), "/p/{{ random(1, 9) }}", 4);
        check("/", None, "/", 1);
    }

    #[test]
    fn refuses_the_rest() {
        let refusal = |text: &str| text.parse::<EndpointSpec>().unwrap_err().to_string();
        assert!(refusal("").contains("names no path"));
        assert!(refusal("http://x/y").contains("--base-url"));
        assert!(refusal("FETCH /x").contains("unknown method \"FETCH\""));
        assert!(refusal("/x=0").contains("no weight"));
        assert!(refusal("/x=abc").contains("no weight"));
        assert!(refusal("GET /x y").contains("space"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(spec) = text.parse::<EndpointSpec>() {
                prop_assert!(spec.path.starts_with('/') && spec.weight >= 1);
            }
        }
    }
}
