//! Healthy services, some of which look sick.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    routing::{get as on_get, post as on_post},
};
use futures_util::future::join_all;

use crate::{
    client::{Client, get, post},
    service::{Host, block, compute, pause, query, task},
    truth::Truth,
};

pub(crate) fn truths() -> Vec<Truth> {
    let plain = [idle(), shop(), flat_query(), parallel_queries(), bursts(), one_cold_start(), nightly_task()];
    let clients = [scanners(), missing_users(), uploads(), slow_admin_page()];
    let threads = [block_in_place(), hash_on_a_thread(), yielding(), many_small_tasks()];
    plain.into_iter().chain(clients).chain(threads).collect()
}

fn idle() -> Truth {
    Truth::new("idle", "nobody asks anything").lasts(6)
}

fn shop() -> Truth {
    Truth::new("plain_shop", "a shop as it should be: short queries, short answers, few errors")
        .app(async |host: Host| {
            let product = async |Path(id): Path<u64>| {
                query("SELECT * FROM products WHERE id = $1", 2).await;
                query("SELECT * FROM reviews WHERE product_id = $1 LIMIT 10", 4).await;
                if id % 97 == 0 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
            };
            let buy = async || {
                query("INSERT INTO orders (product, customer) VALUES ($1, $2)", 5).await;
                query("COMMIT", 3).await;
                pause(40).await;
                "bought"
            };
            host.watch(Router::new().route("/products/{id}", on_get(product)).route("/buy", on_post(buy)))
        })
        .traffic(async |client| client.visits([get("/products/{n}").users(6).pause(30), post("/buy").users(2)]).await)
        .short()
}

fn flat_query() -> Truth {
    Truth::new("flat_query", "a query over a big index takes 80 ms, always, as it should")
        .app(async |host: Host| {
            let search = async || {
                query("SELECT * FROM documents WHERE tsv @@ plainto_tsquery($1) LIMIT 20", 80).await;
                "found"
            };
            host.watch(Router::new().route("/search", on_get(search)))
        })
        .traffic(async |client| client.visits([get("/search").users(3).pause(100)]).await)
}

