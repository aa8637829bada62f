//! The request that this thread is polling.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    Instruments, RequestContext,
    carrier::{Carrier, CarrierEntered},
};

thread_local! {
    static CURRENT: Cell<Option<Arc<RequestContext>>> = const { Cell::new(None) };
}

/// Makes a context the current one until dropped, then restores the one before it, on unwinding too.
///
/// The context is moved in and back out, so that a poll costs no reference count.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    /// Where the context came from and returns to.
    home: &'a mut Option<Arc<RequestContext>>,
    previous: Option<Arc<RequestContext>>,
    _carrier: CarrierEntered<'a>,
}

/// Makes `context` the current one of this thread, and `carrier`'s span the current span.
pub(crate) fn enter<'a>(home: &'a mut Option<Arc<RequestContext>>, carrier: &'a Carrier) -> Entered<'a> {
    let context = home.take();
    // `try_with`: a future may be dropped while the thread's locals are being destroyed; then nothing is booked.
    let previous = CURRENT.try_with(|current| current.replace(context)).ok().flatten();
    Entered { home, previous, _carrier: carrier.enter() }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let previous = self.previous.take();
        *self.home = CURRENT.try_with(|current| current.replace(previous)).ok().flatten();
    }
}

/// Returns whether this thread is polling a request of these instruments already.
pub(crate) fn is_within(instruments: &Arc<Instruments>) -> bool {
    CURRENT
        .try_with(|current| {
            let context = current.take();
            let within = context.as_ref().is_some_and(|context| Arc::ptr_eq(context.instruments(), instruments));
            current.set(context);
            within
        })
        .unwrap_or(false)
}

/// Returns the request that this thread is polling.
pub(crate) fn current() -> Option<Arc<RequestContext>> {
    CURRENT
        .try_with(|current| {
            let context = current.take();
            let copy = context.clone();
            current.set(context);
            copy
        })
        .ok()
        .flatten()
}

pin_project! {
    /// Future of [`in_current_request`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InCurrentRequest<F> {
        // `None` only while this is being dropped.
        #[pin]
        inner: Option<F>,
        context: Option<Arc<RequestContext>>,
        carrier: Carrier,
    }

    impl<F> PinnedDrop for InCurrentRequest<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.context.is_some() {
                // A driver may tell of a query only when that is dropped.
                let _entered = enter(this.context, this.carrier);
                this.inner.set(None);
            }
        }
    }
}

/// Carries the current request into `future`, so that queries and tasks of a spawned task are booked on the request
/// that spawned it.
///
/// Without it a spawned task belongs to no request: its queries still count in the service's numbers, but not in the
/// request's. What the task does after the request has ended is counted for the service only. Outside a request this
/// changes nothing.
///
/// ```
/// # async fn audit() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// tokio::spawn(pinchpoint::in_current_request(audit()));
/// # }
/// ```
pub fn in_current_request<F: Future>(future: F) -> InCurrentRequest<F> {
    let context = current();
    let carrier = context.as_ref().map(Carrier::of).unwrap_or_default();
    InCurrentRequest { inner: Some(future), context, carrier }
}

impl<F: Future> Future for InCurrentRequest<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("it is there until this is dropped");
        if this.context.is_none() {
            return inner.poll(cx);
        }
        let _entered = enter(this.context, this.carrier);
        inner.poll(cx)
    }
}
