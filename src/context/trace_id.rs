//! [`TraceId`] and [`SampledTrace`]: the trace of a request, from its `traceparent` header or set by the host.
//!
//! The invariant that a change could break: a reader of `TraceSlot` gets the ids of one trace, or none.

use std::{
    fmt,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
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

/// Trace and span of a request whose trace is sampled, which means that a tracing backend keeps it.
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

    /// Parses a `traceparent` header as [`TraceId::parse`] does, with the span and the flags. Returns `None` unless the
    /// trace is sampled.
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

/// The sampled trace of a request, if it has one.
///
/// Its futures read it on any thread while one of them may set it, so the numbers are guarded by a version (a "sequence
/// lock"): a reader that meets a writer returns `None`, and a request without an exemplar is right, while one with the
/// trace of one and the span of another is wrong. Neither waits.
#[derive(Debug, Default)]
pub(super) struct TraceSlot {
    /// 0 without a trace, odd while one is written.
    version: AtomicU64,
    numbers: [AtomicU64; 3],
}

impl TraceSlot {
    /// Sets the trace. Of two threads that set one at the same moment, one does nothing.
    pub(super) fn set(&self, trace: SampledTrace) {
        let version = self.version.load(Relaxed);
        let is_free =
            version.is_multiple_of(2) && self.version.compare_exchange(version, version + 1, Acquire, Relaxed).is_ok();
        if !is_free {
            return;
        }
        // A reader that sees one of the numbers also sees the odd version.
        fence(Release);
        self.numbers.iter().zip(trace.to_numbers()).for_each(|(slot, number)| slot.store(number, Relaxed));
        self.version.store(version + 2, Release);
    }

    pub(super) fn get(&self) -> Option<SampledTrace> {
        let version = self.version.load(Acquire);
        if version == 0 || !version.is_multiple_of(2) {
            return None;
        }
        let numbers = self.numbers.each_ref().map(|number| number.load(Relaxed));
        // The version is read again after the numbers.
        fence(Acquire);
        (self.version.load(Relaxed) == version).then(|| SampledTrace::from_numbers(numbers))?
    }

    /// Forgets the trace. Nobody may read or set it at the same time.
    pub(super) fn clear(&self) {
        self.version.store(0, Relaxed);
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

    /// The trace whose ids are all made of one digit.
    fn uniform(digit: u8) -> SampledTrace {
        SampledTrace::new(TraceId([digit; 16]), [digit; 8]).expect("not zero")
    }

    #[test]
    fn a_slot_has_the_trace_that_was_set_last() {
        let slot = TraceSlot::default();
        assert_eq!(slot.get(), None);
        for digit in [1, 2, 1] {
            slot.set(uniform(digit));
            assert_eq!(slot.get(), Some(uniform(digit)));
        }
        slot.clear();
        assert_eq!(slot.get(), None);
        slot.set(uniform(3));
        assert_eq!(slot.get(), Some(uniform(3)));
    }

    #[test]
    fn a_reader_never_gets_the_ids_of_two_traces() {
        let slot = TraceSlot::default();
        let all = [1, 2, 3].map(uniform);
        let reading = AtomicU64::new(2);
        let mixed = std::thread::scope(|scope| {
            for at in 0..2 {
                let (slot, reading, all) = (&slot, &reading, &all);
                scope.spawn(move || {
                    while reading.load(Relaxed) > 0 {
                        all[at..].iter().for_each(|trace| slot.set(*trace));
                    }
                });
            }
            let readers = [(); 2].map(|()| {
                let (slot, reading, all) = (&slot, &reading, &all);
                scope.spawn(move || {
                    let of_two = |trace: &SampledTrace| !all.contains(trace);
                    let mixed = (0..500_000).filter_map(|_| slot.get()).find(of_two);
                    reading.fetch_sub(1, Relaxed);
                    mixed
                })
            });
            readers.map(|reader| reader.join().expect("no panic"))
        });
        assert_eq!(mixed, [None, None]);
    }
}
