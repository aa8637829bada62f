//! What a failed connection says to people, and what this machine ran out of.

use std::error::Error as _;

use super::tls_error::explain_tls;
use crate::record::Exhaustion;

/// ENFILE and EMFILE, which have one number on all Unix systems, and WSAEMFILE. `std::io::ErrorKind` has no name for
/// them.
const NO_DESCRIPTOR: [i32; 3] = [23, 24, 10_024];

/// How [`explain`] describes an answer in another protocol.
pub(crate) const NOT_HTTP_1: &str = "what the server sends is not HTTP/1.1";

/// Returns what may help against a problem that [`explain`] described; empty where nothing is known.
pub(crate) fn hint_for(problem: &str) -> &'static str {
    if problem.contains("the server's certificate") {
        "; --accept-invalid-certs accepts certificates that fail verification"
    } else if problem.contains("answers without TLS") {
        "; is it http:// and not https://?"
    } else {
        ""
    }
}

/// Describes an error by its stage and its innermost cause. The outer ones only say "error sending request".
pub(crate) fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut text = String::new();
    while let Some(source) = cause.source() {
        cause = source;
        text = cause.to_string();
    }
    let text = explain_tls(error).unwrap_or_else(|| in_plain_words(&text).to_owned());
    let stage = if error.is_connect() {
        "cannot connect"
    } else if error.is_body() || error.is_decode() {
        "response broken off"
    } else if error.is_redirect() {
        "redirect"
    } else {
        "connection broken"
    };
    if text.is_empty() && error.source().is_none() { error.to_string() } else { format!("{stage}: {text}") }
}

/// Returns what a message of a library means to someone who tests a service.
fn in_plain_words(message: &str) -> &str {
    match message {
        // A TLS alert, and the first frame of HTTP/2, are no such lines.
        "invalid HTTP version parsed"
        | "invalid HTTP status-code parsed"
        | "received unexpected message from connection" => NOT_HTTP_1,
        "message head is too large" => "the head of the response is too large, or has more than 1,024 headers",
        "tls handshake eof" => "the server closed the connection within the TLS handshake",
        // In "Connection refused (os error 111)" the number adds nothing.
        other => other.split(" (os error").next().unwrap_or_default(),
    }
}

/// Returns what this machine ran out of, if that is why no connection was made.
pub(super) fn exhaustion(error: &reqwest::Error) -> Option<Exhaustion> {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
        let Some(error) = cause.downcast_ref::<std::io::Error>() else { continue };
        if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
            return Some(Exhaustion::Descriptors);
        }
        if error.kind() == std::io::ErrorKind::AddrNotAvailable {
            return Some(Exhaustion::Ports);
        }
    }
    None
}
