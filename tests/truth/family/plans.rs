//! Queries that are slow: by their plan, by their parameters, or because they wait for a lock in the database.

use axum::{
    Router,
    extract::{Path, State},
    routing::{get as on_get, post as on_post},
};
use sqlx::{PgPool, SqlitePool, postgres::PgPoolOptions, sqlite::SqlitePoolOptions};

use crate::{
    client::{get, post},
    service::{Host, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_query", "slow_query_tail"];
/// Advice that helps a plan, and not a lock.
const PLAN: &[&str] = &["add an index", "missing index", "its plan is what is wrong", "columns and rows that are used"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![missing_index(), missing_index_sqlite(), skewed_plan(), row_lock(), writers_of_sqlite(), select_for_update()]
}

async fn connect(host: &Host, connections: u32) -> PgPool {
    PgPoolOptions::new().max_connections(connections).connect_with(host.postgres()).await.unwrap()
}

/// Runs the statements that make a table.
async fn prepare(pool: &PgPool, statements: &[&'static str]) {
    for statement in statements {
        sqlx::query(*statement).execute(pool).await.unwrap();
    }
}

/// Returns a pool of a file of the service.
pub(super) async fn sqlite(host: &Host, connections: u32) -> SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(host.folder().join("shop.db"))
        .create_if_missing(true)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::from_secs(20));
    SqlitePoolOptions::new().max_connections(connections).connect_with(options).await.unwrap()
}

fn missing_index() -> Truth {
    Truth::new("missing_index", "PostgreSQL reads 300,000 rows to find the few of one customer, every time")
        .app(async |host: Host| {
            let pool = connect(&host, 4).await;
            prepare(
                &pool,
                &[
                    "CREATE UNLOGGED TABLE mi_orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 300000) n",
                    "ANALYZE mi_orders",
                ],
            )
            .await;
            let find = async |State(pool): State<PgPool>, Path(id): Path<i64>| {
                let sql = "SELECT COUNT(*) FROM mi_orders WHERE md5(note || $1::text) LIKE 'abc%'";
                sqlx::query_scalar::<_, i64>(sql).bind(id).fetch_one(&pool).await.unwrap().to_string()
            };
            host.watch(Router::new().route("/orders/of/{id}", on_get(find))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/orders/of/{n}").pause(100)]).await)
        .finds(&["slow_query"], "mi_orders", &["slow_plan"])
        .never(&["only now and then", "held by other transactions"])
        .postgres()
        .alone()
}

fn missing_index_sqlite() -> Truth {
    Truth::new("missing_index_sqlite", "SQLite reads 1,000,000 rows to find the few of one customer, every time")
        .app(async |host: Host| {
            let pool = sqlite(&host, 4).await;
            sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, note TEXT)").execute(&pool).await.unwrap();
            let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
                INSERT INTO orders (customer, note) SELECT i % 5000, 'order number ' || i || ' of a customer' FROM n";
            sqlx::query(rows).execute(&pool).await.unwrap();
            let find = async |State(pool): State<SqlitePool>, Path(id): Path<i64>| {
                let sql = "SELECT COUNT(*) FROM orders WHERE customer = ? AND lower(note) LIKE '%customer' OR upper(note) LIKE 'X%'";
                sqlx::query_scalar::<_, i64>(sql).bind(id % 5000).fetch_one(&pool).await.unwrap().to_string()
            };
            host.watch(Router::new().route("/customers/{id}/orders", on_get(find))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/customers/{n}/orders").pause(100)]).await)
        .finds(&["slow_query"], "FROM orders", &["slow_plan"])
        .never(&["only now and then", "held by other transactions"])
        .alone()
}

fn skewed_plan() -> Truth {
    Truth::new("skewed_plan", "one tenant of twelve has nearly all rows: its query is slow, the others' are fast")
        .app(async |host: Host| {
            let pool = connect(&host, 6).await;
            prepare(
                &pool,
                &[
                    "CREATE UNLOGGED TABLE sp_events AS \
                     SELECT CASE WHEN n % 100 = 0 THEN n / 100 % 11 + 1 ELSE 0 END AS tenant, md5(n::text) AS body \
                     FROM generate_series(1, 1200000) n",
                    "CREATE INDEX ON sp_events (tenant)",
                    "ANALYZE sp_events",
                ],
            )
            .await;
            let events = async |State(pool): State<PgPool>, Path(id): Path<i64>| {
                let tenant = i32::try_from(id % 12).unwrap();
                let sql = "SELECT MAX(md5(body)) FROM sp_events WHERE tenant = $1";
                sqlx::query_scalar::<_, Option<String>>(sql)
                    .bind(tenant)
                    .fetch_one(&pool)
                    .await
                    .unwrap()
                    .unwrap_or_default()
            };
            host.watch(Router::new().route("/tenants/{id}/events", on_get(events))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/tenants/{n}/events").users(2).pause(60)]).await)
        .finds(SLOW, "sp_events", &["skewed_plan"])
        .never(&["it is slow always"])
        .postgres()
        .alone()
        .lasts(12)
}

fn row_lock() -> Truth {
    Truth::new(
        "row_lock",
        "payments wait for the row of one account, which a transaction holds while it does other things",
    )
    .app(async |host: Host| {
        let pool = connect(&host, 20).await;
        prepare(
            &pool,
            &[
                "CREATE UNLOGGED TABLE rl_accounts (id int PRIMARY KEY, balance int)",
                "INSERT INTO rl_accounts VALUES (1, 1000000)",
            ],
        )
        .await;
        let pay = async |State(pool): State<PgPool>| {
            let mut transaction = pool.begin().await.unwrap();
            let sql = "UPDATE rl_accounts SET balance = balance - 1 WHERE id = $1";
            sqlx::query(sql).bind(1).execute(&mut *transaction).await.unwrap();
            // Sends the receipt before it commits.
            pause(60).await;
            transaction.commit().await.unwrap();
            "paid"
        };
        host.watch(Router::new().route("/pay", on_post(pay))).with_state(pool)
    })
    .traffic(async |client| client.visits([post("/pay").users(8).pause(20)]).await)
    .finds(SLOW, "rl_accounts", &["db_lock"])
    .never(PLAN)
    .never(&["cache results"])
    .postgres()
    .short()
}

fn writers_of_sqlite() -> Truth {
    Truth::new("writers_of_sqlite", "SQLite has one writer at a time, and an import keeps it for 600 ms a second")
        .app(async |host: Host| {
            let pool = sqlite(&host, 8).await;
            sqlx::query("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)").execute(&pool).await.unwrap();
            let importing = pool.clone();
            tokio::spawn(async move {
                loop {
                    let mut transaction = importing.begin_with("BEGIN IMMEDIATE").await.unwrap();
                    pause(600).await;
                    sqlx::query("DELETE FROM notes WHERE id < 0").execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                    pause(400).await;
                }
            });
            let note = async |State(pool): State<SqlitePool>| {
                sqlx::query("INSERT INTO notes (text) VALUES (?)").bind("hello").execute(&pool).await.unwrap();
                "noted"
            };
            host.watch(Router::new().route("/notes", on_post(note))).with_state(pool)
        })
        .traffic(async |client| client.visits([post("/notes").users(4).pause(30)]).await)
        .finds(SLOW, "INSERT INTO notes", &["db_lock"])
        .never(PLAN)
}

fn select_for_update() -> Truth {
    Truth::new("select_for_update", "jobs are taken with FOR UPDATE and no SKIP LOCKED: each taker waits for the last")
        .app(async |host: Host| {
            let pool = connect(&host, 20).await;
            prepare(
                &pool,
                &[
                    "CREATE UNLOGGED TABLE su_jobs (id int PRIMARY KEY, done boolean)",
                    "INSERT INTO su_jobs SELECT n, false FROM generate_series(1, 20) n",
                ],
            )
            .await;
            let take = async |State(pool): State<PgPool>| {
                let mut transaction = pool.begin().await.unwrap();
                let sql = "SELECT id FROM su_jobs WHERE NOT done ORDER BY id LIMIT 1 FOR UPDATE";
                sqlx::query_scalar::<_, i32>(sql).fetch_optional(&mut *transaction).await.unwrap();
                pause(70).await;
                transaction.commit().await.unwrap();
                "taken"
            };
            host.watch(Router::new().route("/jobs/take", on_post(take))).with_state(pool)
        })
        .traffic(async |client| client.visits([post("/jobs/take").users(8).pause(20)]).await)
        .finds(SLOW, "su_jobs", &["db_lock"])
        .never(PLAN)
        .postgres()
}
