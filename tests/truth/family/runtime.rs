//! Handlers and tasks that keep workers of the runtime from other work: computing, blocking calls, std locks.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    routing::{get as on_get, post as on_post},
};

use crate::{
    client::{get, post},
    service::{Host, block, compute, pause, task},
    truth::Truth,
};

const BLOCKED: &[&str] = &["blocked_runtime"];
const LATE: &[&str] = &["scheduling_lag"];

/// What is said of a handler that only computes, and is wrong about it.
const NOT_WAITING: &[&str] = &["thread::sleep", "std mutex", "synchronous i/o", "sync i/o", "blocking call"];
/// What is said of a handler that only blocks, and is wrong about it.
const NOT_COMPUTING: &[&str] = &["it computes", "move the computation", "hashing, compression", "less work"];

pub(crate) fn truths() -> Vec<Truth> {
    let computing = [password_hash(), json_export(), search_in_memory()];
    let blocking = [thread_sleep(), runs_a_program(), sync_http_call(), std_mutex(), std_mutex_and_computing()];
    let tasks = [untracked_background(), tracked_background(), overload(), own_threads()];
    computing.into_iter().chain(blocking).chain(tasks).collect()
}

fn health(router: Router) -> Router {
    router.route("/health", on_get(async || "ok"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn password_hash() -> Truth {
    Truth::new("password_hash", "a login hashes the password in the handler, 160 ms of processor time")
        .app(async |host: Host| {
            let login = async || {
                compute(160);
                "welcome"
            };
            host.watch(health(Router::new().route("/login", on_post(login))))
        })
        .traffic(async |client| client.visits([post("/login").pause(150), get("/health")]).await)
        .finds(BLOCKED, "POST /login", &["computing"])
        .never(NOT_WAITING)
        .also("scheduling_lag", "process")
        .alone()
        .short()
}

fn json_export() -> Truth {
    Truth::new("json_export", "an export of 150,000 orders becomes JSON in the handler")
        .app(async |host: Host| {
            let orders: Vec<HashMap<&str, u64>> =
                (0..150_000).map(|n| HashMap::from([("id", n), ("customer", n % 977), ("total", n * 13)])).collect();
            let orders = Arc::new(orders);
            let export = move || {
                let orders = orders.clone();
                async move {
                    pause(20).await;
                    serde_json::to_string(&*orders).unwrap().len().to_string()
                }
            };
            host.watch(health(Router::new().route("/orders/export", on_get(export))))
        })
        .traffic(async |client| client.visits([get("/orders/export").pause(200), get("/health")]).await)
        .finds(BLOCKED, "GET /orders/export", &["computing"])
        .never(NOT_WAITING)
        .also("scheduling_lag", "process")
        .alone()
}

fn search_in_memory() -> Truth {
    Truth::new("search_in_memory", "a search waits 300 ms for a service, then ranks for 250 ms on the worker")
        .app(async |host: Host| {
            let search = async || {
                pause(300).await;
                compute(250);
                "found"
            };
            host.watch(health(Router::new().route("/search", on_get(search))))
        })
        .traffic(async |client| client.visits([get("/search").pause(100), get("/health")]).await)
        .finds(BLOCKED, "GET /search", &["computing"])
        .never(NOT_WAITING)
        .also("scheduling_lag", "process")
        .alone()
}

fn thread_sleep() -> Truth {
    Truth::new("thread_sleep", "a handler waits with thread::sleep until a report is ready")
        .app(async |host: Host| {
            let report = async || {
                block(220);
                "ready"
            };
            host.watch(health(Router::new().route("/report", on_get(report))))
        })
        .traffic(async |client| client.visits([get("/report").pause(100), get("/health")]).await)
        .finds(BLOCKED, "GET /report", &["blocking_call"])
        .never(NOT_COMPUTING)
        .also("scheduling_lag", "process")
        .alone()
        .short()
}

fn runs_a_program() -> Truth {
    Truth::new("runs_a_program", "a thumbnail is made by a program that the handler waits for synchronously")
        .app(async |host: Host| {
            let thumbnail = async || match Command::new("sleep").arg("0.2").status() {
                Ok(status) if status.success() => "made",
                _ => "failed",
            };
            host.watch(health(Router::new().route("/thumbnail", on_get(thumbnail))))
        })
        .traffic(async |client| client.visits([get("/thumbnail").pause(100), get("/health")]).await)
        .finds(BLOCKED, "GET /thumbnail", &["blocking_call"])
        .never(NOT_COMPUTING)
        .also("scheduling_lag", "process")
        .alone()
}

fn sync_http_call() -> Truth {
    Truth::new("sync_http_call", "a handler calls another service over a blocking socket")
        .app(async |host: Host| {
            let upstream = host.upstream_address();
            let rates = move || async move {
                let mut socket = TcpStream::connect(upstream).unwrap();
                socket.write_all(b"GET /slow/200 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                let mut answer = String::new();
                socket.read_to_string(&mut answer).unwrap();
                answer
            };
            host.watch(health(Router::new().route("/rates", on_get(rates))))
        })
        .traffic(async |client| client.visits([get("/rates").pause(100), get("/health")]).await)
        .finds(BLOCKED, "GET /rates", &["blocking_call"])
        .never(NOT_COMPUTING)
        .also("scheduling_lag", "process")
        .alone()
}

fn std_mutex() -> Truth {
    Truth::new("std_mutex", "a std Mutex is held across a slow write, so that the other workers wait for it")
        .app(async |host: Host| {
            let stock = Arc::new(Mutex::new(HashMap::from([("apples", 1_000_000_u64)])));
            let take = move || {
                let stock = stock.clone();
                async move {
                    let mut stock = lock(&stock);
                    // Writes a journal before it changes the number.
                    block(60);
                    let apples = stock.entry("apples").or_default();
                    *apples = apples.saturating_sub(1);
                    apples.to_string()
                }
            };
            host.watch(health(Router::new().route("/stock/take", on_post(take))))
        })
        .traffic(async |client| client.visits([post("/stock/take").users(8).pause(20), get("/health")]).await)
        .workers(4)
        .finds(BLOCKED, "POST /stock/take", &["blocking_lock"])
        .never(NOT_COMPUTING)
        .also("scheduling_lag", "process")
        .also("blocked_runtime", "GET /health")
        .alone()
        .short()
}

fn std_mutex_and_computing() -> Truth {
    Truth::new("std_mutex_and_computing", "prices are computed under a std Mutex: one worker computes, three wait")
        .app(async |host: Host| {
            let prices = Arc::new(Mutex::new(0_u64));
            let price = move || {
                let prices = prices.clone();
                async move {
                    let mut prices = lock(&prices);
                    compute(50);
                    *prices += 1;
                    prices.to_string()
                }
            };
            host.watch(health(Router::new().route("/prices", on_get(price))))
        })
        .traffic(async |client| client.visits([get("/prices").users(8).pause(20), get("/health")]).await)
        .workers(4)
        .finds(BLOCKED, "GET /prices", &["blocking_lock"])
        .also("scheduling_lag", "process")
        .alone()
}

fn untracked_background() -> Truth {
    Truth::new("untracked_background", "background work that is not tracked blocks both workers, no request does")
        .app(async |host: Host| {
            for _ in 0..2 {
                tokio::spawn(async {
                    loop {
                        pause(150).await;
                        block(350);
                    }
                });
            }
            let orders = async || {
                pause(5).await;
                "none"
            };
            host.watch(Router::new().route("/orders", on_get(orders)))
        })
        .traffic(async |client| client.visits([get("/orders").users(4)]).await)
        .finds(LATE, "process", &["blocked_by_untracked"])
        .never(&["get /orders keeps a worker", "get /orders blocks", "workers are busy"])
        .alone()
}

fn tracked_background() -> Truth {
    Truth::new("tracked_background", "a tracked task that rebuilds an index blocks the workers")
        .app(async |host: Host| {
            for _ in 0..2 {
                tokio::spawn(async {
                    loop {
                        pause(150).await;
                        task("rebuild_index", async { compute(350) }).await;
                    }
                });
            }
            let orders = async || {
                pause(5).await;
                "none"
            };
            host.watch(Router::new().route("/orders", on_get(orders)))
        })
        .traffic(async |client| client.visits([get("/orders").users(4)]).await)
        .finds(LATE, "process", &["blocking_task", "computing"])
        .naming(&["rebuild_index"])
        .never(&["get /orders keeps a worker", "get /orders blocks", "thread::sleep"])
        .also("*", "rebuild_index")
        .alone()
        .lasts(22)
}

fn overload() -> Truth {
    Truth::new(
        "overload",
        "60 users, 60 ms of processor time each in small steps: no handler blocks, there is too much work",
    )
    .app(async |host: Host| {
        let page = async || {
            for _ in 0..12 {
                compute(5);
                tokio::task::yield_now().await;
            }
            "page"
        };
        host.watch(Router::new().route("/page", on_get(page)))
    })
    .traffic(async |client| client.visits([get("/page").users(60).pause(10)]).await)
    .finds(LATE, "process", &["overload", "cpu_starved"])
    .may_find(&["slow_endpoint"], "GET /page", &["overload", "runtime_late", "cpu_starved"])
    .never(&["thread::sleep", "std mutex", "not tracked"])
    .alone()
    .lasts(22)
}

fn own_threads() -> Truth {
    Truth::new(
        "own_threads",
        "forty hashes at once on threads of spawn_blocking use all CPUs; light requests wait for one",
    )
    .app(async |host: Host| {
        let login = async || {
            let hash = tokio::task::spawn_blocking(|| compute(300));
            hash.await.unwrap();
            "welcome"
        };
        host.watch(health(Router::new().route("/login", on_post(login))))
    })
    .traffic(async |client| client.visits([post("/login").users(40).pause(10), get("/health").users(4)]).await)
    .may_find(LATE, "process", &["overload"])
    // It waits for its thread, or for what the thread computes: neither is tracked.
    .also("slow_endpoint", "POST /login")
    .never(&["thread::sleep", "std mutex", "its code is not what is slow", "no request blocked it"])
    .alone()
    .lasts(20)
}
