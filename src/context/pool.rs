//! A bounded pool of request contexts.
//!
//! A request takes a context and gives it back, so that a service in a steady state allocates none. Striped by thread:
//! two workers do not meet on one queue.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::time::Instant;

use crossbeam_queue::ArrayQueue;

use super::{Instruments, RequestContext, stripe};

/// Contexts kept per stripe; about 1.3 KiB each.
const KEPT: usize = 128;

#[derive(Debug)]
pub(crate) struct ContextPool {
    stripes: [ArrayQueue<Arc<RequestContext>>; stripe::COUNT],
    closed: AtomicBool,
}

impl ContextPool {
    pub(super) fn new() -> Self {
        Self { stripes: std::array::from_fn(|_| ArrayQueue::new(KEPT)), closed: AtomicBool::new(false) }
    }

    pub(super) fn take(&self, instruments: &Arc<Instruments>, started: Instant) -> Arc<RequestContext> {
        if let Some(mut context) = self.stripes[stripe::index()].pop()
            && let Some(unique) = Arc::get_mut(&mut context)
        {
            unique.reset(started);
            return context;
        }
        Arc::new(RequestContext::new(instruments.clone(), started))
    }

    /// Keeps a context for the next request, unless a spawned task still holds it or the pool is full.
    pub(super) fn give(&self, mut context: Arc<RequestContext>) {
        if Arc::get_mut(&mut context).is_some() {
            let _ = self.stripes[stripe::index()].push(context);
            // A request that ends after the monitor must not leave its context behind, see `close`.
            if self.closed.load(SeqCst) {
                self.clear();
            }
        }
    }

    /// Drops every kept context, and every one given back later. A kept context holds its instruments, and they hold
    /// this pool: open, they keep one another alive.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.clear();
    }

    fn clear(&self) {
        for stripe in &self.stripes {
            while stripe.pop().is_some() {}
        }
    }
}
