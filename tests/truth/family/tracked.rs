//! The services of `queues` and `calls` once more, with their waits, calls and threads tracked: now the cause is known.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    routing::{get as on_get, post as on_post},
};
use pinchpoint::{track_hold, track_http_call, track_wait};
use reqwest::Response;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::{
    client::{get, post},
    service::{Host, block, compute, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint"];
const FAILS: &[&str] = &["high_error_rate"];
/// What is said of a wait that nothing is known about.
const UNKNOWN: &[&str] = &["not tracked", "in the database", "add an index", "it computes"];

pub(crate) fn truths() -> Vec<Truth> {
    let queues = [tracked_mutex(), tracked_semaphore(), tracked_threads(), tracked_channel(), lock_across_call()];
    let calls = [
        tracked_call(),
        tracked_calls_in_sequence(),
        tracked_retries(),
        retry_storm(),
        tracked_failing_call(),
        parallel_calls(),
    ];
    queues.into_iter().chain(calls).chain([busy_threads(), quick_lock()]).collect()
}

fn tracked_mutex() -> Truth {
    Truth::new("tracked_mutex", "a tokio Mutex is held across a call of 120 ms, and 12 users want it; tracked")
        .app(async |host: Host| {
            let session = Arc::new(Mutex::new(0_u64));
            let buy = move || {
                let session = session.clone();
                async move {
                    let mut session = track_hold("lock", "session", session.lock()).await;
                    pause(120).await;
                    **session += 1;
                    session.to_string()
                }
            };
            host.watch(Router::new().route("/buy", on_post(buy)))
        })
        .traffic(async |client| client.visits([post("/buy").users(12).pause(20)]).await)
        .finds(SLOW, "POST /buy", &["lock_queue"])
        .naming(&["session"])
        .never(UNKNOWN)
}

fn tracked_semaphore() -> Truth {
    Truth::new("tracked_semaphore", "three permits for pages of 150 ms, and 30 users; tracked")
        .app(async |host: Host| {
            let permits = Arc::new(Semaphore::new(3));
            let print = move || {
                let permits = permits.clone();
                async move {
                    let _permit = track_hold("semaphore", "printers", permits.acquire()).await;
                    pause(150).await;
                    "printed"
                }
            };
            host.watch(Router::new().route("/print", on_post(print)))
        })
        .traffic(async |client| client.visits([post("/print").users(30).pause(20)]).await)
        .finds(SLOW, "POST /print", &["semaphore_queue"])
        .naming(&["printers"])
        .never(UNKNOWN)
}

fn tracked_threads() -> Truth {
    Truth::new("tracked_threads", "two threads of spawn_blocking for work of 150 ms, and 20 users; tracked")
        .app(async |host: Host| {
            let resize = async || {
                pinchpoint::spawn_blocking(|| block(150)).await.unwrap();
                "resized"
            };
            host.watch(Router::new().route("/resize", on_post(resize)))
        })
        .traffic(async |client| client.visits([post("/resize").users(20).pause(20)]).await)
        .blocking_threads(2)
        .finds(SLOW, "POST /resize", &["thread_pool_queue"])
        .never(UNKNOWN)
}

/// The threads suffice, and the work itself takes the time.
fn busy_threads() -> Truth {
    Truth::new("busy_threads", "work of 1.3 s on threads of spawn_blocking, of which there are enough; tracked")
        .app(async |host: Host| {
            let resize = async || {
                pinchpoint::spawn_blocking(|| block(1_300)).await.unwrap();
                "resized"
            };
            host.watch(Router::new().route("/convert", on_post(resize)))
        })
        .traffic(async |client| client.visits([post("/convert").users(4)]).await)
        .finds(SLOW, "POST /convert", &["slow_task", "slow_blocking_work", "blocking_call", "computing"])
        .never(&["threads are too few", "queue", "not tracked", "more threads", "blocks the async runtime"])
}

fn tracked_channel() -> Truth {
    Truth::new("tracked_channel", "one task answers all requests through a channel, 100 ms each; tracked")
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
                    track_wait("channel", "quotes", quote).await.unwrap().to_string()
                }
            };
            host.watch(Router::new().route("/quote", on_get(quote)))
        })
        .traffic(async |client| client.visits([get("/quote").users(15).pause(20)]).await)
        .finds(SLOW, "GET /quote", &["queue"])
        .naming(&["quotes"])
        .never(UNKNOWN)
}

fn lock_across_call() -> Truth {
    Truth::new("lock_across_call", "a lock is held across a slow call of another service; both tracked")
        .app(async |host: Host| {
            let (client, url, lock) = (reqwest::Client::new(), host.upstream("/slow/150"), Arc::new(Mutex::new(())));
            let refresh = async move || {
                let _held = track_hold("lock", "token", lock.lock()).await;
                track_http_call("GET", &url, client.get(&url).send()).status(status).await.unwrap();
                "refreshed"
            };
            host.watch(Router::new().route("/refresh", on_post(refresh)))
        })
        .traffic(async |client| client.visits([post("/refresh").users(12).pause(20)]).await)
        .finds(SLOW, "POST /refresh", &["lock_queue"])
        .naming(&["token"])
        .never(UNKNOWN)
}

