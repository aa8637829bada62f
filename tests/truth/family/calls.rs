//! Calls of other services: slow, failing, repeated, one after another.

use axum::{
    Router,
    http::StatusCode,
    routing::{get as on_get, post as on_post},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    client::{get, post},
    service::{Host, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint"];
const FAILS: &[&str] = &["high_error_rate"];
const NOT_A_QUEUE: &[&str] = &["queue of", "it computes", "in the database", "add an index"];

pub(crate) fn truths() -> Vec<Truth> {
    let slow = [slow_call(), uneven_call(), calls_in_sequence()];
    let failing = [retries(), failing_call(), statement_beside_call(), call_timeout(), few_failing_calls()];
    slow.into_iter().chain(failing).collect()
}

fn slow_call() -> Truth {
    Truth::new("slow_call", "another service takes 1.4 s to answer, however many ask; not tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/slow/1400"));
            let rates = async move || client.get(url.clone()).send().await.unwrap().text().await.unwrap();
            host.watch(Router::new().route("/rates", on_get(rates)))
        })
        .traffic(async |client| client.visits([get("/rates").users(6)]).await)
        .finds(SLOW, "GET /rates", &["untracked_wait", "slow_call"])
        .never(NOT_A_QUEUE)
        .short()
}

fn uneven_call() -> Truth {
    Truth::new("uneven_call", "another service takes anything between 0.5 and 2 s, however many ask; not tracked")
        .app(async |host: Host| {
            let number = Arc::new(AtomicU64::new(0));
            let rates = async move || {
                // Each duration as likely: the golden ratio spreads the numbers evenly.
                let turn = number.fetch_add(1, Ordering::Relaxed) as f64 * 0.618_034;
                pause(500 + (1_500.0 * turn.fract()) as u64).await;
            };
            host.watch(Router::new().route("/rates", on_get(rates)))
        })
        .traffic(async |client| client.visits([get("/rates").users(6)]).await)
        .finds(SLOW, "GET /rates", &["untracked_wait", "slow_call"])
        .never(NOT_A_QUEUE)
        .lasts(20)
}

fn calls_in_sequence() -> Truth {
    Truth::new("calls_in_sequence", "four calls of 350 ms one after another; not tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/slow/350"));
            let page = async move || {
                for _ in 0..4 {
                    client.get(url.clone()).send().await.unwrap();
                }
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(4)]).await)
        .finds(SLOW, "GET /page", &["untracked_wait", "slow_call", "sequential_calls"])
        .never(NOT_A_QUEUE)
}

fn retries() -> Truth {
    Truth::new("retries", "another service fails after 150 ms, and each request tries four times; not tracked")
        .app(async |host: Host| {
            let (client, url) = (reqwest::Client::new(), host.upstream("/failing/150"));
            let weather = async move || {
                for _ in 0..4 {
                    let answer = client.get(url.clone()).send().await.unwrap();
                    if answer.status().is_success() {
                        return StatusCode::OK;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                StatusCode::BAD_GATEWAY
            };
            host.watch(Router::new().route("/weather", on_get(weather)))
        })
        .traffic(async |client| client.visits([get("/weather").users(6)]).await)
        .finds(FAILS, "GET /weather", &["same_error", "untracked_wait", "failing_call", "retries"])
        .never(&["panics", "in the database"])
}

fn failing_call() -> Truth {
    Truth::new("failing_call", "another service fails at once in half of the calls; not tracked")
        .app(async |host: Host| {
            let (client, bad, good) = (reqwest::Client::new(), host.upstream("/failing/5"), host.upstream("/slow/5"));
            let number = Arc::new(AtomicU64::new(0));
            let stock = async move || {
                let even = number.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
                let answer = client.get(if even { bad.clone() } else { good.clone() }).send().await.unwrap();
                if answer.status().is_success() { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
            };
            host.watch(Router::new().route("/stock", on_get(stock)))
        })
        .traffic(async |client| client.visits([get("/stock").users(4)]).await)
        .finds(FAILS, "GET /stock", &["same_error", "failing_call"])
        .never(&["panics", "in the database"])
}

fn statement_beside_call() -> Truth {
    Truth::new(
        "statement_beside_call",
        "a third of the requests fails with their call; one insert in nine does too, and is handled",
    )
    .app(async |host: Host| {
        let (client, bad, good) = (reqwest::Client::new(), host.upstream("/failing/5"), host.upstream("/slow/5"));
        let number = Arc::new(AtomicU64::new(0));
        let join = async move || {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let insert = async { if number % 9 == 4 { Err("duplicate key value") } else { Ok(()) } };
            let _ = pinchpoint::track_db_query("INSERT INTO members (mail) VALUES ($1)", insert).await;
            let url = if number.is_multiple_of(3) { &bad } else { &good };
            let call = pinchpoint::track_http_call("GET", url, client.get(url).send());
            let answer = call.status(|answer| answer.status().as_u16()).await.unwrap();
            if answer.status().is_success() { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
        };
        host.watch(Router::new().route("/join", on_post(join)))
    })
    .traffic(async |client| client.visits([post("/join").users(4)]).await)
    .finds(FAILS, "POST /join", &["failing_call"])
    .also("query_errors", "INSERT INTO members")
    .never(&["panics", "not tracked"])
}

fn call_timeout() -> Truth {
    Truth::new("call_timeout", "calls of a slow service run into their timeout of 500 ms and become 504; not tracked")
        .app(async |host: Host| {
            let client = reqwest::Client::builder().timeout(Duration::from_millis(500)).build().unwrap();
            let url = host.upstream("/slow/5000");
            let map = async move || match client.get(url.clone()).send().await {
                Ok(_) => StatusCode::OK,
                Err(_) => StatusCode::GATEWAY_TIMEOUT,
            };
            host.watch(Router::new().route("/map", on_get(map)))
        })
        .traffic(async |client| client.visits([get("/map").users(4)]).await)
        .finds(FAILS, "GET /map", &["same_error", "failing_call", "own_timeout"])
        .never(&["panics", "in the database"])
}

fn few_failing_calls() -> Truth {
    Truth::new("few_failing_calls", "one call in twenty fails and is tried once more, with success")
        .app(async |host: Host| {
            let (client, bad, good) = (reqwest::Client::new(), host.upstream("/failing/5"), host.upstream("/slow/20"));
            let number = Arc::new(AtomicU64::new(0));
            let stock = async move || {
                if number.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
                    client.get(bad.clone()).send().await.unwrap();
                }
                client.get(good.clone()).send().await.unwrap().text().await.unwrap()
            };
            host.watch(Router::new().route("/stock", on_get(stock)))
        })
        .traffic(async |client| client.visits([get("/stock").users(4)]).await)
}
