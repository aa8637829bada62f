//! Counts connections as a client's connector makes them.
//!
//! reqwest does not say whether a failed request reached the target. It did not if a connection was tried for it and none
//! was made, and that is what the counts of one client show. Those of all clients show whether any request may still be
//! waiting: only when none is can a silent target be called unreachable.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

/// The connections of one client.
#[derive(Debug, Default)]
pub(super) struct ClientConnections {
    tried: AtomicU64,
    /// Connections made, and redirects followed: both prove that a request has left.
    made: AtomicU64,
    all: Arc<AllConnections>,
}

/// The counts of a client at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionMark {
    tried: u64,
    made: u64,
}

impl ClientConnections {
    pub(super) fn new(all: Arc<AllConnections>) -> Self {
        Self { all, ..Self::default() }
    }

    pub(super) fn mark(&self) -> ConnectionMark {
        ConnectionMark { tried: self.tried.load(Ordering::Relaxed), made: self.made.load(Ordering::Relaxed) }
    }

    /// Whether connections were tried since `mark` and none was made.
    pub(super) fn is_cut_off_since(&self, mark: ConnectionMark) -> bool {
        let now = self.mark();
        now.tried != mark.tried && now.made == mark.made
    }

    /// Records a redirect that is followed: its request was answered.
    pub(super) fn follow(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that no response is expected any more on what was connected since `accounted`.
    pub(super) fn settle(&self, accounted: &mut u64) {
        let made = self.made.load(Ordering::Relaxed);
        self.all.settled.fetch_add(made - *accounted, Ordering::Relaxed);
        *accounted = made;
    }
}

/// The connections of all clients.
#[derive(Debug, Default)]
pub(crate) struct AllConnections {
    connected: AtomicU64,
    /// Connections on which no response is expected any more.
    settled: AtomicU64,
}

impl AllConnections {
    /// Whether a request may be waiting for its response. Meaningless once there was a response: connections are settled
    /// only when one failed.
    pub(super) fn is_waiting(&self) -> bool {
        self.connected.load(Ordering::Relaxed) > self.settled.load(Ordering::Relaxed)
    }
}

/// Wraps a connector to count its connections.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLayer(pub(super) Arc<ClientConnections>);

impl<S> Layer<S> for ConnectionLayer {
    type Service = WatchedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WatchedConnector { inner, connections: Arc::clone(&self.0) }
    }
}

/// A connector whose connections are counted.
#[derive(Clone, Debug)]
pub(super) struct WatchedConnector<S> {
    inner: S,
    connections: Arc<ClientConnections>,
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
        self.connections.tried.fetch_add(1, Ordering::Relaxed);
        let (connecting, connections) = (self.inner.call(request), Arc::clone(&self.connections));
        Box::pin(async move {
            let connected = connecting.await;
            if connected.is_ok() {
                connections.made.fetch_add(1, Ordering::Relaxed);
                connections.all.connected.fetch_add(1, Ordering::Relaxed);
            }
            connected
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;

    use super::*;

    /// A connector that connects or fails, as its request says.
    struct Connector;

    impl Service<Result<(), ()>> for Connector {
        type Response = ();
        type Error = ();
        type Future = Ready<Result<(), ()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, outcome: Result<(), ()>) -> Self::Future {
            std::future::ready(outcome)
        }
    }

    #[tokio::test]
    async fn a_request_was_sent_if_it_had_a_connection() {
        let connections = Arc::new(ClientConnections::new(Arc::default()));
        let mut connector = ConnectionLayer(Arc::clone(&connections)).layer(Connector);
        let idle = connections.mark();
        assert!(!connections.is_cut_off_since(idle), "a connection from before was used again");
        assert_eq!(connector.call(Err(())).await, Err(()));
        assert!(connections.is_cut_off_since(idle));
        drop(connector.call(Ok(())));
        assert!(connections.is_cut_off_since(idle), "given up while it was being connected");
        assert_eq!(connector.call(Ok(())).await, Ok(()));
        assert!(!connections.is_cut_off_since(idle));
        let redirected = connections.mark();
        connections.follow();
        assert_eq!(connector.call(Err(())).await, Err(()));
        assert!(!connections.is_cut_off_since(redirected), "only what the redirect led to was not reached");
    }

    #[tokio::test]
    async fn a_request_may_wait_until_all_connections_are_settled() {
        let all = Arc::new(AllConnections::default());
        let [first, second] = [(); 2].map(|()| Arc::new(ClientConnections::new(Arc::clone(&all))));
        let mut settled = 0;
        for connections in [&first, &second] {
            _ = ConnectionLayer(Arc::clone(connections)).layer(Connector).call(Ok(())).await;
        }
        first.settle(&mut settled);
        first.settle(&mut settled);
        assert!(all.is_waiting());
        second.settle(&mut 0);
        assert!(!all.is_waiting());
    }
}
