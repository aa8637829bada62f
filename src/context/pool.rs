//! [`Pool`]: what requests take and give back, and [`ContextPool`], that of request contexts.
//!
//! A request takes a context and gives it back, so that a service in a steady state allocates none. Striped by thread,
//! so that workers do not contend for one queue. The invariant that a change could break: a pooled context has no other
//! owner, or a spawned task could record on a stranger's request.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use super::{Instruments, RequestContext, clock::Moment, request::Purpose, stripe};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::atomic::AtomicCell;

/// Values kept per stripe. Contexts are about 2 KiB each: at most 1 MiB in all, after 512 requests were in flight at once.
const KEPT: usize = 128;

/// What the threads of one stripe gave back. One value is kept outside the queue, because a swap is cheaper than a queue's
/// bookkeeping: a worker that ends one request before it begins the next never needs a second one.
#[repr(align(64))]
struct Stripe<T> {
    at_hand: AtomicCell<Option<T>>,
    more: ArrayQueue<T>,
}

/// Values to be reused; each a pointer, so that a swap is one instruction.
pub(crate) struct Pool<T>([Stripe<T>; stripe::COUNT]);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stripe { at_hand: AtomicCell::new(None), more: ArrayQueue::new(KEPT) }))
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl<T> Pool<T> {
    /// Takes a value that was given back on this thread's stripe.
    pub(crate) fn take(&self) -> Option<T> {
        let stripe = &self.0[stripe::index()];
        stripe.at_hand.take().or_else(|| stripe.more.pop())
    }

    /// Keeps a value for later, unless the pool is full.
    pub(crate) fn give(&self, value: T) {
        let stripe = &self.0[stripe::index()];
        if let Some(other) = stripe.at_hand.swap(Some(value)) {
            let _ = stripe.more.push(other);
        }
    }

    fn clear(&self) {
        for stripe in &self.0 {
            drop(stripe.at_hand.take());
            while stripe.more.pop().is_some() {}
        }
    }
}

/// The contexts that no request has at the moment.
#[derive(Default)]
pub(crate) struct ContextPool {
    pool: Pool<Arc<RequestContext>>,
    closed: AtomicBool,
}

impl ContextPool {
    /// Returns a context for what begins: `kept`, one of the pool, or a new one.
    pub(super) fn take(
        &self,
        kept: Option<Arc<RequestContext>>,
        instruments: &Arc<Instruments>,
        purpose: Purpose,
        started: Moment,
    ) -> Arc<RequestContext> {
        let mut context = kept.or_else(|| self.pool.take());
        // Most requests, without the locked instruction that makes a context mutable.
        if let Purpose::Request(endpoint) = purpose
            && let Some(kept) = context.take_if(|kept| kept.can_begin_again())
        {
            kept.begin(Some(endpoint), started);
            return kept;
        }
        if let Some(mut kept) = context
            && let Some(unique) = Arc::get_mut(&mut kept)
        {
            unique.reset(purpose, started);
            return kept;
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
            self.pool.give(context);
            // A request that ends after the monitor must not leave its context here, see `close`. SeqCst on both sides:
            // either this sees `closed`, or `close` clears after this push.
            if self.closed.load(SeqCst) {
                self.pool.clear();
            }
        }
    }

    /// Drops every kept context, and from now on every one that is given back. A kept context owns its instruments, and
    /// they own this pool: unless it is closed, they keep one another alive.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.pool.clear();
    }
}
