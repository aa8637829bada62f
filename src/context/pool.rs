//! [`ContextPool`]: request contexts to be reused.
//!
//! A request takes a context and gives it back, so that a service in a steady state allocates none. Striped by thread,
//! so that workers do not contend for one queue. The invariant that a change could break: a pooled context has no other
//! owner, or a spawned task could record on a stranger's request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::atomic::AtomicCell;
use tokio::time::Instant;

use super::{Instruments, RequestContext, request::Purpose, stripe};

/// Contexts kept per stripe, about 2 KiB each: at most 1 MiB in all, after 512 requests were in flight at once.
const KEPT: usize = 128;

/// The contexts that the threads of one stripe gave back. One of them is kept outside the queue, because a swap is
/// cheaper than a queue's bookkeeping: a worker that ends one request before it begins the next never needs a second
/// one.
#[repr(align(64))]
struct Stripe {
    at_hand: AtomicCell<Option<Arc<RequestContext>>>,
    more: ArrayQueue<Arc<RequestContext>>,
}

pub(crate) struct ContextPool {
    stripes: [Stripe; stripe::COUNT],
    closed: AtomicBool,
}

impl ContextPool {
    pub(super) fn new() -> Self {
        let stripe = |_| Stripe { at_hand: AtomicCell::new(None), more: ArrayQueue::new(KEPT) };
        Self { stripes: std::array::from_fn(stripe), closed: AtomicBool::new(false) }
    }

    pub(super) fn take(
        &self,
        instruments: &Arc<Instruments>,
        purpose: Purpose,
        started: Instant,
    ) -> Arc<RequestContext> {
        let stripe = &self.stripes[stripe::index()];
        if let Some(mut context) = stripe.at_hand.take().or_else(|| stripe.more.pop())
            && let Some(unique) = Arc::get_mut(&mut context)
        {
            unique.reset(purpose, started);
            return context;
        }
        let mut context = RequestContext::new(instruments.clone());
        context.reset(purpose, started);
        Arc::new(context)
    }

    /// Keeps a context for the next request or task, unless something still holds it or the pool is full.
    pub(super) fn give(&self, mut context: Arc<RequestContext>) {
        if context.is_task() {
            // Kept with what it was part of, it would keep that from being reused.
            let Some(unique) = Arc::get_mut(&mut context) else { return };
            unique.forget_task();
        }
        if Arc::strong_count(&context) == 1 {
            let stripe = &self.stripes[stripe::index()];
            if let Some(other) = stripe.at_hand.swap(Some(context)) {
                let _ = stripe.more.push(other);
            }
            // A request that ends after the monitor must not leave its context here, see `close`. SeqCst on both sides:
            // either this sees `closed`, or `close` clears after this push.
            if self.closed.load(SeqCst) {
                self.clear();
            }
        }
    }

    /// Drops every kept context, and from now on every one that is given back. A kept context owns its instruments, and
    /// they own this pool: unless it is closed, they keep one another alive.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.clear();
    }

    fn clear(&self) {
        for stripe in &self.stripes {
            drop(stripe.at_hand.take());
            while stripe.more.pop().is_some() {}
        }
    }
}
