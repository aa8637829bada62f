//! Two things at once: each must be blamed for its own.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    routing::{get as on_get, post as on_post},
};
use tokio::sync::Mutex;

use super::plans::sqlite;
use crate::{
    client::{Client, get, post},
    service::{Host, block, compute, pause, query},
    truth::Truth,
};

pub(crate) fn truths() -> Vec<Truth> {
    vec![
        blocked_beside_database(),
        computing_beside_quick(),
        query_beside_uploads(),
        queue_beside_computing(),
        lock_query_beside_plan(),
        errors_beside_slow(),
        late_because_of_others(),
        slow_query_holds_the_pool(),
    ]
}

fn blocked_beside_database() -> Truth {
    Truth::new("blocked_beside_database", "a handler blocks the workers, beside queries of a millisecond on PostgreSQL")
        .app(async |host: Host| {
            let pool = sqlx::PgPool::connect_with(host.postgres()).await.unwrap();
            let user = move || {
                let pool = pool.clone();
                async move {
                    sqlx::query("SELECT 'a user' WHERE $1 > 0").bind(1).fetch_one(&pool).await.unwrap();
                    "user"
                }
            };
            let export = async || {
                block(450);
                "export"
            };
            host.watch(Router::new().route("/user", on_get(user)).route("/export", on_get(export)))
        })
        .traffic(async |client| {
            client.visits([get("/export").users(4).pause(60), get("/user").users(4).pause(20)]).await;
        })
        .finds(&["blocked_runtime"], "GET /export", &["blocking_call"])
        .also("scheduling_lag", "process")
        .never(&["add an index", "its plan is what is wrong", "index it or cache"])
        .postgres()
        .alone()
}

fn computing_beside_quick() -> Truth {
    Truth::new("computing_beside_quick", "a handler computes 400 ms, and light requests wait for a worker meanwhile")
        .app(async |host: Host| {
            let render = async || {
                compute(400);
                "rendered"
            };
            let quick = async || {
                pause(2).await;
                "quick"
            };
            host.watch(Router::new().route("/render", on_post(render)).route("/quick", on_get(quick)))
        })
        .traffic(async |client| client.visits([post("/render").users(3).pause(50), get("/quick").users(4)]).await)
        .finds(&["blocked_runtime"], "POST /render", &["computing"])
        .also("scheduling_lag", "process")
        .also("slow_endpoint", "POST /render")
        .never(&["thread::sleep", "get /quick blocks", "get /quick keeps"])
        .alone()
}

fn query_beside_uploads() -> Truth {
    Truth::new("query_beside_uploads", "a slow query in one endpoint, slow clients at another")
        .app(async |host: Host| {
            let report = async || {
                query("SELECT day, SUM(total) FROM sales GROUP BY day", 1_300).await;
                "report"
            };
            let upload = async |body: Bytes| body.len().to_string();
            host.watch(Router::new().route("/report", on_get(report)).route("/upload", on_post(upload)))
        })
        .traffic(async |client: Client| {
            let uploads = client.repeat(4, || client.upload_slowly("/upload", 30, 90));
            tokio::join!(uploads, client.visits([get("/report").users(3)]));
        })
        .finds(&["slow_query"], "FROM sales", &["slow_plan"])
        .may_find(&["slow_endpoint"], "POST /upload", &["slow_upload"])
        .also("slow_endpoint", "GET /report")
        .lasts(12)
}

fn queue_beside_computing() -> Truth {
    Truth::new("queue_beside_computing", "one endpoint queues for a lock, another computes on the worker")
        .app(async |host: Host| {
            let lock = Arc::new(Mutex::new(()));
            let book = move || {
                let lock = lock.clone();
                async move {
                    let _held = lock.lock().await;
                    pause(130).await;
                    "booked"
                }
            };
            let chart = async || {
                compute(150);
                "chart"
            };
            host.watch(Router::new().route("/book", on_post(book)).route("/chart", on_get(chart)))
        })
        .traffic(async |client| client.visits([post("/book").users(12), get("/chart").pause(300)]).await)
        .finds(&["slow_endpoint"], "POST /book", &["queue", "lock_queue"])
        .finds(&["blocked_runtime"], "GET /chart", &["computing"])
        .also("scheduling_lag", "process")
        .alone()
}

