//! [`Durations`]: the duration series of one endpoint, by how its requests came and ended.

use std::sync::OnceLock;

use metrics::Histogram;

use crate::context::Scheme;

/// The labels of a duration series that depend on how the request came and ended: scheme, status, that of gRPC, and kind of
/// failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationLabels {
    pub(super) status: Option<u16>,
    pub(super) grpc_status: Option<&'static str>,
    pub(super) error: Option<&'static str>,
    pub(super) scheme: Scheme,
}

/// The duration series of an endpoint. It has a handful of them, so a list that is only appended to is the fastest map,
/// and reading it takes no lock.
#[derive(Debug, Default)]
pub(super) struct Durations(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    ending: DurationLabels,
    histogram: Histogram,
    next: Durations,
}

impl Durations {
    /// Takes the labels by reference: a copy of what was just written, made on every request, waits for the write.
    pub(super) fn get(&self, ending: &DurationLabels, make: impl Fn() -> Histogram) -> &Histogram {
        let mut list = self;
        loop {
            let next = Durations::default;
            let node = list.0.get_or_init(|| Box::new(Node { ending: *ending, histogram: make(), next: next() }));
            if node.ending == *ending {
                return &node.histogram;
            }
            list = &node.next;
        }
    }
}
