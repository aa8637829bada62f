//! [`Sample`]: one finished request, as a user hands it to the recorder.

use std::time::Duration;

use super::{endpoint::EndpointId, failure::FailureKind, outcome::Outcome};

/// One finished request.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The endpoint that it is counted under.
    pub(crate) endpoint: EndpointId,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Time to the last byte of the body: from when it was due in an open model, otherwise from when it was sent.
    pub(crate) latency: Duration,
    /// Time to the last byte from when it was sent, in an open model, where that differs.
    pub(crate) service: Option<Duration>,
    /// Time from when it was sent to the response head.
    pub(crate) first_byte: Option<Duration>,
    /// Status of the response, if one came.
    pub(crate) status: Option<u16>,
    /// Body bytes received, compressed ones as they are.
    pub(crate) bytes: u64,
    /// Body bytes after decoding, if they were compressed.
    pub(crate) decoded_bytes: Option<u64>,
    /// Whether it ended after the load had.
    pub(crate) after_end: bool,
    /// Whether it never reached the target: no connection was made for it, or it cannot be sent.
    pub(crate) never_sent: bool,
    /// What this machine ran out of, if that is why it failed.
    pub(crate) exhausted: Option<Exhaustion>,
    /// Why it failed, with the start of the response's body.
    pub(crate) failure: Option<(FailureKind, Option<String>)>,
}

/// What the load generator's machine may run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhaustion {
    /// File descriptors, of the process or of the system.
    Descriptors,
    /// Local ports for connections to the target.
    Ports,
}
