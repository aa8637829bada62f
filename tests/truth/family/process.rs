//! Memory and descriptors of the process.

use std::{
    fs::File,
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    routing::{get as on_get, post as on_post},
};

use crate::{
    client::{get, post},
    service::{Host, pause},
    truth::Truth,
};

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

pub(crate) fn truths() -> Vec<Truth> {
    vec![
        leak_by_route(),
        leak_by_tasks(),
        leak_elsewhere(),
        cache_that_fills(),
        file_leak(),
        socket_leak(),
        high_memory(),
        steady_memory(),
    ]
}

fn keep(kept: &Kept, bytes: usize) {
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(vec![1; bytes]);
}

fn leak_by_route() -> Truth {
    Truth::new("leak_by_route", "each event is put into a Vec that nothing empties, 100 kB a request")
        .app(async |host: Host| {
            let events = Kept::default();
            let event = move || {
                let events = events.clone();
                async move {
                    keep(&events, 100_000);
                    "kept"
                }
            };
            host.watch(Router::new().route("/events", on_post(event)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([post("/events").pause(200), get("/home").pause(200)]).await)
        .finds(&["memory_leak"], "process", &["leak_by_route"])
        .naming(&["post /events"])
        .lasts(400)
}

fn leak_by_tasks() -> Truth {
    Truth::new("leak_by_tasks", "each login spawns a task that never ends and keeps 100 kB")
        .app(async |host: Host| {
            let login = async || {
                tokio::spawn(async {
                    let session = vec![1_u8; 100_000];
                    std::future::pending::<()>().await;
                    drop(session);
                });
                "welcome"
            };
            host.watch(Router::new().route("/login", on_post(login)))
        })
        .traffic(async |client| client.visits([post("/login").pause(200)]).await)
        .finds(&["memory_leak"], "process", &["leak_by_tasks"])
        .lasts(400)
}

fn leak_elsewhere() -> Truth {
    Truth::new("leak_elsewhere", "a thread of the service collects 500 kB a second for ever, whatever is asked")
        .app(async |host: Host| {
            let kept = Kept::default();
            std::thread::spawn(move || {
                loop {
                    keep(&kept, 100_000);
                    crate::service::block(200);
                }
            });
            host.watch(Router::new().route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([get("/home").pause(100)]).await)
        .finds(&["memory_leak"], "process", &["leak_elsewhere"])
        .never(&["get /home keep"])
        .lasts(400)
}

fn cache_that_fills() -> Truth {
    Truth::new("cache_that_fills", "a cache fills to its bound of 80 MB in three minutes, and stays there")
        .app(async |host: Host| {
            let cache = Kept::default();
            let page = move || {
                let cache = cache.clone();
                async move {
                    if cache.lock().unwrap_or_else(PoisonError::into_inner).len() < 800 {
                        keep(&cache, 100_000);
                    }
                    "page"
                }
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").pause(200)]).await)
        .lasts(400)
}

fn file_leak() -> Truth {
    Truth::new("file_leak", "each request opens a file that is never closed; the limit is 300")
        .app(async |host: Host| {
            let open = Arc::new(Mutex::new(Vec::new()));
            let note = move || {
                let open = open.clone();
                async move {
                    open.lock().unwrap_or_else(PoisonError::into_inner).extend(File::open("/etc/hostname"));
                    "noted"
                }
            };
            host.watch(Router::new().route("/note", on_post(note)))
        })
        .traffic(async |client| client.visits([post("/note").pause(20)]).await)
        .descriptors(300)
        .finds(&["file_descriptors"], "process", &["descriptor_leak"])
        .naming(&["files"])
        .never(&["sockets"])
        .lasts(10)
}

fn socket_leak() -> Truth {
    Truth::new("socket_leak", "each request opens a connection that is never closed; the limit is 300")
        .app(async |host: Host| {
            let (open, upstream) = (Arc::new(Mutex::new(Vec::new())), host.upstream_address());
            let ask = move || {
                let open = open.clone();
                async move {
                    let connection = tokio::net::TcpStream::connect(upstream).await.ok();
                    let connection: Option<TcpStream> = connection.and_then(|it| it.into_std().ok());
                    open.lock().unwrap_or_else(PoisonError::into_inner).extend(connection);
                    "asked"
                }
            };
            host.watch(Router::new().route("/ask", on_get(ask)))
        })
        .traffic(async |client| client.visits([get("/ask").pause(20)]).await)
        .descriptors(300)
        .finds(&["file_descriptors"], "process", &["descriptor_leak"])
        .naming(&["socket", "connection"])
        .lasts(10)
}

fn high_memory() -> Truth {
    Truth::new("high_memory", "a service holds 1.2 GB since its start")
        .app(async |host: Host| {
            let table = Arc::new(vec![1_u8; 1_200_000_000]);
            let row = move || {
                let table = table.clone();
                async move { table[17].to_string() }
            };
            host.watch(Router::new().route("/row", on_get(row)))
        })
        .traffic(async |client| client.visits([get("/row").pause(100)]).await)
        .finds(&["memory_usage"], "process", &["high_memory"])
        .never(&["it grows by", "see whether it is a leak"])
        .lasts(7)
}

fn steady_memory() -> Truth {
    Truth::new("steady_memory", "a service works with 300 MB that it fills and empties, as it was built to")
        .app(async |host: Host| {
            let page = async || {
                let buffer = vec![1_u8; 30_000_000];
                pause(50).await;
                buffer.len().to_string()
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(6).pause(100)]).await)
}
