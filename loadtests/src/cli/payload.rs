//! `--payload`: a body or `@FILE`.

use std::path::PathBuf;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use thiserror::Error;

use crate::scenario::replace_placeholders;

/// A body that cannot be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PayloadError {
    /// Its file cannot be read.
    #[error("cannot read payload file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It should be JSON and is not.
    #[error(
        "the payload is not valid JSON: {problem}; to send another format, name it with --header \
         'content-type: text/plain'"
    )]
    NotJson {
        /// The mistake and its place.
        problem: String,
    },
}

/// Returns the text of a payload, and its content type if the headers name none.
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
    let should_be_json = named.as_deref().is_none_or(|kind| kind.contains("json"));
    if should_be_json {
        // A placeholder may stand inside quotes or alone; a digit is valid in both places.
        let text = replace_placeholders(&text, |_| "0".to_owned());
        serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .map_err(|error| PayloadError::NotJson { problem: error.to_string() })?;
    }
    Ok((text, named.is_none().then_some("application/json")))
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