fn quick_lock() -> Truth {
    Truth::new("quick_lock", "a tracked lock that many take and nobody holds for long")
        .app(async |host: Host| {
            let counter = Arc::new(Mutex::new(0_u64));
            let count = move || {
                let counter = counter.clone();
                async move {
                    **track_hold("lock", "counter", counter.lock()).await += 1;
                    compute(1);
                    pause(20).await;
                    "counted"
                }
            };
            host.watch(Router::new().route("/count", on_post(count)))
        })
        .traffic(async |client| client.visits([post("/count").users(8).pause(20)]).await)
}

fn status(response: &Response) -> u16 {
    response.status().as_u16()
}

fn tracked_call() -> Truth {
    Truth::new("tracked_call", "another service takes 1.4 s to answer, however many ask; tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/slow/1400"));
            let rates = async move || {
                track_http_call("GET", &url, client.get(&url).send()).status(status).await.unwrap();
                "rates"
            };
            host.watch(Router::new().route("/rates", on_get(rates)))
        })
        .traffic(async |client| client.visits([get("/rates").users(6)]).await)
        .finds(SLOW, "GET /rates", &["slow_call"])
        .naming(&["127.0.0.1"])
        .never(UNKNOWN)
}

fn tracked_calls_in_sequence() -> Truth {
    Truth::new("tracked_calls_in_sequence", "four calls of 350 ms one after another; tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/slow/350"));
            let page = async move || {
                for _ in 0..4 {
                    track_http_call("GET", &url, client.get(&url).send()).status(status).await.unwrap();
                }
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(4)]).await)
        .finds(SLOW, "GET /page", &["sequential_calls"])
        .never(UNKNOWN)
}

fn parallel_calls() -> Truth {
    Truth::new("parallel_calls", "four calls of 1.3 s at the same time; tracked: running them together saves nothing")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/slow/1300"));
            let page = async move || {
                let call = || track_http_call("GET", &url, client.get(&url).send()).status(status);
                let _ = tokio::join!(call(), call(), call(), call());
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(4)]).await)
        .finds(SLOW, "GET /page", &["slow_call"])
        .never(UNKNOWN)
        .never(&["one after another", "at the same time would"])
}

fn tracked_retries() -> Truth {
    Truth::new("tracked_retries", "another service fails after 150 ms, and each request tries four times; tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/failing/150"));
            let weather = async move || {
                for _ in 0..4 {
                    let call = track_http_call("GET", &url, client.get(&url).send()).status(status);
                    if call.await.unwrap().status().is_success() {
                        return StatusCode::OK;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                StatusCode::BAD_GATEWAY
            };
            host.watch(Router::new().route("/weather", on_get(weather)))
        })
        .traffic(async |client| client.visits([get("/weather").users(6)]).await)
        .finds(FAILS, "GET /weather", &["retries"])
        .never(&["retry calls that can fail", "panics", "in the database", "not tracked"])
}

fn retry_storm() -> Truth {
    Truth::new(
        "retry_storm",
        "another service sends away whom it has no place for, and each request tries eight times; tracked",
    )
    .app(async |host: Host| {
        let (client, url) = (reqwest::Client::new(), host.upstream("/crowded/200"));
        let seats = async move || {
            for _ in 0..8 {
                let call = track_http_call("GET", &url, client.get(&url).send()).status(status);
                if call.await.unwrap().status().is_success() {
                    return StatusCode::OK;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            StatusCode::BAD_GATEWAY
        };
        host.watch(Router::new().route("/seats", on_get(seats)))
    })
    .traffic(async |client| client.visits([get("/seats").users(12)]).await)
    .finds(FAILS, "GET /seats", &["retries"])
    .naming(&["retry storm"])
    .never(&["panics", "in the database", "not tracked"])
}

fn tracked_failing_call() -> Truth {
    Truth::new("tracked_failing_call", "another service fails at once in half of the calls; tracked")
        .app(async |host: Host| {
            let (client, bad, good) = (reqwest::Client::new(), host.upstream("/failing/5"), host.upstream("/slow/5"));
            let number = Arc::new(std::sync::atomic::AtomicU64::new(0));
            let stock = async move || {
                let even = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2);
                let url = if even { &bad } else { &good };
                let answer = track_http_call("GET", url, client.get(url).send()).status(status).await.unwrap();
                if answer.status().is_success() { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
            };
            host.watch(Router::new().route("/stock", on_get(stock)))
        })
        .traffic(async |client| client.visits([get("/stock").users(4)]).await)
        .finds(FAILS, "GET /stock", &["failing_call"])
        .never(&["panics", "in the database", "not tracked"])
}
