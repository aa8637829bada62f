//! `--header`: `Name: value`.

use std::str::FromStr;

use reqwest::header::{HeaderName, HeaderValue};
use thiserror::Error;

/// A header that is added to every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: HeaderName,
    /// Its value.
    pub(crate) value: HeaderValue,
}

/// A text that is not a header.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is not a header; expected something like \"Authorization: Bearer abc\"")]
pub(crate) struct HeaderError(String);

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || HeaderError(text.to_owned());
        let (name, value) = text.split_once(':').ok_or_else(bad)?;
        Ok(Self {
            name: HeaderName::try_from(name.trim()).map_err(|_| bad())?,
            value: HeaderValue::from_str(value.trim()).map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers() {
        let header: Header = "X-Token:  a: b ".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.to_str().unwrap()), ("x-token", "a: b"));
        for text in ["", "x", "a b: c", ": x", "x: \u{7f}"] {
            assert!(text.parse::<Header>().is_err(), "{text:?}");
        }
    }
}
