//! gRPC with tonic beside HTTP with axum, on one port or on two.
//!
//! `tonic_beside_axum 127.0.0.1:3000` serves both on one port, and with a second address gRPC there. axum serves either:
//! a tonic service is a tower service, and axum's feature `http2` speaks the protocol that gRPC needs.
//!
//! Each gRPC method is an endpoint of its own, whether it has a route of its own or shares one, such as the
//! `/grpc.health.v1.Health/{*rest}` of tonic's `Routes`. A call that fails with `INTERNAL` counts as an error, although its
//! HTTP status is 200.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! axum = { version = "0.8", features = ["http2"] }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
//! tonic = "0.14"
//! tonic-health = "0.14"           # or your own service
//! ```

use axum::{Router, extract::Path, routing::get};
use pinchpoint::Monitor;
use tonic::server::NamedService;
use tonic_health::pb::health_server::{Health, HealthServer};

/// The service, behind one route.
fn grpc<T: Health>(service: &HealthServer<T>) -> Router {
    Router::new().route_service(&format!("/{}/{{*method}}", HealthServer::<T>::NAME), service.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let (_reporter, health) = tonic_health::server::health_reporter();

    let monitor = Monitor::builder().install()?;
    let http = Router::new().route("/users/{id}", get(async |Path(id): Path<u64>| format!("user {id}\n")));
    let listen = addresses.next().unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);

    if let Some(listen) = addresses.next() {
        // Two ports, one monitor: each router has a layer of it.
        let grpc_listener = tokio::net::TcpListener::bind(listen).await?;
        eprintln!("gRPC on http://{}", grpc_listener.local_addr()?);
        let http = http.layer(monitor.layer()).merge(monitor.router());
        let grpc = grpc(&health).layer(monitor.layer());
        tokio::try_join!(axum::serve(listener, http), axum::serve(grpc_listener, grpc))?;
    } else {
        let app = http.merge(grpc(&health)).layer(monitor.layer()).merge(monitor.router());
        axum::serve(listener, app).await?;
    }
    Ok(())
}