fn parallel_queries() -> Truth {
    Truth::new("parallel_queries", "a page asks four different things at once, 70 ms each")
        .app(async |host: Host| {
            let page = async || {
                tokio::join!(
                    query("SELECT * FROM news LIMIT 10", 70),
                    query("SELECT * FROM offers LIMIT 10", 70),
                    query("SELECT * FROM friends WHERE user_id = $1", 70),
                    query("SELECT COUNT(*) FROM messages WHERE user_id = $1", 70),
                );
                "page"
            };
            host.watch(Router::new().route("/start", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/start").users(4)]).await)
}

fn bursts() -> Truth {
    Truth::new("bursts", "eighty requests at once every 1.5 s, each answered in some milliseconds")
        .app(async |host: Host| {
            let beat = async || {
                query("INSERT INTO heartbeats (device, at) VALUES ($1, $2)", 4).await;
                "ok"
            };
            host.watch(Router::new().route("/heartbeat", on_post(beat)))
        })
        .traffic(async |client: Client| client.bursts(post("/heartbeat"), 80, 1_500).await)
}

fn one_cold_start() -> Truth {
    Truth::new("one_cold_start", "the first request loads what all others need, for 3 s")
        .app(async |host: Host| {
            let loaded = Arc::new(tokio::sync::OnceCell::new());
            let page = move || {
                let loaded = loaded.clone();
                async move {
                    loaded.get_or_init(|| pause(3_000)).await;
                    pause(5).await;
                    "page"
                }
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client: Client| {
            client.send(&get("/page")).await;
            client.visits([get("/page").users(4)]).await;
        })
}

fn nightly_task() -> Truth {
    Truth::new("nightly_task", "a tracked task that runs once a night takes 5 s")
        .app(async |host: Host| {
            tokio::spawn(task("nightly_report", pause(5_000)));
            host.watch(Router::new().route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([get("/home").users(2)]).await)
}

fn scanners() -> Truth {
    Truth::new("scanners", "scanners ask for pages that do not exist, more often than people ask for those that do")
        .app(async |host: Host| host.watch(Router::new().route("/home", on_get(async || "home"))))
        .traffic(async |client| {
            client
                .visits([get("/wp-admin/{n}.php").users(4).pause(20), get("/.git/config").pause(30), get("/home")])
                .await;
        })
}

fn missing_users() -> Truth {
    Truth::new("missing_users", "one request in five asks for a user who is not there")
        .app(async |host: Host| {
            let user = async |Path(id): Path<u64>| {
                query("SELECT * FROM users WHERE id = $1", 2).await;
                if id.is_multiple_of(5) { Err(StatusCode::NOT_FOUND) } else { Ok("user") }
            };
            host.watch(Router::new().route("/users/{id}", on_get(user)))
        })
        .traffic(async |client| client.visits([get("/users/{n}").users(4)]).await)
}

fn uploads() -> Truth {
    Truth::new("uploads", "uploads of 3 MB that clients send as fast as they can")
        .app(async |host: Host| {
            let upload = async |body: Bytes| {
                pause(30).await;
                body.len().to_string()
            };
            let upload = on_post(upload).layer(axum::extract::DefaultBodyLimit::disable());
            host.watch(Router::new().route("/photos", upload))
        })
        .traffic(async |client| client.visits([post("/photos").body(3_000_000).users(2).pause(150)]).await)
}

fn slow_admin_page() -> Truth {
    Truth::new("slow_admin_page", "an administrator opens a page of 2.5 s three times; all others are fast")
        .app(async |host: Host| {
            let year = async || {
                pause(2_500).await;
                "the year"
            };
            host.watch(Router::new().route("/admin/year", on_get(year)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client: Client| {
            let year = async {
                for _ in 0..3 {
                    client.send(&get("/admin/year")).await;
                }
            };
            tokio::join!(year, client.visits([get("/home").users(3)]));
        })
}

fn block_in_place() -> Truth {
    Truth::new("block_in_place", "a handler blocks within block_in_place, which keeps nobody waiting")
        .app(async |host: Host| {
            #[expect(clippy::disallowed_methods, reason = "services use it, and the monitor must know it")]
            let thumbnail = async || {
                tokio::task::block_in_place(|| block(250));
                "made"
            };
            let router = Router::new().route("/thumbnail", on_get(thumbnail)).route("/ok", on_get(async || "ok"));
            host.watch(router)
        })
        .traffic(async |client| client.visits([get("/thumbnail").users(2), get("/ok").users(3).pause(10)]).await)
        .never(&["they are slow because of it", "keeps a worker from"])
        .alone()
}

fn hash_on_a_thread() -> Truth {
    Truth::new("hash_on_a_thread", "a login hashes the password with spawn_blocking, 100 ms, for few users")
        .app(async |host: Host| {
            let login = async || {
                tokio::task::spawn_blocking(|| compute(100)).await.unwrap();
                "welcome"
            };
            host.watch(Router::new().route("/login", on_post(login)).route("/ok", on_get(async || "ok")))
        })
        .traffic(async |client| client.visits([post("/login").pause(300), get("/ok")]).await)
        .alone()
}

fn yielding() -> Truth {
    Truth::new("yielding", "a handler computes 60 ms in slices of 2 ms, and yields between them")
        .app(async |host: Host| {
            let diff = async || {
                for _ in 0..30 {
                    compute(2);
                    tokio::task::yield_now().await;
                }
                "diff"
            };
            host.watch(Router::new().route("/diff", on_get(diff)).route("/ok", on_get(async || "ok")))
        })
        .traffic(async |client| client.visits([get("/diff").users(2).pause(150), get("/ok")]).await)
        .never(&["blocks the async runtime"])
        .alone()
}

fn many_small_tasks() -> Truth {
    Truth::new("many_small_tasks", "each request runs twenty tracked tasks at once, 10 ms each")
        .app(async |host: Host| {
            let fan = async || {
                join_all((0..20).map(|_| task("fetch_tile", pause(10)))).await;
                Ok::<_, Infallible>("map")
            };
            host.watch(Router::new().route("/map", on_get(fan)))
        })
        .traffic(async |client| client.visits([get("/map").users(4)]).await)
}
