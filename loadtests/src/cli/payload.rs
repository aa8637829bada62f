//! `--payload`: a body, or `@FILE`.

use std::path::PathBuf;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use thiserror::Error;

/// A body that cannot be sent as it was meant.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PayloadError {
    /// Its file cannot be read.
    #[error("cannot read payload file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is meant to be JSON and is not.
    #[error(
        "the payload is not valid JSON: {problem}; to send it as it is, name its type, such as \
         --header 'content-type: text/plain'"
    )]
    NotJson {
        /// What is wrong, and where.
        problem: String,
    },
}

/// The text of a payload, and its content type where the headers name none.
pub(crate) fn read_payload(
    argument: &str,
    headers: &HeaderMap,
) -> Result<(String, Option<&'static str>), PayloadError> {
    let text = match argument.strip_prefix('@') {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| PayloadError::Unreadable { path: path.into(), source })?
        }
        None => argument.to_owned(),
    };
    let named = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let meant_as_json = named.as_deref().is_none_or(|kind| kind.contains("json"));
    if meant_as_json {
        serde_json::from_str::<serde::de::IgnoredAny>(&without_placeholders(&text))
            .map_err(|error| PayloadError::NotJson { problem: error.to_string() })?;
    }
    Ok((text, named.is_none().then_some("application/json")))
}

/// The text with a number in the place of each `{{ … }}`, which may stand inside quotes or alone.
fn without_placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((_, behind)) = after.split_once("}}") else { break };
        // "{{}}" alone is an empty object in an object, not a placeholder; JSON has no such thing, so it is refused.
        out.push_str(before);
        out.push('0');
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn json_is_checked_unless_it_is_something_else() {
        let none = HeaderMap::new();
        assert_eq!(read_payload("{\"a\": 1}", &none).unwrap().1, Some("application/json"));
        assert!(read_payload("{\"n\": \"{{ user }}\", \"m\": {{ iteration }}}", &none).is_ok());
        let error = read_payload("{\"name\": ", &none).unwrap_err().to_string();
        assert!(error.contains("line 1 column 9") && error.contains("content-type"), "{error}");
        let mut text = HeaderMap::new();
        text.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(read_payload("hello", &text).unwrap(), ("hello".to_owned(), None));
        assert!(read_payload("@/no/such/file", &none).unwrap_err().to_string().contains("/no/such/file"));
    }
}
