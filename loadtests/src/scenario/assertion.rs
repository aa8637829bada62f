//! What a step expects of its response.

use std::{fmt, str::FromStr};

use serde_json::Value;
use thiserror::Error;

use super::{json_path::JsonPath, random::Random, response::Response};

/// A status or a class of statuses: `201`, `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusPattern {
    /// One status.
    Exact(u16),
    /// All statuses with this first digit.
    Class(u16),
}

/// A text that is not a status.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not an HTTP status; expected 100 to 599, or a class such as 2xx")]
pub(crate) struct StatusPatternError(String);

impl FromStr for StatusPattern {
    type Err = StatusPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || StatusPatternError(text.to_owned());
        if let Some(class) = text.strip_suffix("xx") {
            return match class.parse() {
                Ok(class @ 1..=5) => Ok(Self::Class(class)),
                _ => Err(bad()),
            };
        }
        match text.parse() {
            Ok(status @ 100..=599) => Ok(Self::Exact(status)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl StatusPattern {
    fn matches(self, status: u16) -> bool {
        match self {
            Self::Exact(wanted) => wanted == status,
            Self::Class(class) => status / 100 == class,
        }
    }
}

/// The conditions under which a response is a success.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expectation {
    /// Expected statuses; if empty, every status below 400.
    pub(crate) statuses: Vec<StatusPattern>,
    /// Texts that the body must contain.
    pub(crate) contains: Vec<String>,
    /// Values that the JSON body must have.
    pub(crate) json: Vec<(JsonPath, Value)>,
}

impl Expectation {
    /// Whether it looks at the body, which then has to be kept.
    pub(crate) fn needs_body(&self) -> bool {
        !self.contains.is_empty() || !self.json.is_empty()
    }

    /// Whether a response of that status is expected.
    pub(crate) fn wants(&self, status: u16) -> bool {
        if self.statuses.is_empty() { status < 400 } else { self.statuses.iter().any(|s| s.matches(status)) }
    }

    /// Checks a response.
    ///
    /// # Errors
    /// Says why the response is not what was expected. The text becomes a kind of failure in the report.
    pub(crate) fn check(&self, response: &mut Response<'_>, random: &mut Random) -> Result<(), String> {
        if !self.wants(response.status) {
            let wanted: Vec<String> = self.statuses.iter().map(ToString::to_string).collect();
            return Err(if wanted.is_empty() {
                format!("status {}", response.status)
            } else {
                format!("status {}, expected {}", response.status, wanted.join(" or "))
            });
        }
        for text in &self.contains {
            if !contains(response.body, text.as_bytes()) {
                return Err(format!("the body does not contain \"{text}\""));
            }
        }
        for (path, wanted) in &self.json {
            let document = response.json().ok_or("the body is not JSON")?;
            match path.find(document, random) {
                Some(found) if found == wanted => {}
                Some(found) => return Err(format!("{path} is {found}, expected {wanted}")),
                None => return Err(format!("nothing at {path} in the body, expected {wanted}")),
            }
        }
        Ok(())
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(expectation: &Expectation, status: u16, body: &str, expected: Result<(), &str>) {
        let headers = HeaderMap::new();
        let result = expectation.check(&mut Response::new(status, &headers, body.as_bytes()), &mut Random::new(1));
        assert_eq!(result.as_ref().map_err(String::as_str).copied(), expected);
    }

    #[test]
    fn anything_below_400_is_expected_by_default() {
        let any = Expectation::default();
        check(&any, 204, "", Ok(()));
        check(&any, 302, "", Ok(()));
        check(&any, 404, "", Err("status 404"));
    }

    #[test]
    fn expected_statuses_are_the_only_ones() {
        let statuses = vec!["201".parse().unwrap(), "4xx".parse().unwrap()];
        let expectation = Expectation { statuses, ..Expectation::default() };
        check(&expectation, 404, "", Ok(()));
        check(&expectation, 200, "", Err("status 200, expected 201 or 4xx"));
    }

    #[test]
    fn looks_into_the_body() {
        let expectation = Expectation {
            contains: vec!["ok".to_owned()],
            json: vec![("a[0]".parse().unwrap(), json!(1))],
            ..Expectation::default()
        };
        check(&expectation, 200, r#"{"a": [1], "s": "ok"}"#, Ok(()));
        check(&expectation, 200, r#"{"a": [1]}"#, Err("the body does not contain \"ok\""));
        check(&expectation, 200, r#"{"a": [2], "s": "ok"}"#, Err("a[0] is 2, expected 1"));
        check(&expectation, 200, "ok", Err("the body is not JSON"));
        check(&expectation, 200, r#"{"s": "ok"}"#, Err("nothing at a[0] in the body, expected 1"));
    }

    #[test]
    fn refuses_what_is_not_a_status() {
        for text in ["99", "600", "6xx", "xx", "ok", ""] {
            assert!(text.parse::<StatusPattern>().is_err(), "{text}");
        }
    }
}
