//! Handlers that queue for something of which there are few: a lock, permits, threads, a worker behind a channel.

use std::sync::Arc;

use axum::{
    Router,
    routing::{get as on_get, post as on_post},
};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::{
    client::{get, post},
    service::{Host, block, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint"];
const NOT_A_QUEUE: &[&str] = &["it computes", "in the database", "add an index", "a timeout would bound it"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![async_mutex(), semaphore(), thread_pool(), channel(), wide_semaphore()]
}

fn async_mutex() -> Truth {
    Truth::new("async_mutex", "a tokio Mutex is held across a call of 120 ms, and 12 users want it; not tracked")
        .app(async |host: Host| {
            let session = Arc::new(Mutex::new(0_u64));
            let buy = move || {
                let session = session.clone();
                async move {
                    let mut session = session.lock().await;
                    pause(120).await;
                    *session += 1;
                    session.to_string()
                }
            };
            host.watch(Router::new().route("/buy", on_post(buy)))
        })
        .traffic(async |client| client.visits([post("/buy").users(12).pause(20)]).await)
        .finds(SLOW, "POST /buy", &["queue", "lock_queue"])
        .never(NOT_A_QUEUE)
        .short()
}

fn semaphore() -> Truth {
    Truth::new("semaphore", "three permits for pages of 150 ms, and 30 users; not tracked")
        .app(async |host: Host| {
            let permits = Arc::new(Semaphore::new(3));
            let print = move || {
                let permits = permits.clone();
                async move {
                    let _permit = permits.acquire().await.unwrap();
                    pause(150).await;
                    "printed"
                }
            };
            host.watch(Router::new().route("/print", on_post(print)))
        })
        .traffic(async |client| client.visits([post("/print").users(30).pause(20)]).await)
        .finds(SLOW, "POST /print", &["queue", "semaphore_queue"])
        .never(NOT_A_QUEUE)
}

fn thread_pool() -> Truth {
    Truth::new("thread_pool", "two threads of spawn_blocking for work of 150 ms, and 20 users; not tracked")
        .app(async |host: Host| {
            let resize = async || {
                tokio::task::spawn_blocking(|| block(150)).await.unwrap();
                "resized"
            };
            host.watch(Router::new().route("/resize", on_post(resize)))
        })
        .traffic(async |client| client.visits([post("/resize").users(20).pause(20)]).await)
        .blocking_threads(2)
        .finds(SLOW, "POST /resize", &["queue", "thread_pool_queue"])
        .never(NOT_A_QUEUE)
}

fn channel() -> Truth {
    Truth::new("channel", "one task answers all requests through a channel, 100 ms each; not tracked")
        .app(async |host: Host| {
            let (sender, mut jobs) = mpsc::channel::<oneshot::Sender<u64>>(64);
            tokio::spawn(async move {
                while let Some(answer) = jobs.recv().await {
                    pause(100).await;
                    let _ = answer.send(1);
                }
            });
            let quote = move || {
                let sender = sender.clone();
                async move {
                    let (answer, quote) = oneshot::channel();
                    sender.send(answer).await.unwrap();
                    quote.await.unwrap().to_string()
                }
            };
            host.watch(Router::new().route("/quote", on_get(quote)))
        })
        .traffic(async |client| client.visits([get("/quote").users(15).pause(20)]).await)
        .finds(SLOW, "GET /quote", &["queue"])
        .never(NOT_A_QUEUE)
}

fn wide_semaphore() -> Truth {
    Truth::new("wide_semaphore", "twenty permits for eight users: nothing waits")
        .app(async |host: Host| {
            let permits = Arc::new(Semaphore::new(20));
            let print = move || {
                let permits = permits.clone();
                async move {
                    let _permit = permits.acquire().await.unwrap();
                    pause(150).await;
                    "printed"
                }
            };
            host.watch(Router::new().route("/print", on_post(print)))
        })
        .traffic(async |client| client.visits([post("/print").users(8).pause(20)]).await)
        .never(&["queue"])
}
