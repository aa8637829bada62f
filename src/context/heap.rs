//! What an endpoint's requests allocate, and what of it is never freed.
//!
//! Known only with the feature `alloc` and where the host has made
//! [`CountingAllocator`](pinchpoint_alloc::CountingAllocator) its allocator; without either a heap is nothing and costs
//! nothing. The invariant: a request's account is open exactly while it is polled.

pub(crate) use counting::{Allocated, Heap, Heaps};

#[cfg(feature = "alloc")]
mod counting {
    use std::sync::{Arc, Mutex, PoisonError};

    use metrics::{Counter, Gauge, Histogram};
    use pinchpoint_alloc::{Entered, Tag, is_installed};

    use crate::{
        context::{DynRecorder, labelled},
        names,
    };

    /// The accounts of every endpoint.
    #[derive(Debug)]
    pub(crate) struct Heaps {
        /// Whom everything is booked on for which no tag is left; `None` where nobody counts.
        other: Option<Tag>,
        accounts: Mutex<Vec<Account>>,
    }

    /// What a tick writes of one endpoint.
    #[derive(Debug)]
    struct Account {
        heap: Opened,
        live: Gauge,
        allocated: Counter,
        freed: Counter,
    }

    /// A tag, and what had been allocated and freed on it before: it is the process's, and another monitor may have used
    /// it.
    #[derive(Clone, Copy, Debug)]
    struct Opened {
        tag: Tag,
        allocated: u64,
        freed: u64,
    }

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self { other: is_installed().then(|| Tag::named(names::OTHER)).flatten(), accounts: Mutex::default() }
        }

        /// Returns the heap of an endpoint, of which nobody knows yet. `dropped` counts it where it has no account of its
        /// own.
        pub(in crate::context) fn open(&self, dropped: &Counter, labels: &[(&'static str, Arc<str>); 2]) -> Heap {
            let Some(other) = self.other else { return Heap(None) };
            let name: Vec<&str> = labels.iter().map(|(_, value)| &**value).collect();
            let tag = Tag::named(&name.join(" ")).unwrap_or_else(|| {
                dropped.increment(1);
                other
            });
            Heap(Some(Opened { tag, allocated: tag.allocated_bytes(), freed: tag.freed_bytes() }))
        }

        /// Makes the series of a heap.
        pub(in crate::context) fn show_from_now_on(
            &self,
            heap: &Heap,
            recorder: &DynRecorder,
            window_recorder: &DynRecorder,
            labels: &[(&'static str, Arc<str>); 2],
        ) -> Allocated {
            let Some(heap) = heap.0 else { return Allocated(None) };
            let allocated = labelled::histogram(recorder, &names::HTTP_ALLOCATED, labels);
            let others = [(names::METHOD, names::METHOD_OTHER.into()), (names::ROUTE, names::OTHER.into())];
            let labels = if self.other == Some(heap.tag) { &others } else { labels };
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if accounts.iter().all(|account| account.heap.tag != heap.tag) {
                accounts.push(Account {
                    heap,
                    live: labelled::gauge(recorder, &names::HTTP_LIVE_BYTES, labels),
                    allocated: labelled::counter(window_recorder, &names::ENDPOINT_HEAP_ALLOCATED, labels),
                    freed: labelled::counter(window_recorder, &names::ENDPOINT_HEAP_FREED, labels),
                });
            }
            Allocated(Some(allocated))
        }

        /// Writes what each endpoint has allocated and what of it is there.
        pub(in crate::context) fn show(&self) {
            for account in &*self.accounts.lock().unwrap_or_else(PoisonError::into_inner) {
                let Opened { tag, allocated, freed } = account.heap;
                account.allocated.absolute(tag.allocated_bytes().saturating_sub(allocated));
                account.freed.absolute(tag.freed_bytes().saturating_sub(freed));
                account.live.set(tag.live_bytes() as f64);
            }
        }
    }

    /// The heap of one endpoint.
    #[derive(Debug)]
    pub(crate) struct Heap(Option<Opened>);

    /// What each request of one endpoint allocates.
    #[derive(Debug)]
    pub(crate) struct Allocated(Option<Histogram>);

    /// An open account.
    #[derive(Debug)]
    pub(crate) struct HeapEntered(Option<Entered>);

    impl Heap {
        /// Opens the account for what is allocated from now on by this thread.
        pub(crate) fn enter(&self) -> HeapEntered {
            HeapEntered(self.0.map(|heap| heap.tag.enter()))
        }
    }

    impl Allocated {
        /// Books what a whole request allocated.
        pub(crate) fn record(&self, bytes: u64) {
            if let Some(allocated) = &self.0 {
                allocated.record(bytes as f64);
            }
        }
    }

    impl HeapEntered {
        /// Closes the account and returns what was allocated.
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

    /// Nothing: nobody counts.
    #[derive(Debug)]
    pub(crate) struct Heaps;

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self
        }

        pub(in crate::context) fn open(&self, _dropped: &Counter, _labels: &[(&'static str, Arc<str>); 2]) -> Heap {
            Heap
        }

        pub(in crate::context) fn show_from_now_on(
            &self,
            _heap: &Heap,
            _recorder: &DynRecorder,
            _window_recorder: &DynRecorder,
            _labels: &[(&'static str, Arc<str>); 2],
        ) -> Allocated {
            Allocated
        }

        pub(in crate::context) fn show(&self) {}
    }

    /// Nothing.
    #[derive(Debug)]
    pub(crate) struct Heap;

    /// Nothing.
    #[derive(Debug)]
    pub(crate) struct Allocated;

    /// Nothing, for as long as a request is polled.
    #[derive(Debug)]
    pub(crate) struct HeapEntered;

    impl Heap {
        pub(crate) fn enter(&self) -> HeapEntered {
            HeapEntered
        }
    }

    impl Allocated {
        pub(crate) fn record(&self, _bytes: u64) {}
    }

    impl HeapEntered {
        pub(crate) fn leave(self) -> u64 {
            0
        }
    }
}
