//! Pools of database connections that run dry.

use axum::{Router, extract::State, routing::get as on_get};
use sqlx::{
    PgPool,
    postgres::{PgPoolOptions, PgRow},
};
use tracing::log::LevelFilter;

use crate::{
    client::get,
    service::{Host, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint"];
const NOT_THE_PLAN: &[&str] = &["add an index", "missing index", "it computes"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![pool_of_two(), pool_of_two_reported(), pool_held(), pool_wide_enough()]
}

async fn connect(host: &Host, connections: u32, reported: bool) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections);
    let options = if reported { options.acquire_time_level(LevelFilter::Info) } else { options };
    options.connect_with(host.postgres()).await.unwrap()
}

async fn read(pool: &PgPool) -> PgRow {
    sqlx::query("SELECT pg_sleep(0.08)").fetch_one(pool).await.unwrap()
}

fn pool(name: &'static str, about: &'static str, connections: u32, reported: bool) -> Truth {
    Truth::new(name, about)
        .app(move |host: Host| async move {
            let pool = connect(&host, connections, reported).await;
            let cart = async |State(pool): State<PgPool>| {
                read(&pool).await;
                "cart"
            };
            host.watch(Router::new().route("/cart", on_get(cart))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/cart").users(40).pause(50)]).await)
        .never(NOT_THE_PLAN)
        .postgres()
}

fn pool_of_two() -> Truth {
    pool("pool_of_two", "forty visitors share two connections, and nothing reports the wait for one", 2, false).finds(
        SLOW,
        "GET /cart",
        &["queue", "pool_exhausted"],
    )
}

fn pool_of_two_reported() -> Truth {
    pool("pool_of_two_reported", "forty visitors share two connections, and sqlx reports the wait for one", 2, true)
        .finds(SLOW, "GET /cart", &["pool_exhausted"])
        .short()
}

fn pool_wide_enough() -> Truth {
    pool("pool_wide_enough", "forty visitors share forty connections", 40, true).never(&["pool"])
}

fn pool_held() -> Truth {
    Truth::new("pool_held", "handlers keep their connection while they call another service")
        .app(async |host: Host| {
            let pool = connect(&host, 2, true).await;
            let upstream = host.upstream("/slow/180");
            let ship = async move |State(pool): State<PgPool>| {
                let mut connection = pool.acquire().await.unwrap();
                sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
                reqwest::get(upstream.clone()).await.unwrap();
                sqlx::query("SELECT 2").execute(&mut *connection).await.unwrap();
                pause(1).await;
                "shipped"
            };
            host.watch(Router::new().route("/ship", on_get(ship))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/ship").users(20).pause(50)]).await)
        .finds(SLOW, "GET /ship", &["pool_held"])
        .never(NOT_THE_PLAN)
        .postgres()
}
