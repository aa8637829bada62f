//! Queries that are made too often: each kind has advice of its own.

use std::sync::Arc;

use axum::{
    Router,
    routing::{get as on_get, post as on_post},
};
use futures_util::future::join_all;
use tokio::{sync::RwLock, time::Instant};

use crate::{
    client::{get, post},
    service::{Host, pause, query},
    truth::Truth,
};

const REPEATED: &[&str] = &["n_plus_one"];
/// Advice for repeated reads.
const READ: &[&str] = &["join", "in list", " in (", "eager loading", "cache"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![
        n_plus_one(),
        many_writes(),
        many_transactions(),
        many_savepoints(),
        failing_retries(),
        duplicate_queries(),
        stampede(),
        parallel_repeats(),
        rare_parallel(),
        failing_query(),
        slow_insert_of_many(),
        two_at_once(),
    ]
}

fn n_plus_one() -> Truth {
    Truth::new("n_plus_one", "an order list reads the customer of each of its 25 orders")
        .app(async |host: Host| {
            let orders = async || {
                query("SELECT id, customer_id FROM orders LIMIT 25", 4).await;
                for _ in 0..25 {
                    query("SELECT name FROM customers WHERE id = $1", 2).await;
                }
                "orders"
            };
            host.watch(Router::new().route("/orders", on_get(orders)))
        })
        .traffic(async |client| client.visits([get("/orders").users(2)]).await)
        .finds(REPEATED, "customers", &["n_plus_one"])
}

fn many_writes() -> Truth {
    Truth::new("many_writes", "an import writes 12 rows with 12 statements")
        .app(async |host: Host| {
            let import = async || {
                for _ in 0..12 {
                    query("INSERT INTO audit_log (who, what) VALUES ($1, $2)", 3).await;
                }
                "imported"
            };
            host.watch(Router::new().route("/import", on_post(import)))
        })
        .traffic(async |client| client.visits([post("/import").users(2)]).await)
        .finds(REPEATED, "audit_log", &["many_writes"])
        .never(READ)
        .short()
}

fn many_transactions() -> Truth {
    Truth::new("many_transactions", "a request makes twelve transactions where one would do")
        .app(async |host: Host| {
            let settle = async || {
                for _ in 0..12 {
                    query("UPDATE invoices SET settled = true WHERE id = $1", 1).await;
                    query("COMMIT", 5).await;
                }
                "settled"
            };
            host.watch(Router::new().route("/settle", on_post(settle)))
        })
        .traffic(async |client| client.visits([post("/settle").users(2)]).await)
        .finds(REPEATED, "COMMIT", &["many_transactions"])
        .may_find(REPEATED, "invoices", &["many_writes", "many_transactions"])
        .also("*", "invoices")
        .never(READ)
}

fn many_savepoints() -> Truth {
    Truth::new("many_savepoints", "a request makes twelve savepoints, one for each line")
        .app(async |host: Host| {
            let check = async || {
                for _ in 0..12 {
                    query("SAVEPOINT line", 3).await;
                }
                "checked"
            };
            host.watch(Router::new().route("/check", on_post(check)))
        })
        .traffic(async |client| client.visits([post("/check").users(2)]).await)
        .finds(REPEATED, "SAVEPOINT", &["many_transactions"])
        .never(READ)
}

fn failing_retries() -> Truth {
    Truth::new("failing_retries", "a row that is locked is asked for again and again, with NOWAIT, until it is free")
        .app(async |host: Host| {
            let reserve = async || {
                for _ in 0..12 {
                    let locked = async {
                        pause(3).await;
                        Err::<(), _>("could not obtain lock on row")
                    };
                    let sql = "SELECT 1 FROM seats WHERE id = $1 FOR UPDATE NOWAIT";
                    if pinchpoint::track_db_query(sql, locked).await.is_ok() {
                        break;
                    }
                }
                "reserved"
            };
            host.watch(Router::new().route("/reserve", on_post(reserve)))
        })
        .traffic(async |client| client.visits([post("/reserve").users(2)]).await)
        .finds(REPEATED, "seats", &["failing_retries"])
        .also("query_errors", "seats")
        .never(READ)
}

