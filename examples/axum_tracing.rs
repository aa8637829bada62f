//! An axum service that has a `tracing` subscriber with an `EnvFilter`; [`SqlxLayer`] beside it sees every query of sqlx,
//! with no change to the code that makes them.
//!
//! ```toml
//! [dependencies]
//! pinchpoint = { version = "0.1", features = ["sqlx"] }
//! axum = "0.8"
//! sqlx = { version = "0.9", features = ["runtime-tokio", "sqlite"] }
//! tokio = { version = "1", features = ["macros", "net", "rt-multi-thread", "signal"] }
//! tracing = "0.1"
//! tracing-subscriber = { version = "0.3", features = ["env-filter"] }
//! ```

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use pinchpoint::{Monitor, SqlxLayer};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

async fn user(State(pool): State<SqlitePool>, Path(id): Path<i64>) -> Result<String, StatusCode> {
    let name: Option<String> = sqlx::query_scalar("SELECT name FROM users WHERE id = ?")
        .bind(id)
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    tracing::info!(id, "looked up a user");
    name.ok_or(StatusCode::NOT_FOUND)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The filter belongs to the log and is given to its layer alone. One for the whole subscriber, as in
    // `registry().with(EnvFilter::new("info"))`, would take sqlx's events away from `SqlxLayer` too.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    registry().with(fmt::layer().with_filter(filter)).with(SqlxLayer::new()).init();

    // One connection: each of them would have an in-memory database of its own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)").execute(&pool).await?;
    sqlx::query("INSERT INTO users VALUES (7, 'Ada')").execute(&pool).await?;

    let monitor = Monitor::builder().db_system("sqlite").install()?;
    let app =
        Router::new().route("/users/{id}", get(user)).with_state(pool).layer(monitor.layer()).merge(monitor.router());

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let stop = monitor.ending_events(async { drop(tokio::signal::ctrl_c().await) });
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    monitor.shutdown().await;
    Ok(())
}
