//! [`TraceId`]: the trace of a request, from its `traceparent` header.

use std::fmt;

/// W3C trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(pub(crate) [u8; 16]);

impl TraceId {
    /// Parses the trace id out of a `traceparent` header, version 00 or later: `00-<32 hex>-<16 hex>-<2 hex>`.
    ///
    /// Source: W3C Trace Context, section 3.2. An all-zero id is invalid.
    pub(crate) fn parse(traceparent: &[u8]) -> Option<Self> {
        let id = match traceparent {
            [b'f', b'f', b'-', ..] => return None,
            [a, b, b'-', rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest.split_at_checked(32)?,
            _ => return None,
        };
        if id.1.first() != Some(&b'-') {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(id.0.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparent_yields_its_trace_id() {
        let id = TraceId::parse(VALID).expect("valid");
        assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn malformed_traceparents_yield_none() {
        for bad in [
            &b""[..],
            b"00",
            b"00-",
            b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319cb7ad6b7169203331-01",
        ] {
            assert_eq!(TraceId::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