fn duplicate_queries() -> Truth {
    Truth::new("duplicate_queries", "each part of a page reads the same settings of the same user")
        .app(async |host: Host| {
            let page = async || {
                for _ in 0..9 {
                    query("SELECT * FROM settings WHERE user_id = 7", 3).await;
                }
                "page"
            };
            host.watch(Router::new().route("/dashboard", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/dashboard").users(2)]).await)
        .finds(REPEATED, "settings", &["duplicate_queries"])
        .never(&["in list", " in (", "eager loading"])
}

fn stampede() -> Truth {
    Truth::new("stampede", "a cache expires every second, and all 25 visitors of that moment refill it")
        .app(async |host: Host| {
            let cache: Arc<RwLock<Option<Instant>>> = Arc::default();
            let top = move || {
                let cache = cache.clone();
                async move {
                    let filled = *cache.read().await;
                    if filled.is_none_or(|at| at.elapsed().as_millis() > 900) {
                        query("SELECT product_id, SUM(n) FROM sales GROUP BY product_id ORDER BY 2 DESC LIMIT 10", 250)
                            .await;
                        *cache.write().await = Some(Instant::now());
                    }
                    "top"
                }
            };
            host.watch(Router::new().route("/top", on_get(top)))
        })
        .traffic(async |client| client.visits([get("/top").users(25).pause(20)]).await)
        .finds(&["slow_query"], "sales", &["stampede"])
        .lasts(12)
}

fn parallel_repeats() -> Truth {
    Truth::new("parallel_repeats", "twelve equal queries side by side: one in their place would save next to nothing")
        .app(async |host: Host| {
            let page = async || {
                join_all((0..12).map(|_| query("SELECT * FROM slow_par WHERE id = $1", 1_200))).await;
                "page"
            };
            host.watch(Router::new().route("/parallel", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/parallel").users(3)]).await)
        .finds(&["slow_query"], "slow_par", &["slow_plan"])
        .also("n_plus_one", "slow_par")
        .also("slow_endpoint", "GET /parallel")
        // A twelfth of 1.2 s is what one call in place of a sequence would leave.
        .never_in("n_plus_one", &["from 1.2s to about 1", "14.4s of", "1200%"])
}

fn rare_parallel() -> Truth {
    Truth::new(
        "rare_parallel",
        "one visitor every three seconds, whose page makes twelve slow queries side by side: no stampede",
    )
    .app(async |host: Host| {
        let page = async || {
            join_all((0..12).map(|_| query("SELECT * FROM rare_par WHERE id = $1", 600))).await;
            "page"
        };
        host.watch(Router::new().route("/rare", on_get(page)))
    })
    .traffic(async |client| client.visits([get("/rare").pause(2_400)]).await)
    .finds(&["slow_query"], "rare_par", &["slow_plan"])
    .also("n_plus_one", "rare_par")
    .never(&["refill", "cache while"])
    .lasts(24)
}

fn failing_query() -> Truth {
    Truth::new("failing_query", "an endpoint fails because half of its inserts fail")
        .app(async |host: Host| {
            let number = Arc::new(std::sync::atomic::AtomicU64::new(0));
            let register = move || {
                let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                async move {
                    query("SELECT 1 FROM accounts WHERE mail = $1", 3).await;
                    let insert = async {
                        pause(4).await;
                        if number.is_multiple_of(2) { Err("duplicate key value") } else { Ok(()) }
                    };
                    match pinchpoint::track_db_query("INSERT INTO accounts (mail) VALUES ($1)", insert).await {
                        Ok(()) => axum::http::StatusCode::CREATED,
                        Err(_) => axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                    }
                }
            };
            host.watch(Router::new().route("/register", on_post(register)))
        })
        .traffic(async |client| client.visits([post("/register").users(3)]).await)
        .finds(&["high_error_rate"], "POST /register", &["failing_query"])
        .naming(&["insert into accounts"])
        .also("query_errors", "INSERT INTO accounts")
        .never(&["an index", "panics"])
        .short()
}

fn slow_insert_of_many() -> Truth {
    Truth::new("slow_update", "a statement that updates all rows of a month is slow always")
        .app(async |host: Host| {
            let close = async || {
                query("UPDATE bookings SET closed = true WHERE month = $1", 700).await;
                "closed"
            };
            host.watch(Router::new().route("/close", on_post(close)))
        })
        .traffic(async |client| client.visits([post("/close")]).await)
        .finds(&["slow_query"], "bookings", &["slow_plan"])
        .never(&["cache results", "only now and then"])
}

fn two_at_once() -> Truth {
    Truth::new("two_at_once", "two slow queries side by side: without one of them the other still takes as long")
        .app(async |host: Host| {
            let page = async || {
                let sales = query("SELECT * FROM two_a WHERE year = $1", 1_500);
                tokio::join!(sales, query("SELECT * FROM two_b WHERE year = $1", 1_500));
                "page"
            };
            host.watch(Router::new().route("/two", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/two").users(3)]).await)
        .finds(&["slow_query"], "two_a", &["slow_plan"])
        .finds(&["slow_query"], "two_b", &["slow_plan"])
        .also("slow_endpoint", "GET /two")
        .never_in("slow_query", &["from 1.5s to about 100ms", "from 1.5s to about 0", "from 1.51s to about 1"])
}
