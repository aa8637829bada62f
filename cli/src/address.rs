//! [`PrometheusAddress`]: where a Prometheus is asked. No error and no answer shows what may be secret in it: the command line stays in
//! the logs of CI.

use std::{ffi::OsStr, fmt};

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use reqwest::Url;

/// The address of a Prometheus, below which its API is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrometheusAddress(Url);

impl PrometheusAddress {
    /// Returns an address of its API.
    pub(crate) fn api(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// Reads an address.
    ///
    /// # Errors
    /// Returns what is wrong with it, without it.
    fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected http:// or https:// and a host, such as http://localhost:9090";
        let url = Url::parse(text).map_err(|error| format!("it is no address ({error}); {EXPECTED}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("it is no address of http or https; {EXPECTED}"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "it has a query or a fragment; {EXPECTED}, and nothing after the path. A token goes into the file of --authorization-file"
            ));
        }
        Ok(Self(url))
    }
}

/// Shows it without a user and a password.
impl fmt::Display for PrometheusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.origin().ascii_serialization();
        write!(f, "{origin}{}", self.0.path().trim_end_matches('/'))
    }
}

impl fmt::Debug for PrometheusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrometheusAddress({self})")
    }
}

/// Reads a [`PrometheusAddress`] from the command line. An error of clap's own would show the value.
#[derive(Clone, Debug)]
pub(crate) struct PrometheusAddressParser;

impl TypedValueParser for PrometheusAddressParser {
    type Value = PrometheusAddress;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        PrometheusAddress::parse(&text).map_err(|problem| {
            let option = arg.map(ToString::to_string).unwrap_or_default();
            let text = format!("the value of '{option}' is not shown, and cannot be used: {problem}");
            command.clone().error(ErrorKind::ValueValidation, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_below_the_address_whatever_its_prefix_and_credentials_are_not_shown() {
        for (text, api, shown) in [
            ("http://a:9090", "http://a:9090/api/v1/query_range", "http://a:9090"),
            ("http://a:9090/", "http://a:9090/api/v1/query_range", "http://a:9090"),
            ("https://a/prom/", "https://a/prom/api/v1/query_range", "https://a/prom"),
            ("http://[::1]:9090", "http://[::1]:9090/api/v1/query_range", "http://[::1]:9090"),
            ("http://me:hunter2@a/x", "http://me:hunter2@a/x/api/v1/query_range", "http://a/x"),
        ] {
            let address = PrometheusAddress::parse(text).unwrap();
            assert_eq!(address.api("query_range").as_str(), api);
            assert_eq!(
                (address.to_string(), format!("{address:?}")),
                (shown.to_owned(), format!("PrometheusAddress({shown})"))
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_it_and_with_what_was_expected() {
        for (text, problem) in [
            ("", "it is no address (relative URL without a base); "),
            ("127.0.0.1:29090", "it is no address (relative URL without a base); "),
            ("hunter2.example/prom", "it is no address (relative URL without a base); "),
            ("hunter2:9090", "it is no address of http or https; "),
            ("ftp://hunter2", "it is no address of http or https; "),
            ("http://", "it is no address (empty host); "),
            ("http://a/?token=hunter2", "it has a query or a fragment; "),
            ("http://a?", "it has a query or a fragment; "),
            ("http://a/graph#hunter2", "it has a query or a fragment; "),
        ] {
            let error = PrometheusAddress::parse(text).unwrap_err();
            assert!(error.starts_with(problem) && !error.contains("hunter2"), "{text}: {error}");
            assert!(
                error.contains("expected http:// or https:// and a host, such as http://localhost:9090"),
                "{error}"
            );
        }
    }
}
