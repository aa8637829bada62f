//! The sampled trace of the request at hand, for exemplars.
//!
//! What is recorded while a request is polled, its queries and the host's own histograms, and what is recorded at its end, has an
//! exemplar with the request's trace. A service without sampled traces pays one load of a flag for each observation.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    RequestContext,
    current::current,
    trace_id::{SampledTrace, TraceId},
};

/// Whether any request had a sampled trace. Relaxed: the first ones may go without an exemplar.
static EVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The trace of the request whose end this thread records.
    static RECORDING: Cell<Option<SampledTrace>> = const { Cell::new(None) };
}

/// Returns the sampled trace that an observation on this thread belongs to.
#[inline]
pub(crate) fn sampled_trace() -> Option<SampledTrace> {
    if EVER.load(Relaxed) { trace_at_hand() } else { None }
}

#[inline(never)]
fn trace_at_hand() -> Option<SampledTrace> {
    RECORDING.try_with(Cell::get).ok().flatten().or_else(|| current()?.trace())
}

/// Returns the time for an exemplar, in milliseconds since 1970.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps a request's trace that of this thread's observations until dropped.
#[derive(Debug)]
pub(crate) struct RecordingGuard(Option<SampledTrace>);

/// Marks this thread as recording the end of a request.
pub(crate) fn recording(context: Option<&RequestContext>) -> RecordingGuard {
    if !EVER.load(Relaxed) {
        return RecordingGuard(None);
    }
    let trace = context.and_then(RequestContext::trace);
    RecordingGuard(RECORDING.try_with(|recording| recording.replace(trace)).ok().flatten())
}

impl Drop for RecordingGuard {
    fn drop(&mut self) {
        if EVER.load(Relaxed) {
            let _ = RECORDING.try_with(|recording| recording.set(self.0));
        }
    }
}

impl RequestContext {
    /// Notes the sampled trace of the request.
    pub(crate) fn set_trace(&self, trace: SampledTrace) {
        EVER.store(true, Relaxed);
        self.trace_slot().set(trace);
    }
}

/// Names the trace of the current request, where the service itself starts it: what the request records from now on has it as an
/// exemplar in OpenMetrics and protobuf.
///
/// Not needed where the caller sends a W3C `traceparent`, which is read anyway. To be called with the ids of a sampled span, in
/// the handler or a middleware inside the monitor's layer; ids of zeros, and calls outside a request, change nothing.
///
/// With the crates `opentelemetry` and `tracing-opentelemetry`:
///
/// ```ignore
/// let context = tracing::Span::current().context();
/// let span = context.span().span_context().clone();
/// if span.is_sampled() {
///     pinchpoint::set_trace(span.trace_id().to_bytes(), span.span_id().to_bytes());
/// }
/// ```
pub fn set_trace(trace_id: [u8; 16], span_id: [u8; 8]) {
    let trace = SampledTrace::new(TraceId(trace_id), span_id);
    if let (Some(trace), Some(context)) = (trace, current()) {
        context.set_trace(trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_request_there_is_no_trace() {
        EVER.store(true, Relaxed);
        set_trace([1; 16], [2; 8]);
        assert_eq!(sampled_trace(), None);
    }
}
