//! [`Heap`]: the bytes that an endpoint's requests allocate, and those that are never freed.
//!
//! Counted only with the feature `alloc` and if the host uses
//! [`CountingAllocator`](pinchpoint_alloc::CountingAllocator); otherwise a heap is empty and costs nothing. The
//! invariant that a change could break: allocations count for a request exactly while it is polled.

pub(crate) use counting::{Heap, HeapGuard, Heaps, RequestAllocations};

#[cfg(feature = "alloc")]
mod counting {
    use std::sync::{Arc, Mutex};

    use metrics::{Counter, Gauge, Histogram};
    use pinchpoint_alloc::{Entered, Tag, is_installed};

    use crate::{
        context::{DynRecorder, labelled},
        lock::lock,
        names,
    };

    /// The accounts of every endpoint.
    #[derive(Debug)]
    pub(crate) struct Heaps {
        /// Tag of the endpoints for which no tag is left; `None` without the counting allocator.
        other: Option<Tag>,
        accounts: Mutex<Vec<Account>>,
    }

    /// The series of one endpoint's heap, which each tick writes.
    #[derive(Debug)]
    struct Account {
        heap: TagBaseline,
        live: Gauge,
        allocated: Counter,
        freed: Counter,
    }

    /// A tag, and its bytes when this monitor began to use it: tags belong to the process, and an earlier monitor may
    /// have used this one.
    #[derive(Clone, Copy, Debug)]
    struct TagBaseline {
        tag: Tag,
        allocated: u64,
        freed: u64,
    }

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self { other: is_installed().then(|| Tag::named(names::OTHER)).flatten(), accounts: Mutex::default() }
        }

        /// Returns the heap of an endpoint, without series yet. Counts in `dropped` if no tag is left for it.
        pub(in crate::context) fn open(&self, dropped: &Counter, labels: &[(&'static str, Arc<str>); 2]) -> Heap {
            let Some(other) = self.other else { return Heap(None) };
            let name: Vec<&str> = labels.iter().map(|(_, value)| &**value).collect();
            let tag = Tag::named(&name.join(" ")).unwrap_or_else(|| {
                dropped.increment(1);
                other
            });
            Heap(Some(TagBaseline { tag, allocated: tag.allocated_bytes(), freed: tag.freed_bytes() }))
        }

        /// Registers the series of a heap, and returns the histogram of what its requests allocate.
        pub(in crate::context) fn register(
            &self,
            heap: &Heap,
            recorder: &DynRecorder,
            window_recorder: &DynRecorder,
            labels: &[(&'static str, Arc<str>); 2],
        ) -> RequestAllocations {
            let Some(heap) = heap.0 else { return RequestAllocations(None) };
            let allocated = labelled::histogram(recorder, &names::HTTP_ALLOCATED, labels);
            let others = [(names::METHOD, names::METHOD_OTHER.into()), (names::ROUTE, names::OTHER.into())];
            let labels = if self.other == Some(heap.tag) { &others } else { labels };
            let from_zero = |metric| {
                let counter = labelled::counter(window_recorder, metric, labels);
                // The first value is an increase, not one that was counted before.
                counter.absolute(0);
                counter
            };
            let mut accounts = lock(&self.accounts);
            if accounts.iter().all(|account| account.heap.tag != heap.tag) {
                accounts.push(Account {
                    heap,
                    live: labelled::gauge(recorder, &names::HTTP_LIVE_BYTES, labels),
                    allocated: from_zero(&names::ENDPOINT_HEAP_ALLOCATED),
                    freed: from_zero(&names::ENDPOINT_HEAP_FREED),
                });
            }
            RequestAllocations(Some(allocated))
        }

        /// Writes each endpoint's allocated, freed and live bytes.
        pub(in crate::context) fn show(&self) {
            for account in &*lock(&self.accounts) {
                let TagBaseline { tag, allocated, freed } = account.heap;
                account.allocated.absolute(tag.allocated_bytes().saturating_sub(allocated));
                account.freed.absolute(tag.freed_bytes().saturating_sub(freed));
                account.live.set(tag.live_bytes() as f64);
            }
        }
    }

    /// The heap of one endpoint.
    #[derive(Debug)]
    pub(crate) struct Heap(Option<TagBaseline>);

    /// The histogram of what each request of one endpoint allocates.
    #[derive(Debug)]
    pub(crate) struct RequestAllocations(Option<Histogram>);

    /// Counts the thread's allocations for an endpoint until it is left or dropped.
    #[derive(Debug)]
    pub(crate) struct HeapGuard(Option<Entered>);

    impl Heap {
        /// Counts this thread's allocations for the endpoint from now on.
        pub(crate) fn enter(&self) -> HeapGuard {
            HeapGuard(self.0.map(|heap| heap.tag.enter()))
        }
    }

    impl RequestAllocations {
        /// Records the bytes that a whole request allocated.
        pub(crate) fn record(&self, bytes: u64) {
            if let Some(allocated) = &self.0 {
                allocated.record(bytes as f64);
            }
        }
    }

    impl HeapGuard {
        /// Stops counting and returns the bytes that were allocated.
        pub(crate) fn leave(self) -> u64 {
            self.0.map_or(0, Entered::leave)
        }
    }
}

#[cfg(not(feature = "alloc"))]
mod counting {
    use std::sync::Arc;

    use metrics::Counter;

    use crate::context::DynRecorder;

    /// Empty without the feature `alloc`.
    #[derive(Debug)]
    pub(crate) struct Heaps;

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self
        }

        pub(in crate::context) fn open(&self, _dropped: &Counter, _labels: &[(&'static str, Arc<str>); 2]) -> Heap {
            Heap
        }

        pub(in crate::context) fn register(
            &self,
            _heap: &Heap,
            _recorder: &DynRecorder,
            _window_recorder: &DynRecorder,
            _labels: &[(&'static str, Arc<str>); 2],
        ) -> RequestAllocations {
            RequestAllocations
        }

        pub(in crate::context) fn show(&self) {}
    }

    /// Empty without the feature `alloc`.
    #[derive(Debug)]
    pub(crate) struct Heap;

    /// Empty without the feature `alloc`.
    #[derive(Debug)]
    pub(crate) struct RequestAllocations;

    /// Empty without the feature `alloc`.
    #[derive(Debug)]
    pub(crate) struct HeapGuard;

    impl Heap {
        pub(crate) fn enter(&self) -> HeapGuard {
            HeapGuard
        }
    }

    impl RequestAllocations {
        pub(crate) fn record(&self, _bytes: u64) {}
    }

    impl HeapGuard {
        pub(crate) fn leave(self) -> u64 {
            0
        }
    }
}
