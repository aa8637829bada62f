//! `--base-url` and `--monitor-url`: `http://127.0.0.1:8000`, `https://ann:secret@shop.example`.
//!
//! User and password are taken out of the address here and become a header. No other part of the tool has an address with
//! a password in it, so that none can print one.

use std::ffi::OsStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};
use percent_encoding::percent_decode_str;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::endpoint::{EndpointError, EndpointSpec};

/// The address of a service, and the credentials that were written into it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceAddress {
    url: Url,
    /// The value of the header `authorization`.
    credentials: Option<HeaderValue>,
}

impl ServiceAddress {
    fn parse(text: &str) -> Result<Self, String> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&with_scheme)
            .map_err(|error| format!("{error}; expected something like http://127.0.0.1:8000"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("unknown scheme \"{}\"; expected http or https", url.scheme()));
        }
        if url.host_str().is_none() {
            return Err("no host; expected something like http://127.0.0.1:8000".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("expected an address without a path; paths belong to --endpoints".to_owned());
        }
        let credentials = basic(&url);
        url.set_fragment(None);
        // Fails only for an address without a host.
        _ = url.set_username("");
        _ = url.set_password(None);
        Ok(Self { url, credentials })
    }

    /// Returns the address, without credentials.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Adds its credentials to the headers, in the place of others.
    pub(crate) fn authorize(&self, headers: &mut HeaderMap) {
        if let Some(credentials) = &self.credentials {
            headers.insert(AUTHORIZATION, credentials.clone());
        }
    }

    /// Whether it has credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }
}

/// Returns the credentials of an address as RFC 7617 has them.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns a text with what may be credentials replaced.
fn masked(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{separator}***@{host}"),
        None => text.to_owned(),
    }
}

/// Reads an address for Clap, whose own error would show the password.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceAddressParser;

impl TypedValueParser for ServiceAddressParser {
    type Value = ServiceAddress;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        let text = value.to_string_lossy();
        ServiceAddress::parse(&text).map_err(|problem| refusal(command, arg, &masked(&text), &problem))
    }
}

/// Reads an endpoint for Clap. A whole address is none, and may have a password in it too.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointParser;

impl TypedValueParser for EndpointParser {
    type Value = EndpointSpec;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Self::Value, clap::Error> {
        let text = value.to_string_lossy();
        text.parse().map_err(|problem: EndpointError| {
            let shown = |text: &str| if text.contains("://") { masked(text) } else { text.to_owned() };
            refusal(command, arg, &shown(&text), &shown(&problem.to_string()))
        })
    }
}

pub(super) fn refusal(command: &Command, arg: Option<&Arg>, text: &str, problem: &str) -> clap::Error {
    let option = arg.map(ToString::to_string).unwrap_or_default();
    let message = format!("invalid value '{text}' for '{option}': {problem}");
    command.clone().error(ErrorKind::ValueValidation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_an_address_without_a_path() {
        let url = |text: &str| ServiceAddress::parse(text).unwrap().url;
        assert_eq!(url("localhost:8000").as_str(), "http://localhost:8000/");
        assert_eq!(url("https://[::1]:1/").scheme(), "https");
        for text in ["", "ftp://x", "http://", "http://x/api", "http://x:99999"] {
            assert!(ServiceAddress::parse(text).is_err(), "{text}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let address = ServiceAddress::parse(text).unwrap();
        assert_eq!(address.url.as_str(), "http://host/", "{text}");
        let mut headers = HeaderMap::new();
        address.authorize(&mut headers);
        let pair = headers.get(AUTHORIZATION).map(|value| {
            let coded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            String::from_utf8(BASE64_STANDARD.decode(coded).unwrap()).unwrap()
        });
        assert_eq!(pair.as_deref(), expected, "{text}");
        assert!(!format!("{address:?}").contains("cret"), "{text}");
    }

    #[test]
    fn credentials_leave_the_address() {
        check("http://host", None);
        check("http://ann:s3cret@host", Some("ann:s3cret"));
        check("ann:s3cret@host", Some("ann:s3cret"));
        check("http://ann@host/", Some("ann:"));
        check("http://:s3cret@host/", Some(":s3cret"));
        check("http://a%40b:p%3A%2F%C3%A9cret@host", Some("a@b:p:/écret"));
    }

    #[test]
    fn a_message_shows_no_password() {
        assert_eq!(masked("http://ann:s3/cr@et@host/api"), "http://***@host/api");
        assert_eq!(masked("ann:s3cret@host:x"), "***@host:x");
        assert_eq!(masked("http://host/api"), "http://host/api");
    }
}
