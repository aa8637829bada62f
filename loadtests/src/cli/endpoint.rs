//! One entry of `--endpoints`: `[METHOD ]PATH[=WEIGHT]`.

use std::str::FromStr;

use reqwest::Method;
use thiserror::Error;

use crate::scenario::replace_placeholders;

/// A request, and how often it is sent compared with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSpec {
    /// The method, if the entry has one.
    pub(crate) method: Option<Method>,
    /// The path with its query.
    pub(crate) path: String,
    /// Its share among the entries.
    pub(crate) weight: usize,
}

/// A text that is not an endpoint.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum EndpointError {
    /// It has no path.
    #[error("\"{0}\" names no path; expected something like /api/users or \"POST /api/users=3\"")]
    NoPath(String),
    /// It is an address and not a path.
    #[error("\"{0}\" is an address; give scheme and host with --base-url, and only the path here")]
    WholeAddress(String),
    /// The method does not exist.
    #[error("unknown method \"{0}\"; expected one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS")]
    UnknownMethod(String),
    /// The weight is not a number, or out of range.
    #[error("\"{0}\" is not a weight; expected a whole number from 1 to 10000")]
    BadWeight(String),
    /// The path has a space, which no address may have.
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
        // After a "?", "=2" belongs to the query unless a space stands before it.
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
        // A placeholder at the start is a whole path, and may bring its slash.
        let path = if rest.starts_with('/') || rest.starts_with("{{") { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { method, path, weight })
    }
}

/// Parses a method, in upper or lower case.
pub(crate) fn parse_method(text: &str) -> Result<Method, EndpointError> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" => {
            Method::from_bytes(upper.as_bytes()).map_err(|_| EndpointError::UnknownMethod(text.to_owned()))
        }
        _ => Err(EndpointError::UnknownMethod(text.to_owned())),
    }
}

/// Returns a path without its placeholders. One that is never closed reaches to the end, so that the error is about the
/// placeholder and not about the space in it.
fn outside_placeholders(path: &str) -> String {
    let mut outside = replace_placeholders(path, |_| String::new());
    outside.truncate(outside.find("{{").unwrap_or(outside.len()));
    outside
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
    fn reads_the_documented_forms() {
        check("/api/users", None, "/api/users", 1);
        check("api/users", None, "/api/users", 1);
        check("POST /api/users=3", Some(Method::POST), "/api/users", 3);
        check("post /api/users = 3", Some(Method::POST), "/api/users", 3);
        check("/search?q=3", None, "/search?q=3", 1);
        check("GET /search?q=3 =2", Some(Method::GET), "/search?q=3", 2);
        check("GET /p/{{ random(1, 9) }}=4", Some(Method::GET), "/p/{{ random(1, 9) }}", 4);
        check("/", None, "/", 1);
        check("{{ env.START }}", None, "{{ env.START }}", 1);
    }

    #[test]
    fn refuses_the_rest() {
        let refusal = |text: &str| text.parse::<EndpointSpec>().unwrap_err().to_string();
        assert!(refusal("").contains("names no path"));
        assert!(refusal("http://x/y").contains("--base-url"));
        assert!(refusal("FETCH /x").contains("unknown method \"FETCH\""));
        assert!(refusal("/x=0").contains("not a weight"));
        assert!(refusal("/x=abc").contains("not a weight"));
        assert!(refusal("GET /x y").contains("space"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(spec) = text.parse::<EndpointSpec>() {
                let begins_well = spec.path.starts_with(['/', '{']);
                prop_assert!(begins_well && spec.weight >= 1);
            }
        }
    }
}
