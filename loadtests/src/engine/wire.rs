//! What becomes of a client's connections, seen from around its connector.
//!
//! A request that got no answer has reached the target or not: it has not if a connection was tried for it and none was
//! made. And a target that answers nothing is unreachable only if nobody is waiting for it any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Connections of one client.
#[derive(Debug, Default)]
pub(super) struct Wire {
    tried: AtomicU64,
    /// Made, and redirects that were followed: both say that a request has left.
    made: AtomicU64,
    reach: Arc<Reach>,
}

/// How far a client had come at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    tried: u64,
    made: u64,
}

impl Wire {
    pub(super) fn new(reach: Arc<Reach>) -> Self {
        Self { reach, ..Self::default() }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { tried: self.tried.load(Ordering::Relaxed), made: self.made.load(Ordering::Relaxed) }
    }

    /// Whether connections were tried since then, and none was made.
    pub(super) fn is_cut_off_since(&self, mark: Mark) -> bool {
        let now = self.mark();
        now.tried != mark.tried && now.made == mark.made
    }

    /// Notes a redirect that is followed: its request was answered.
    pub(super) fn follow(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes what was connected since `accounted` as no longer waiting for an answer.
    pub(super) fn settle(&self, accounted: &mut u64) {
        let made = self.made.load(Ordering::Relaxed);
        self.reach.settled.fetch_add(made - *accounted, Ordering::Relaxed);
        *accounted = made;
    }
}

/// Connections of all clients, from before there was an answer.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    connected: AtomicU64,
    /// Those on which no answer is to be waited for.
    settled: AtomicU64,
}

impl Reach {
    /// Whether a request may be waiting for its answer; of no meaning once there was one.
    pub(super) fn is_waiting(&self) -> bool {
        self.connected.load(Ordering::Relaxed) > self.settled.load(Ordering::Relaxed)
    }
}

/// Watches connections being made.
#[derive(Clone, Debug)]
pub(super) struct WireLayer(pub(super) Arc<Wire>);

impl<S> Layer<S> for WireLayer {
    type Service = WatchedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WatchedConnector { inner, wire: Arc::clone(&self.0) }
    }
}

/// A connector whose connections are counted.
#[derive(Clone, Debug)]
pub(super) struct WatchedConnector<S> {
    inner: S,
    wire: Arc<Wire>,
}

impl<S, R> Service<R> for WatchedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.wire.tried.fetch_add(1, Ordering::Relaxed);
        let (connecting, wire) = (self.inner.call(request), Arc::clone(&self.wire));
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                wire.made.fetch_add(1, Ordering::Relaxed);
                wire.reach.connected.fetch_add(1, Ordering::Relaxed);
            }
            connected
        })
    }
}
