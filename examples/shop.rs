//! The smallest service with a monitor inside: `cargo run -p pinchpoint-examples --bin shop`, then open
//! <http://127.0.0.1:3000/performance/bottlenecks>.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = "0.1"
//! axum = "0.8"
//! tokio = { version = "1", features = ["macros", "net", "rt", "signal", "time"] }
//! ```

use std::{convert::Infallible, time::Duration};

use axum::{Router, extract::Path, routing::get};
use pinchpoint::{Monitor, in_current_request, track_async_task, track_db_query};

/// Stands for a call of a database driver.
async fn fetch(id: u64) -> Result<String, Infallible> {
    tokio::time::sleep(Duration::from_millis(120)).await;
    Ok(format!("user {id}\n"))
}

async fn greet() -> Result<(), Infallible> {
    tokio::time::sleep(Duration::from_millis(600)).await;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    let Ok(user) = track_db_query("SELECT * FROM users WHERE id = ?", fetch(id)).await;
    // In the background, and still known to belong to this request:
    tokio::spawn(in_current_request(track_async_task("send_greeting", greet())));
    user
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let monitor = Monitor::builder().install()?;
    let app: Router = Router::new().route("/users/{id}", get(user)).layer(monitor.layer()).merge(monitor.router());

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = monitor.ending_events(async { drop(tokio::signal::ctrl_c().await) });
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    monitor.shutdown().await;
    Ok(())
}
