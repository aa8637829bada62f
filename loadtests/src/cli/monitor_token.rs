//! `--monitor-token`: the token of a service that guards what it reports.

use std::ffi::OsStr;

use clap::{Arg, Command, builder::TypedValueParser};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::service_address::refusal;

/// A token, as the value of the header `authorization`; its `Debug` does not show it.
#[derive(Clone, Debug)]
pub(crate) struct MonitorToken(HeaderValue);

impl MonitorToken {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.trim() != text {
            return None;
        }
        let mut value = HeaderValue::from_bytes(format!("Bearer {text}").as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// Adds it to the headers, in the place of other credentials.
    pub(crate) fn authorize(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.0.clone());
    }
}

/// Reads a token for Clap, whose own error would show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MonitorTokenParser;

impl TypedValueParser for MonitorTokenParser {
    type Value = MonitorToken;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        let problem = "expected a token without spaces or line breaks at its ends and without control characters";
        let token = value.to_str().and_then(MonitorToken::parse);
        token.ok_or_else(|| refusal(command, arg, "***", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_as_bearer_and_never_shown() {
        let token = MonitorToken::parse("hunter2 ä").unwrap();
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer other"))]);
        token.authorize(&mut headers);
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer hunter2 ä".as_bytes()]);
        assert!(!format!("{token:?} {headers:?}").contains("hunter2"));
        for wrong in ["", " ", "hunter2\n", "hun\0ter2"] {
            assert!(MonitorToken::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
