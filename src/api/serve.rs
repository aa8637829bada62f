//! [`Monitor::serve`]: an address of the monitor's own.
//!
//! The connections belong to the task that accepts them and end with it. The invariant that a change could break: no
//! client, whatever it sends or does not read, holds a shutdown up for longer than [`GRACE`].

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

/// How long answers that are under way may still take once the monitor is to stop.
const GRACE: Duration = Duration::from_secs(3);
/// How long a connection may take to send the head of its next request: longer than most scrape intervals, so that
/// Prometheus keeps its connection.
const HEAD: Duration = Duration::from_secs(75);

impl Monitor {
    /// Serves the monitor's routes on an address of their own, say one that only the inside of a network reaches, until
    /// [`shutdown`](Self::shutdown), which gives answers that are under way 3 s. Returns the address, which tells the
    /// port where port 0 was asked for.
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
        // The task must not keep the monitor alive that owns it: its router holds no handle.
        let router = router::alone(self.core().clone());
        self.own(accept(listener, router, self.stopped()));
        Ok(address)
    }
}

/// Answers whoever connects until `stopped`, and then for no longer than [`GRACE`].
async fn accept(mut listener: TcpListener, router: Router, stopped: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let (stop, stopping) = watch::channel(());
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            // The trait's: it waits where the process has no descriptor left.
            (stream, _) = Listener::accept(&mut listener) => {
                connections.spawn(converse(stream, router.clone(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, stop));
    let ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(GRACE, ended).await.is_err() {
        tracing::debug!(connections = connections.len(), "clients that do not read or send were cut off");
        connections.shutdown().await;
    }
}

/// Answers the requests of one connection; once it is `stopping`, only the one that is under way.
async fn converse(stream: TcpStream, router: Router, mut stopping: watch::Receiver<()>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        // An error is a client that is gone or speaks no HTTP; nobody is left to be told.
        _ = &mut connection => return,
        _ = stopping.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
