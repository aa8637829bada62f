//! [`UrlScheme`]: whether a request came by `http` or `https`.

use http::{
    HeaderMap, HeaderName, Uri,
    header::{FORWARDED, HeaderValue},
};

use crate::names;

/// A static, because a lookup by text would parse the text each time.
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the label `url_scheme` of requests says; set with [`MonitorBuilder::url_scheme`](crate::MonitorBuilder::url_scheme). In
/// settings: `request`, `http` or `https`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlScheme {
    /// The scheme by which the client sent the request, as far as it is known: `proto` in the header `Forwarded`, or else
    /// `X-Forwarded-Proto`, of the first proxy; or else that of the request's URI, which HTTP/2 always has; or else `http`. A
    /// client can write these headers too, but no other value than `http` and `https` becomes a label.
    #[default]
    FromRequest,
    /// `http` for every request. No header is looked up.
    Http,
    /// `https` for every request, as for a service that speaks TLS itself. No header is looked up.
    Https,
}

/// The scheme of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// Each at its place.
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Https];
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Returns the scheme of a request.
    pub(crate) fn of(setting: UrlScheme, headers: &HeaderMap, uri: &Uri) -> Self {
        match setting {
            UrlScheme::Http => Self::Http,
            UrlScheme::Https => Self::Https,
            UrlScheme::FromRequest => passed_on(headers)
                .or_else(|| uri.scheme_str().and_then(|scheme| named(scheme.as_bytes())))
                .unwrap_or(Self::Http),
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Http => names::HTTP,
            Self::Https => names::HTTPS,
        }
    }
}

/// Returns the scheme of which a proxy says that the client used it.
fn passed_on(headers: &HeaderMap) -> Option<Scheme> {
    if headers.is_empty() {
        return None;
    }
    let forwarded = || headers.get(FORWARDED).map(HeaderValue::as_bytes).and_then(proto);
    let passed_on = || headers.get(&X_FORWARDED_PROTO).map(HeaderValue::as_bytes).and_then(|list| named(first(list)));
    forwarded().or_else(passed_on)
}

/// Returns `proto` of the first element of `Forwarded`, such as `for=192.0.2.1;proto=https, for=10.0.0.1`.
fn proto(forwarded: &[u8]) -> Option<Scheme> {
    let of_pair = |pair: &[u8]| {
        let (name, value) = pair.trim_ascii().split_at_checked("proto=".len())?;
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        if name.eq_ignore_ascii_case(b"proto=") { named(value) } else { None }
    };
    first(forwarded).split(|byte| *byte == b';').find_map(of_pair)
}

/// Returns the first element of a list.
fn first(list: &[u8]) -> &[u8] {
    list.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
}

fn named(scheme: &[u8]) -> Option<Scheme> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    if is(names::HTTPS) {
        Some(Scheme::Https)
    } else if is(names::HTTP) {
        Some(Scheme::Http)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, headers: &[(&'static str, &str)], expected: &str) {
        let uri: Uri = uri.parse().expect("a URI");
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header")));
        let headers: HeaderMap = headers.collect();
        assert_eq!(Scheme::of(UrlScheme::FromRequest, &headers, &uri).label(), expected, "{uri} {headers:?}");
        assert_eq!(Scheme::of(UrlScheme::Http, &headers, &uri).label(), "http");
        assert_eq!(Scheme::of(UrlScheme::Https, &headers, &uri).label(), "https");
    }

    #[test]
    fn the_scheme_is_that_of_the_client() {
        let (forwarded, x) = ("forwarded", "x-forwarded-proto");
        check("/a", &[], "http");
        check("https://shop.example/a", &[], "https");
        check("http://shop.example/a", &[("host", "shop.example")], "http");
        check("/a", &[(x, "https")], "https");
        check("/a", &[(x, "HTTPS , http")], "https");
        check("/a", &[(forwarded, "for=192.0.2.1;proto=https;by=10.0.0.1, for=10.0.0.2;proto=http")], "https");
        check("/a", &[(forwarded, "for=\"[2001:db8::1]\"; Proto=\"https\"")], "https");
        check("/a", &[(forwarded, "proto=http"), (x, "https")], "http");
        check("/a", &[(forwarded, "for=192.0.2.1"), (x, "https")], "https");
        // A proxy that ends TLS and speaks HTTP/2 without it.
        check("http://shop.example/a", &[(x, "https")], "https");
        check("https://shop.example/a", &[(x, "http")], "http");
    }

    #[test]
    fn what_is_neither_becomes_no_label() {
        for wrong in ["", "wss", "gopher", "https2", "\"https", ",https", "h t t p s"] {
            check("/a", &[("x-forwarded-proto", wrong)], "http");
            check("https://shop.example/a", &[("x-forwarded-proto", wrong)], "https");
            check("/a", &[("forwarded", &format!("proto={wrong};for=1"))], "http");
        }
        for wrong in ["proto", "proto=", ";;", "proto=;proto=https2", "xproto=https", "for=proto=https"] {
            check("/a", &[("forwarded", wrong)], "http");
        }
        check("ftp://shop.example/a", &[], "http");
    }
}
