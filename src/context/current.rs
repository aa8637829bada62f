//! The request that this thread polls, what wakes it, and [`in_current_request`] that carries it into a spawned task.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use pin_project_lite::pin_project;

use super::{
    Instruments, OpenStream, RequestContext,
    carrier::{Carrier, CarrierGuard},
};

thread_local! {
    static CURRENT: Cell<Option<Arc<RequestContext>>> = const { Cell::new(None) };
}

/// Keeps a context the current one until dropped, also by unwinding, and then restores the one before it.
///
/// The context is moved in and back out, so that a poll changes no reference count.
#[derive(Debug)]
pub(crate) struct CurrentGuard<'a> {
    /// Owner of the context, which returns there.
    home: &'a mut Option<Arc<RequestContext>>,
    previous: Option<Arc<RequestContext>>,
    _carrier: CarrierGuard<'a>,
}

/// Makes `context` the current one of this thread, and `carrier`'s span the current span.
#[inline]
pub(crate) fn enter<'a>(home: &'a mut Option<Arc<RequestContext>>, carrier: &'a Carrier) -> CurrentGuard<'a> {
    let context = home.take();
    // `try_with`: a future may be dropped while the thread's locals are being destroyed; nothing is recorded then.
    let previous = CURRENT.try_with(|current| current.replace(context)).ok().flatten();
    CurrentGuard { home, previous, _carrier: carrier.enter() }
}

impl Drop for CurrentGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let previous = self.previous.take();
        *self.home = CURRENT.try_with(|current| current.replace(previous)).ok().flatten();
    }
}

/// Returns whether this thread already polls a request of these instruments.
#[inline]
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

/// Returns whether this thread polls a request.
fn is_polling() -> bool {
    let peek = |current: &Cell<Option<Arc<RequestContext>>>| {
        let context = current.take();
        let is_polling = context.is_some();
        current.set(context);
        is_polling
    };
    CURRENT.try_with(peek).unwrap_or(false)
}

impl Wake for RequestContext {
    fn wake(self: Arc<Self>) {
        self.wakes().note(self.started(), is_polling());
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes().note(self.started(), is_polling());
    }
}

impl RequestContext {
    /// Returns a waker that notes the wakes of this request.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(self.clone())
    }
}

/// Returns the request that this thread polls.
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
        _open: Option<OpenStream>,
    }

    impl<F> PinnedDrop for InCurrentRequest<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.context.is_some() {
                // A driver may emit a query's event only when the query is dropped.
                let _entered = enter(this.context, this.carrier);
                this.inner.set(None);
            }
        }
    }
}

/// Carries the current request into `future`, so that the queries and tasks of a spawned task count for the request
/// that spawned it.
///
/// Without it a spawned task belongs to no request: its queries count in the service's numbers, but not in the
/// request's. The same holds for queries and tasks that end after the request, unless that has become an event stream or an
/// upgraded connection: its queries count for the route then; see [`upgraded`]. Outside a request this changes nothing.
///
/// ```
/// # async fn audit() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// tokio::spawn(pinchpoint::in_current_request(audit()));
/// # }
/// ```
pub fn in_current_request<F: Future>(future: F) -> InCurrentRequest<F> {
    within(current(), None, || future)
}

/// Carries the current request into the handler of an upgraded connection, such as a WebSocket.
///
/// The request of such a connection ends at its head, and the handler runs in a task of its own, for days perhaps. Wrapped,
/// it is counted as open in `pinchpoint_open_streams` until it ends, how long it was open is recorded in
/// `pinchpoint_stream_duration_seconds`, and its queries count for the route. Its messages are counted with
/// [`track_messages`](crate::track_messages). To be called in the handler of the request; outside a request it changes nothing but
/// the type.
///
/// ```
/// use axum::{extract::ws::{WebSocket, WebSocketUpgrade}, response::Response};
///
/// async fn chat(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(pinchpoint::upgraded(talk))
/// }
///
/// async fn talk(socket: WebSocket) {
/// #   drop(socket);
/// }
/// ```
pub fn upgraded<S, F: Future>(handle: impl FnOnce(S) -> F) -> impl FnOnce(S) -> InCurrentRequest<F> {
    let context = current();
    move |socket| {
        let open = context.as_ref().and_then(|context| context.open_stream());
        within(context, open, || handle(socket))
    }
}

/// Carries a request into the future that `begin` returns, and into `begin` itself.
fn within<F>(
    mut context: Option<Arc<RequestContext>>,
    open: Option<OpenStream>,
    begin: impl FnOnce() -> F,
) -> InCurrentRequest<F> {
    let carrier = context.as_ref().map(Carrier::of).unwrap_or_default();
    let future = if context.is_some() {
        let _entered = enter(&mut context, &carrier);
        begin()
    } else {
        begin()
    };
    InCurrentRequest { inner: Some(future), context, carrier, _open: open }
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
