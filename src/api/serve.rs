//! [`Monitor::serve`]: the API on an address of its own.
//!
//! The connections belong to the task that accepts them and end with it. The invariant that a change could break: no
//! client, whatever it sends or fails to read, delays a shutdown by more than [`GRACE`].

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};

use super::router;
use crate::Monitor;

/// How long answers in progress may still take once the monitor stops.
const GRACE: Duration = Duration::from_secs(3);
/// How long a connection may take to send the head of its next request: longer than most scrape intervals, so that
/// Prometheus keeps its connection.
const HEAD: Duration = Duration::from_secs(75);

impl Monitor {
    /// Serves the monitor's routes on an address of their own, say one that only an internal network reaches, until
    /// [`shutdown`](Self::shutdown), which gives answers in progress 3 s. Returns the address; for port 0 it has the port
    /// that the system chose.
    ///
    /// # Errors
    ///
    /// Returns an error when the address cannot be bound.
    ///
    /// ```
    /// use pinchpoint::Monitor;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let monitor = Monitor::builder().build()?;
    /// let address = monitor.serve(([127, 0, 0, 1], 0)).await?;
    /// println!("http://{address}/performance");
    /// # Ok(()) }
    /// ```
    pub async fn serve(&self, address: impl Into<SocketAddr>) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address.into()).await?;
        let address = listener.local_addr()?;
        // The monitor owns the task, so the task must not keep the monitor alive: this router holds no handle of it.
        let router = router::standalone(self.core().clone());
        self.own(accept(listener, router, self.stopped()));
        Ok(address)
    }
}

/// Answers connections until `stopped`, and then for no longer than [`GRACE`].
async fn accept(mut listener: TcpListener, router: Router, stopped: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let (stop, stopping) = watch::channel(());
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            // axum's trait, not tokio's method: it waits instead of failing when the process has no file descriptor left.
            (stream, _) = Listener::accept(&mut listener) => {
                connections.spawn(serve_connection(stream, router.clone(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(GRACE, ended).await.is_err() {
        tracing::debug!(
            connections = connections.len(),
            "closed connections whose clients did not read or send in time"
        );
        connections.shutdown().await;
    }
}

/// Answers the requests of one connection; once `stopping` resolves, only the one in progress.
async fn serve_connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<()>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        // An error is a client that went away or does not speak HTTP: there is no client left to answer.
        _ = &mut connection => return,
        _ = stopping.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
