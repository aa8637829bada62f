//! The other service that handlers call: slow, failing or quick, as its path says.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use tokio::sync::Semaphore;

/// Starts it on a port of its own and returns its address.
pub(crate) async fn start() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/slow/{millis}", get(slow))
        .route("/failing/{millis}", get(failing))
        .route("/crowded/{millis}", get(crowded))
        .with_state(Arc::new(Semaphore::new(2)));
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

/// Serves two at a time, and sends all others away.
async fn crowded(State(places): State<Arc<Semaphore>>, Path(millis): Path<u64>) -> StatusCode {
    let Ok(_place) = places.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    tokio::time::sleep(Duration::from_millis(millis)).await;
    StatusCode::OK
}
