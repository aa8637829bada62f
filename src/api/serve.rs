//! [`Monitor::serve`]: the API on an address of its own.
//!
//! The connections belong to the task that accepts them and end with it. The invariant that a change could break: no
//! client, whatever it sends or fails to read, delays a shutdown by more than [`GRACE`].

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, serve::Listener};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};
use tower_service::Service as _;

use super::{
    host::{Client, Reach},
    router,
};
use crate::{Monitor, monitor::Core, names};

/// How long answers in progress may still take once the monitor stops.
const GRACE: Duration = Duration::from_secs(3);
/// How long a connection may take to send the head of its next request. Prometheus then makes a new connection for each
/// scrape; with a time longer than its interval, connections that send half a head would live as long.
const HEAD: Duration = Duration::from_secs(10);
/// Connections at a time. Whoever opens more has them closed: each takes a file descriptor, which the service needs too.
const CONNECTIONS: usize = 128;
/// Connections of one client at a time: a browser opens 6, and 32 of them may wait for events.
const CONNECTIONS_OF_A_CLIENT: usize = 32;
/// The part of the process's file descriptors that connections may take.
const DESCRIPTORS: usize = 4;

impl Monitor {
    /// Serves the monitor's routes on an address of their own, say one that only an internal network reaches, until
    /// [`shutdown`](Self::shutdown), which gives answers in progress 3 s. Returns the address; for port 0 it has the port
    /// that the system chose.
    ///
    /// At most 128 connections are open at a time, 32 of one client, and no more than a quarter of the process's file
    /// descriptors; a connection that has not sent the head of a request within 10 s is closed. On an address of the loopback
    /// interface, only requests for an address, `localhost` or an [allowed host](crate::MonitorBuilder::allow_host) are
    /// answered: pages of a site that lets its name point there could read the answers otherwise.
    ///
    /// Whoever reaches the address may read, unless the builder sets an [`Access`](crate::Access) for `/metrics`
    /// ([`metrics_access`](crate::MonitorBuilder::metrics_access)) and for the rest
    /// ([`performance_access`](crate::MonitorBuilder::performance_access)). Prometheus sends the token with `authorization`:
    ///
    /// ```yaml
    /// scrape_configs:
    ///   - job_name: shop
    ///     authorization: { credentials: a long secret }
    ///     static_configs: [{ targets: ["10.0.0.7:9000"] }]
    /// ```
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
        let core = self.core().clone();
        let router = router::standalone(core.clone(), Reach::of_address(address.ip()));
        self.own(accept(listener, router, core, self.stopped()));
        Ok(address)
    }
}

/// Answers connections until `stopped`, and then for no longer than [`GRACE`].
async fn accept(mut listener: TcpListener, router: Router, core: Arc<Core>, stopped: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut open = Open::default();
    let (stop, stopping) = watch::channel(());
    let mut stopped = pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            // axum's trait, not tokio's method: it waits instead of failing when the process has no file descriptor left.
            (stream, client) = Listener::accept(&mut listener) => {
                // Dropped, and with it closed, where there are too many.
                if open.admit(client.ip(), most_connections(&core)) {
                    let (router, stopping) = (router.clone(), stopping.clone());
                    connections.spawn(async move {
                        serve_connection(stream, client.ip(), router, stopping).await;
                        client.ip()
                    });
                }
            }
            Some(ended) = connections.join_next() => match ended {
                Ok(client) => open.end(client),
                // A connection panicked: whose it was is not known any more, so it is no longer counted for anybody.
                Err(_) => open.recount(connections.len()),
            },
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

/// Returns how many connections may be open.
fn most_connections(core: &Core) -> usize {
    match core.recorder().gauge_sum(names::PROCESS_MAX_FDS.name) {
        limit if limit > 0.0 => CONNECTIONS.min(limit as usize / DESCRIPTORS),
        // Not read, or not known on this platform.
        _ => CONNECTIONS,
    }
}

/// The open connections of each client.
#[derive(Debug, Default)]
struct Open {
    by_client: HashMap<IpAddr, usize>,
    all: usize,
}

impl Open {
    /// Counts a new connection of a client; returns whether there is room for it.
    fn admit(&mut self, client: IpAddr, most: usize) -> bool {
        let own = self.by_client.get(&client).copied().unwrap_or_default();
        let has_room = self.all < most && own < CONNECTIONS_OF_A_CLIENT;
        if has_room {
            self.by_client.insert(client, own + 1);
            self.all += 1;
        }
        has_room
    }

    fn end(&mut self, client: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = self.by_client.entry(client) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }

    /// Forgets whose connections are open, but not how many.
    fn recount(&mut self, open: usize) {
        (self.all, self.by_client) = (open, HashMap::new());
    }
}

/// Answers the requests of one connection; once `stopping` resolves, only the one in progress.
async fn serve_connection(stream: TcpStream, client: IpAddr, router: Router, mut stopping: watch::Receiver<()>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Client(client));
        // A router is always ready.
        router.clone().call(request)
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        // An error is a client that went away or does not speak HTTP: there is no client left to answer.
        _ = &mut connection => return,
        _ = stopping.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn no_client_takes_the_places_of_others() {
        let mut open = Open::default();
        let admitted = (0..1_000).filter(|_| open.admit(ONE, CONNECTIONS)).count();
        assert_eq!(admitted, CONNECTIONS_OF_A_CLIENT);
        assert!(open.admit(OTHER, CONNECTIONS));
        open.end(ONE);
        assert!(open.admit(ONE, CONNECTIONS), "a place was given back");
    }

    #[test]
    fn all_clients_together_have_a_limit() {
        let mut open = Open::default();
        let clients = (0..=255).map(|last| IpAddr::from([10, 0, 1, last]));
        assert_eq!(clients.clone().filter(|client| open.admit(*client, 20)).count(), 20);
        clients.take(20).for_each(|client| open.end(client));
        assert_eq!((open.all, open.by_client.len()), (0, 0), "no memory is left of clients that went");
    }
}
