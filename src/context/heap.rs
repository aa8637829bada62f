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
        installed: bool,
        accounts: Mutex<Vec<Account>>,
    }

    /// What a tick writes of one endpoint.
    #[derive(Debug)]
    struct Account {
        tag: Tag,
        live: Gauge,
        allocated: Counter,
        freed: Counter,
    }

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self { installed: is_installed(), accounts: Mutex::default() }
        }

        /// Returns the heap of an endpoint, of which nobody knows yet.
        pub(in crate::context) fn open(&self, labels: &[(&'static str, Arc<str>)]) -> Heap {
            let name: Vec<&str> = labels.iter().map(|(_, value)| &**value).collect();
            Heap(self.installed.then(|| Tag::named(&name.join(" "))).flatten())
        }

        /// Makes the series of a heap.
        pub(in crate::context) fn show_from_now_on(
            &self,
            heap: &Heap,
            recorder: &DynRecorder,
            window_recorder: &DynRecorder,
            labels: &[(&'static str, Arc<str>)],
        ) -> Allocated {
            let Some(tag) = heap.0 else { return Allocated(None) };
            let account = Account {
                tag,
                live: labelled::gauge(recorder, &names::HTTP_LIVE_BYTES, labels),
                allocated: labelled::counter(window_recorder, &names::ENDPOINT_HEAP_ALLOCATED, labels),
                freed: labelled::counter(window_recorder, &names::ENDPOINT_HEAP_FREED, labels),
            };
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account);
            Allocated(Some(labelled::histogram(recorder, &names::HTTP_ALLOCATED, labels)))
        }

        /// Writes what each endpoint has allocated and what of it is there.
        pub(in crate::context) fn show(&self) {
            for account in &*self.accounts.lock().unwrap_or_else(PoisonError::into_inner) {
                account.allocated.absolute(account.tag.allocated_bytes());
                account.freed.absolute(account.tag.freed_bytes());
                account.live.set(account.tag.live_bytes() as f64);
            }
        }
    }

    /// The heap of one endpoint.
    #[derive(Debug)]
    pub(crate) struct Heap(Option<Tag>);

    /// What each request of one endpoint allocates.
    #[derive(Debug)]
    pub(crate) struct Allocated(Option<Histogram>);

    /// An open account.
    #[derive(Debug)]
    pub(crate) struct HeapEntered(Option<Entered>);

    impl Heap {
        /// Opens the account for what is allocated from now on by this thread.
        pub(crate) fn enter(&self) -> HeapEntered {
            HeapEntered(self.0.map(Tag::enter))
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

    use crate::context::DynRecorder;

    /// Nothing: nobody counts.
    #[derive(Debug)]
    pub(crate) struct Heaps;

    impl Heaps {
        pub(in crate::context) fn new() -> Self {
            Self
        }

        pub(in crate::context) fn open(&self, _labels: &[(&'static str, Arc<str>)]) -> Heap {
            Heap
        }

        pub(in crate::context) fn show_from_now_on(
            &self,
            _heap: &Heap,
            _recorder: &DynRecorder,
            _window_recorder: &DynRecorder,
            _labels: &[(&'static str, Arc<str>)],
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
