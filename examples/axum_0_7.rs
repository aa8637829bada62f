//! A service on axum 0.7. Its router cannot take the monitor's routes, which are axum 0.8's, so the monitor serves them on
//! an address of its own; and its `MatchedPath` is another type, so the monitor is told where to find the route.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! axum = "0.7"
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
//! ```

use std::net::SocketAddr;

use axum07::{
    Router,
    extract::{MatchedPath, Path},
    routing::get,
};
use pinchpoint::Monitor;

async fn user(Path(id): Path<u64>) -> String {
    format!("user {id}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let monitor = Monitor::builder()
        .route_from(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str))
        .install()?;
    let app: Router = Router::new()
        .route("/users/:id", get(user))
        // A router in a router: the route is the whole template.
        .nest("/admin", Router::new().route("/users/:id", get(user)))
        .layer(monitor.layer());

    let mut addresses = std::env::args().skip(1);
    let service = addresses.next().unwrap_or("127.0.0.1:3000".to_owned());
    let api: SocketAddr = addresses.next().unwrap_or("127.0.0.1:9000".to_owned()).parse()?;
    let listener = tokio::net::TcpListener::bind(service).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    eprintln!("listening on http://{}", monitor.serve(api).await?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum07::serve(listener, app).with_graceful_shutdown(stop).await?;
    monitor.shutdown().await;
    Ok(())
}