fn lock_query_beside_plan() -> Truth {
    Truth::new("lock_beside_plan", "on SQLite one statement waits for the writer, another reads too many rows")
        .app(async |host: Host| {
            let pool = sqlite(&host, 8).await;
            sqlx::query("CREATE TABLE visits (id INTEGER PRIMARY KEY, page TEXT)").execute(&pool).await.unwrap();
            let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600000) \
                INSERT INTO visits (page) SELECT '/page/' || i FROM n";
            sqlx::query(rows).execute(&pool).await.unwrap();
            sqlx::query("CREATE TABLE carts (id INTEGER PRIMARY KEY, text TEXT)").execute(&pool).await.unwrap();
            let importing = pool.clone();
            tokio::spawn(async move {
                loop {
                    let mut transaction = importing.begin_with("BEGIN IMMEDIATE").await.unwrap();
                    pause(700).await;
                    sqlx::query("DELETE FROM carts WHERE id < 0").execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                    pause(300).await;
                }
            });
            let writing = pool.clone();
            let fill = move || {
                let pool = writing.clone();
                async move {
                    sqlx::query("INSERT INTO carts (text) VALUES (?)").bind("pear").execute(&pool).await.unwrap();
                    "filled"
                }
            };
            let count = move || {
                let pool = pool.clone();
                async move {
                    let sql = "SELECT COUNT(*) FROM visits WHERE upper(page) LIKE ? OR lower(page) LIKE '%x'";
                    sqlx::query(sql).bind("%7").fetch_one(&pool).await.unwrap();
                    "counted"
                }
            };
            host.watch(Router::new().route("/cart", on_post(fill)).route("/count", on_get(count)))
        })
        .traffic(async |client| client.visits([post("/cart").users(3).pause(30), get("/count").pause(150)]).await)
        .finds(&["slow_query", "slow_query_tail"], "INSERT INTO carts", &["db_lock"])
        .finds(&["slow_query"], "FROM visits", &["slow_plan"])
        .alone()
        .lasts(12)
}

fn errors_beside_slow() -> Truth {
    Truth::new("errors_beside_slow", "one endpoint fails at once, another waits for something that is not tracked")
        .app(async |host: Host| {
            let fail = async || axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            let wait = async || {
                pause(1_500).await;
                "waited"
            };
            host.watch(Router::new().route("/fail", on_get(fail)).route("/wait", on_get(wait)))
        })
        .traffic(async |client| client.visits([get("/fail").users(2), get("/wait").users(5)]).await)
        .finds(&["high_error_rate"], "GET /fail", &["same_error"])
        .finds(&["slow_endpoint"], "GET /wait", &["untracked_wait"])
        .never(&["in the database", "it computes"])
}

fn late_because_of_others() -> Truth {
    Truth::new("late_because_of_others", "a light request takes seconds, only because others compute on all workers")
        .app(async |host: Host| {
            let render = async || {
                compute(600);
                "rendered"
            };
            let quick = async || {
                for _ in 0..3 {
                    pause(2).await;
                }
                "quick"
            };
            host.watch(Router::new().route("/render", on_post(render)).route("/quick", on_get(quick)))
        })
        .traffic(async |client| client.visits([post("/render").users(6).pause(5), get("/quick").users(4)]).await)
        .finds(&["blocked_runtime"], "POST /render", &["computing"])
        .may_find(&["slow_endpoint"], "GET /quick", &["runtime_late"])
        .also("scheduling_lag", "process")
        .also("slow_endpoint", "GET /quick")
        .never(&["thread::sleep", "get /quick blocks", "not tracked", "in the database"])
        .alone()
        .lasts(22)
}

fn slow_query_holds_the_pool() -> Truth {
    Truth::new("slow_query_holds_pool", "a slow query holds all connections of a pool, and quick queries wait for one")
        .app(async |host: Host| {
            let options = sqlx::postgres::PgPoolOptions::new().max_connections(2);
            let options = options.acquire_time_level(tracing::log::LevelFilter::Info);
            let pool = options.connect_with(host.postgres()).await.unwrap();
            let slow = pool.clone();
            let report = move || {
                let pool = slow.clone();
                async move {
                    sqlx::query("SELECT pg_sleep(1.4) AS report").execute(&pool).await.unwrap();
                    "report"
                }
            };
            let user = move || {
                let pool = pool.clone();
                async move {
                    sqlx::query("SELECT 'a user'").execute(&pool).await.unwrap();
                    "user"
                }
            };
            host.watch(Router::new().route("/report", on_get(report)).route("/user", on_get(user)))
        })
        .traffic(async |client| client.visits([get("/report").users(3), get("/user").users(3)]).await)
        .finds(&["slow_query"], "AS report", &["slow_plan"])
        .finds(&["slow_endpoint"], "GET /user", &["pool_exhausted", "pool_held"])
        .also("*", "GET /report")
        .never(&["not tracked", "it computes"])
        .postgres()
        .lasts(14)
}
