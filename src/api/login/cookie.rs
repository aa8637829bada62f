//! The cookie of a browser that logged in.
//!
//! Its value is an HMAC-SHA256 of a fixed text under the token. So it is the same after a restart and in every instance of the
//! service, it ends when the token is changed, and whoever finds it does not have the token, which would also control if it is the
//! one of [`Control`]. The invariant that a change could break: values are compared in constant time.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::monitor::{Access, Control};

const NAME: &str = "pinchpoint";
/// What is signed; another text ends every cookie.
const TEXT: &[u8] = b"pinchpoint: a browser that logged in, 1";
/// Without `Path`, it is sent to the directory of the path that set it (RFC 6265, section 5.1.4), which is `/performance` wherever
/// the routes are nested, also by a proxy that this service knows nothing of.
const ATTRIBUTES: &str = "HttpOnly; SameSite=Strict";

/// Returns whether a request has the cookie of a token that may read.
pub(super) fn is_of_a_reader(control: &Control, access: &Access, headers: &HeaderMap) -> bool {
    let Access::Token(reads) = access else { return false };
    let mut given = given(headers).peekable();
    if given.peek().is_none() {
        return false;
    }
    let reads = value(reads);
    let controls = match control {
        Control::Token(token) => value(token),
        Control::Refused | Control::Open | Control::Loopback => reads.clone(),
    };
    // Each is compared with both, so that the time does not depend on which one is right.
    given.fold(false, |is_known, given| {
        let is = |value: &str| bool::from(given.ct_eq(value.as_bytes()));
        is_known | is(&reads) | is(&controls)
    })
}

/// Returns the values of the cookie. A browser sends several where a path above has one too.
fn given(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let cookies = headers.get_all(COOKIE).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(|cookie| cookie.trim_ascii().strip_prefix(NAME.as_bytes())?.strip_prefix(b"="))
}

/// Returns the value of the header that makes a browser keep the cookie of a token until it ends.
pub(super) fn set(token: &str, is_secure: bool) -> HeaderValue {
    header(&format!("{NAME}={}; {ATTRIBUTES}", value(token)), is_secure)
}

/// Returns the value of the header that makes a browser forget the cookie.
pub(super) fn clear(is_secure: bool) -> HeaderValue {
    header(&format!("{NAME}=; {ATTRIBUTES}; Max-Age=0"), is_secure)
}

fn header(text: &str, is_secure: bool) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{text}{secure}")).expect("letters, digits and signs of ASCII")
}

fn value(token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(TEXT);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookies: &[&str], expected: bool) {
        let headers = cookies.iter().map(|value| (COOKIE, HeaderValue::from_str(value).expect("a header")));
        let headers: HeaderMap = headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        let (control, access) = (Control::token("for control"), Access::token("se:cret"));
        assert_eq!(is_of_a_reader(&control, &access, &headers), expected, "{cookies:?}");
        for open in [Access::Open, Access::Loopback] {
            assert!(!is_of_a_reader(&control, &open, &headers), "{open:?}");
        }
    }

    /// By `printf … | openssl dgst -sha256 -hmac 'se:cret' -binary | base64`.
    const READS: &str = "ratxYqYA5pKo9DmjF6xMRqaRF9oaGKdzGFyibW7dSrs";

    #[test]
    fn the_value_is_an_hmac_of_the_token() {
        assert_eq!(value("se:cret"), READS);
    }

    #[test]
    fn cookies_of_both_tokens_read() {
        let (reads, controls) = (format!("pinchpoint={READS}"), format!("pinchpoint={}", value("for control")));
        check(&[&reads], true);
        check(&[&controls], true);
        check(&[&format!("a=b;{reads} ;c=d")], true);
        check(&["a=b", &reads], true);
        check(&[&format!("pinchpoint=wrong; {reads}")], true);
    }

    #[test]
    fn nothing_else_reads() {
        check(&[], false);
        for wrong in ["", "pinchpoint", "pinchpoint=", "pinchpoint=se:cret", "Pinchpoint=", ";;=;"] {
            check(&[wrong], false);
        }
        check(&[&format!("pinchpoint2={READS}")], false);
        check(&[&format!("pinchpoint={}", &READS[1..])], false);
        check(&[&format!("pinchpoint={READS}A")], false);
        check(&[&format!("pinchpoint={}", value(""))], false);
        check(&[&format!("pinchpoint={}", value("another"))], false);
        check(&[&"pinchpoint=a;".repeat(10_000)], false);
    }

    #[test]
    fn a_browser_keeps_it_from_scripts_and_other_sites() {
        assert_eq!(set("se:cret", false), format!("pinchpoint={READS}; HttpOnly; SameSite=Strict"));
        assert_eq!(set("se:cret", true), format!("pinchpoint={READS}; HttpOnly; SameSite=Strict; Secure"));
        assert_eq!(clear(false), "pinchpoint=; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
