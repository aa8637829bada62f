//! Pools of connections: gauges of what they say, and the part of a request's time that waits for them.

use std::{
    str::FromStr as _,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use axum::{Router, routing::get};
use pinchpoint::{Monitor, PoolState, SqlxLayer, track_wait};
use serde_json::Value;
use sqlx::{
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::time::sleep;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{
    Samples, get as fetch, monitor,
    postgres::{Postgres, options},
};

const MS: Duration = Duration::from_millis(1);
const COUNT: &str = "db_client_connection_count";
const MAX: &str = "db_client_connection_max";
const PENDING: &str = "db_client_connection_pending_requests";
const IDLE: &str = "db_client_connection_state=\"idle\"";
const USED: &str = "db_client_connection_state=\"used\"";

/// Returns used, idle, allowed and pending of a pool.
fn shown(monitor: &Monitor, pool: &str) -> [f64; 4] {
    let samples = Samples::of(monitor);
    let name = format!("db_client_connection_pool_name=\"{pool}\"");
    [(COUNT, USED), (COUNT, IDLE), (MAX, ""), (PENDING, "")].map(|(metric, state)| samples.sum(metric, &[&name, state]))
}

/// A pool that is whatever the test says.
type Pool = Mutex<PoolState>;

fn watch(monitor: &Monitor, name: &str, state: PoolState) -> Arc<Pool> {
    let pool = Arc::new(Mutex::new(state));
    let weak: Weak<Pool> = Arc::downgrade(&pool);
    monitor.watch_pool(name, move || Some(*weak.upgrade()?.lock().expect("no panic")));
    pool
}

fn set(pool: &Pool, state: PoolState) {
    *pool.lock().expect("no panic") = state;
}

#[tokio::test]
async fn a_watched_pool_has_gauges_until_it_is_gone() {
    let monitor = monitor();
    let pool = watch(&monitor, "orders", PoolState::new(3, 1).max(10).pending(4));
    let gone = watch(&monitor, "gone", PoolState::new(3, 1).max(10).pending(4));
    let _small = watch(&monitor, "small", PoolState::new(1, 2));
    assert_eq!(shown(&monitor, "orders"), [2.0, 1.0, 10.0, 4.0], "from the first moment on");
    assert_eq!(shown(&monitor, "small"), [0.0, 1.0, 0.0, 0.0], "never more idle ones than there are");
    assert!(!Samples::of(&monitor).all().any(|(series, _)| series.contains("max") && series.contains("small")));
    set(&pool, PoolState::new(10, 0).max(10).pending(7));
    drop(gone);
    monitor.shutdown().await;
    assert_eq!(shown(&monitor, "orders"), [10.0, 0.0, 10.0, 7.0]);
    assert_eq!(shown(&monitor, "gone"), [0.0; 4]);
}

#[tokio::test]
async fn the_last_pool_of_a_name_is_the_one_that_is_watched() {
    let monitor = monitor();
    let first = watch(&monitor, "orders", PoolState::new(9, 9).pending(9));
    let _second = watch(&monitor, "orders", PoolState::new(2, 1).pending(1));
    assert_eq!(Arc::weak_count(&first), 0, "what was captured for the first is dropped");
    assert_eq!(shown(&monitor, "orders"), [1.0, 1.0, 0.0, 1.0]);
}

#[tokio::test]
async fn a_pool_that_panics_when_it_is_read_hides_no_other() {
    let monitor = monitor();
    let mut reads = 0;
    monitor.watch_pool("broken", move || {
        reads += 1;
        if reads > 1 {
            // Without the hook, whose backtrace takes a busy core longer than the end of a monitor waits.
            std::panic::resume_unwind(Box::new("the second time it fails"));
        }
        Some(PoolState::new(1, 1))
    });
    let pool = watch(&monitor, "orders", PoolState::new(1, 1));
    set(&pool, PoolState::new(2, 0));
    monitor.shutdown().await;
    assert_eq!(shown(&monitor, "orders"), [2.0, 0.0, 0.0, 0.0]);
}

#[tokio::test]
async fn waits_that_are_tracked_are_not_counted_twice() {
    let monitor = monitor();
    let (polled, mut polls) = tokio::sync::mpsc::channel(1);
    let handler = move || async move {
        let waits = async {
            polled.send(()).await.expect("the test waits");
            std::future::pending::<()>().await;
        };
        track_wait("pool", "orders", waits).await;
    };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer());
    let _pool = watch(&monitor, "orders", PoolState::new(2, 0).pending(1));
    let request = tokio::spawn(async move { fetch(&app, "/").await });
    polls.recv().await.expect("it waits");
    monitor.shutdown().await;
    assert_eq!(shown(&monitor, "orders")[3], 1.0);
    request.abort();
}

async fn endpoint(app: &Router) -> Value {
    let (_, body) = fetch(app, "/performance/endpoints").await;
    let all: Value = serde_json::from_str(&body).expect("JSON");
    all["endpoints"][0].clone()
}

/// Sends eight requests at once to `handler`, each of which has a connection for 100 ms, of a pool of two: they wait 0, 100, 200
/// and 300 ms, two each, which is 60 % of their time.
async fn eight_requests(monitor: &Monitor, routes: Router) -> Value {
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    let answers = futures_util::future::join_all((0..8).map(|_| fetch(&app, "/"))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let found = endpoint(&app).await;
    let percent = |part: &str| found[part].as_f64().expect("a number");
    assert!((50.0..70.0).contains(&percent("tracked_wait_percent")), "{found:#}");
    let waited = Samples::of(monitor).sum("db_client_connection_wait_time_seconds_sum", &[]);
    assert!((1.15..2.0).contains(&waited), "{waited}");
    found
}

#[tokio::test]
async fn waits_for_a_pool_of_sqlx_are_seen_in_its_own_events() {
    let _subscriber = tracing::subscriber::set_default(registry().with(SqlxLayer::new()));
    let monitor = monitor();
    let connect = SqliteConnectOptions::from_str("sqlite::memory:").expect("a URL");
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .min_connections(2)
        .acquire_time_level("debug".parse().expect("a level"))
        .connect_with(connect)
        .await
        .expect("SQLite opens");
    monitor.watch_pool("sqlite", {
        let pool = pool.clone();
        let max = pool.options().get_max_connections() as usize;
        move || (!pool.is_closed()).then(|| PoolState::new(pool.size() as usize, pool.num_idle()).max(max))
    });
    let handler = {
        let pool = pool.clone();
        move || async move {
            let connection = pool.acquire().await.expect("SQLite opens");
            sleep(100 * MS).await;
            drop(connection);
        }
    };
    eight_requests(&monitor, Router::new().route("/", get(handler))).await;
    let samples = Samples::of(&monitor);
    let sqlx = ["db_client_connection_pool_name=\"sqlx\""];
    assert_eq!(samples.sum("db_client_connection_wait_time_seconds_count", &sqlx), 8.0, "{samples:?}");
    let held = pool.acquire().await.expect("SQLite opens");
    // sqlx gives a dropped connection back in a task of its own.
    while pool.num_idle() < 1 {
        sleep(MS).await;
    }
    monitor.shutdown().await;
    assert_eq!(shown(&monitor, "sqlite")[2], 2.0);
    assert_eq!(shown(&monitor, "sqlite")[0], 1.0);
    drop(held);
    pool.close().await;
}

#[tokio::test]
async fn waits_for_a_pool_stand_apart_from_its_queries() {
    let Some(postgres) = Postgres::start().await else { return };
    // Once the server accepts connections.
    postgres.pool().await.close().await;
    let pool = PgPoolOptions::new().max_connections(2).min_connections(2).connect_with(options(postgres.folder()));
    let pool = pool.await.expect("PostgreSQL answers");
    let _subscriber = tracing::subscriber::set_default(registry().with(SqlxLayer::new()));
    let monitor = monitor();
    let handler = {
        let pool = pool.clone();
        move || async move {
            let mut connection = track_wait("pool", "orders", pool.acquire()).await.expect("PostgreSQL answers");
            sqlx::query("SELECT pg_sleep(0.1)").execute(&mut *connection).await.expect("PostgreSQL answers");
        }
    };
    let found = eight_requests(&monitor, Router::new().route("/", get(handler))).await;
    let queries = found["db_time_percent"].as_f64().expect("a number");
    assert!((30.0..50.0).contains(&queries), "{found:#}");
    let orders = ["db_client_connection_pool_name=\"orders\""];
    assert_eq!(Samples::of(&monitor).sum("db_client_connection_wait_time_seconds_count", &orders), 8.0);
    pool.close().await;
}
