//! Tokens: the shared secrets of [`Control`](super::Control) and [`Access`](super::Access).
//!
//! The invariant that a change could break: a token is compared in constant time, and neither an error nor a `Debug` shows one.

use subtle::ConstantTimeEq as _;

/// What a token must be.
pub(super) const EXPECTED: &str =
    "a secret without spaces at its ends and without control characters; leave it out to have none";

/// Returns what is wrong with a token; `None` where a client can send it.
pub(super) fn problem(token: &str) -> Option<&'static str> {
    if token.is_empty() {
        return Some("an empty token");
    }
    // A header ends and begins with neither, and has no control character in it: no client could ever send the token.
    if token.trim() != token || token.contains(char::is_control) {
        return Some("a token with a space or a line break at its ends, or with a control character");
    }
    None
}

/// Returns whether a client sent the token, in a time that does not depend on how much of it is right.
pub(super) fn is(token: &str, given: &[u8]) -> bool {
    given.ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_no_client_can_send_is_a_mistake() {
        for good in ["secret", "two words", "päss:wörd"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for wrong in ["", " ", "secret\n", " secret", "sec\0ret", "sec\r\nret"] {
            assert!(problem(wrong).is_some(), "{wrong:?}");
        }
    }
}
