//! The parameters of a query string, which every route of `/performance` checks before its handler runs.
//!
//! The invariant that a change could break: a parameter that a path does not know is refused. A mistyped filter that is
//! ignored gives the wrong answer without a word. `/metrics` has no filter, and scrapers send it parameters of other exporters.

use axum::{
    extract::{FromRequestParts, Query, Request},
    http::{Uri, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::rules::nearest;

/// Characters of a wrong name or value that an error repeats.
const REPEATED: usize = 64;

/// A parameter's name, and what it may be.
pub(super) type Parameter = (&'static str, &'static str);

/// Answers a request whose query string has parameters other than `known`, or one of them twice, with 400.
pub(super) async fn check(known: &'static [Parameter], request: Request, next: Next) -> Response {
    match mistake(known, request.uri()) {
        Some(mistake) => ApiError::bad_request(mistake).into_response(),
        None => next.run(request).await,
    }
}

/// Returns what is wrong with the names of a query string.
fn mistake(known: &[Parameter], uri: &Uri) -> Option<String> {
    let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Some("the query string must be a list of name=value".to_owned());
    };
    let is_known = |name: &str| known.iter().any(|(known, _)| *known == name);
    let names: Vec<&str> = given.iter().map(|(name, _)| &**name).collect();
    let wrong = names.iter().enumerate().find(|(at, name)| !is_known(name) || names[..*at].contains(name));
    let (_, name) = wrong?;
    if is_known(name) {
        return Some(format!("the parameter `{name}` is given twice"));
    }
    let expected = match known {
        [] => "this path takes no parameters".to_owned(),
        known => {
            let known: Vec<_> = known.iter().map(|(name, value)| format!("{name} ({value})")).collect();
            format!("this path takes {}", known.join(", "))
        }
    };
    Some(format!("unknown parameter {}; {expected}", found(name, known.iter().map(|(name, _)| *name))))
}

/// Writes a name that is wrong, with the one that was probably meant.
pub(super) fn found<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let repeated: String = name.chars().take(REPEATED).collect();
    match nearest(name, known) {
        Some(meant) => format!("`{repeated}`, did you mean `{meant}`?"),
        None => format!("`{repeated}`"),
    }
}

/// The parameters of a query string. Their names were checked by [`check`]; `T` reads each as text, so that its mistakes get
/// a message that says what is allowed.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parameters = Query::from_request_parts(parts, state).await;
        parameters
            .map(|Query(parameters)| Self(parameters))
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(known: &[Parameter], query: &str, expected: Option<&str>) {
        let uri = format!("/performance/x?{query}").parse().expect("a URI");
        assert_eq!(mistake(known, &uri).as_deref(), expected, "{query}");
    }

    #[test]
    fn unknown_parameters_are_refused_with_the_known_ones() {
        let (hours, format) = (("hours", "1 to 168"), ("format", "json or html"));
        check(&[hours, format], "hours=5&format=html", None);
        check(&[], "", None);
        check(&[], "&&", None);
        check(&[], "_=1", Some("unknown parameter `_`; this path takes no parameters"));
        let meant =
            "unknown parameter `Hour`, did you mean `hours`?; this path takes hours (1 to 168), format (json or html)";
        check(&[hours, format], "Hour=5", Some(meant));
        check(&[hours], "hours=1&since=2", Some("unknown parameter `since`; this path takes hours (1 to 168)"));
        check(&[hours], "hours=1&hours=1", Some("the parameter `hours` is given twice"));
        check(&[hours], "=1", Some("unknown parameter ``; this path takes hours (1 to 168)"));
        check(&[hours], "hours", None);
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_a_long_name() {
        let uri = format!("/performance/x?{}=1", "a".repeat(9000)).parse().expect("a URI");
        assert!(mistake(&[("hours", "1 to 168")], &uri).is_some_and(|mistake| mistake.len() < 200));
    }
}
