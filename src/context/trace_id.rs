//! [`TraceId`] and [`SampledTrace`]: the trace of a request, from its `traceparent` header.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

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

/// Trace and span of a request that is sampled: somebody can look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SampledTrace {
    pub(crate) trace: TraceId,
    /// The caller's span, or the service's own. Not zero.
    pub(crate) span: u64,
}

impl SampledTrace {
    /// Returns `None` for ids of zeros, which are invalid.
    pub(crate) fn new(trace: TraceId, span: [u8; 8]) -> Option<Self> {
        let span = u64::from_be_bytes(span);
        (trace.0 != [0; 16] && span != 0).then_some(Self { trace, span })
    }

    /// Parses a `traceparent` header as [`TraceId::parse`] does, with the span and the flags. Returns `None` unless it is sampled.
    pub(crate) fn parse(traceparent: &[u8]) -> Option<Self> {
        let trace = TraceId::parse(traceparent)?;
        let (version, rest) = (traceparent.get(..2)?, traceparent.get(36..)?);
        let (span, rest) = rest.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
        // Version 00 ends here, a later one may go on behind a dash.
        if !rest.is_empty() && (version == b"00" || rest[0] != b'-') {
            return None;
        }
        let is_sampled = (hex(flags[0])? << 4 | hex(flags[1])?) & 1 == 1;
        let mut bytes = [0; 8];
        for (byte, pair) in bytes.iter_mut().zip(span.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        is_sampled.then(|| Self::new(trace, bytes))?
    }

    /// Returns the ids as numbers: the halves of the trace's, and the span's.
    pub(crate) fn to_numbers(self) -> [u64; 3] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.trace.0;
        [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest), self.span]
    }

    /// Returns the ids for their numbers; `None` without a span.
    pub(crate) fn from_numbers([upper, lower, span]: [u64; 3]) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&upper.to_be_bytes());
        bytes[8..].copy_from_slice(&lower.to_be_bytes());
        Self::new(TraceId(bytes), span.to_be_bytes())
    }
}

/// The sampled trace of a request, if it has one. Relaxed: it is set before what is recorded, by the request's own futures.
#[derive(Debug, Default)]
pub(super) struct TraceSlot([AtomicU64; 3]);

impl TraceSlot {
    pub(super) fn set(&self, trace: SampledTrace) {
        self.0.iter().zip(trace.to_numbers()).for_each(|(slot, number)| slot.store(number, Relaxed));
    }

    pub(super) fn get(&self) -> Option<SampledTrace> {
        let [upper, lower, span] = &self.0;
        let span = span.load(Relaxed);
        if span == 0 { None } else { SampledTrace::from_numbers([upper.load(Relaxed), lower.load(Relaxed), span]) }
    }

    pub(super) fn clear(&mut self) {
        *self.0[2].get_mut() = 0;
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

    #[test]
    fn a_sampled_traceparent_yields_its_span() {
        let sampled = SampledTrace::parse(VALID).expect("sampled");
        assert_eq!(
            (sampled.trace.to_string(), sampled.span),
            (TraceId::parse(VALID).expect("valid").to_string(), 0xb7ad_6b71_6920_3331)
        );
        assert_eq!(SampledTrace::from_numbers(sampled.to_numbers()), Some(sampled));
        let later = b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more";
        assert_eq!(SampledTrace::parse(later), Some(sampled));
    }

    #[test]
    fn what_is_not_sampled_or_malformed_yields_none() {
        for bad in [
            &b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"[..],
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02",
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
            b"00-0af7651916cd43dd8448eb211c80319c-",
            b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(SampledTrace::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
