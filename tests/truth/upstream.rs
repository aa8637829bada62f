//! The other service that handlers call: slow, failing or quick, as its path says.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::Path, http::StatusCode, routing::get};

/// Starts it on a port of its own and returns its address.
pub(crate) async fn start() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/slow/{millis}", get(slow)).route("/failing/{millis}", get(failing));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn slow(Path(millis): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "done"
}

async fn failing(Path(millis): Path<u64>) -> StatusCode {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    StatusCode::SERVICE_UNAVAILABLE
}
