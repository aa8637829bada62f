//! Endpoints that fail, refuse, never answer, or are slow for a few.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    http::StatusCode,
    routing::{any, get as on_get, post as on_post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    client::{get, post},
    service::{Host, pause},
    truth::{ANY, Truth},
};

const FAILS: &[&str] = &["high_error_rate"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![never_ends(), tail(), fallback_fails(), panics(), caught_panics(), same_error(), mixed_errors(), refusals()]
}

/// Returns a function that counts its calls from 0.
fn counter() -> impl Fn() -> u64 + Clone {
    let number = Arc::new(AtomicU64::new(0));
    move || number.fetch_add(1, Ordering::Relaxed)
}

fn never_ends() -> Truth {
    Truth::new("never_ends", "requests wait for an answer that never comes, more every second; the others are fast")
        .app(async |host: Host| {
            let subscribe = async || {
                std::future::pending::<()>().await;
                "never"
            };
            let router = Router::new().route("/subscribe", on_post(subscribe)).route("/home", on_get(async || "home"));
            host.watch(router)
        })
        .traffic(async |client| {
            client.visits([post("/subscribe").users(80).pause(12_000), get("/home").users(2)]).await
        })
        .finds(&[ANY], "POST /subscribe", &["never_ends"])
        .lasts(20)
}

fn tail() -> Truth {
    Truth::new("tail", "three requests of a hundred take 2.6 s, the others 4 ms")
        .app(async |host: Host| {
            let count = counter();
            let page = async move || {
                pause(if count() % 33 == 13 { 2_600 } else { 4 }).await;
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(12).pause(30)]).await)
        .finds(&[ANY], "GET /page", &["tail"])
        .never(&["it is slow always"])
        .lasts(14)
}

fn fallback_fails() -> Truth {
    Truth::new("fallback_fails", "everything goes through a fallback, a proxy whose other side is gone: 502")
        .app(async |host: Host| host.watch(Router::new().fallback(any(async || StatusCode::BAD_GATEWAY))))
        .traffic(async |client| client.visits([get("/shop/{n}").users(3), post("/cart/{n}")]).await)
        .finds(&[ANY], ANY, &["fallback_fails"])
}

fn panicking(name: &'static str, about: &'static str, caught: bool) -> Truth {
    Truth::new(name, about)
        .app(move |host: Host| async move {
            let count = counter();
            let parse = async move || {
                let items: Vec<u64> = Vec::new();
                pause(3).await;
                if count().is_multiple_of(3) { items[0].to_string() } else { "parsed".to_owned() }
            };
            let router = Router::new().route("/parse", on_post(parse));
            let router = if caught { router.layer(CatchPanicLayer::new()) } else { router };
            std::panic::set_hook(Box::new(|_| {}));
            host.watch(router)
        })
        .traffic(async |client| client.visits([post("/parse").users(3)]).await)
}

fn panics() -> Truth {
    panicking("panics", "a third of the requests panic, and nothing catches it", false)
        .finds(FAILS, "POST /parse", &["panics"])
        .never(&["in the database", "retry"])
}

fn caught_panics() -> Truth {
    // Below the monitor's layer a caught panic is an answer with 500 and nothing else.
    panicking("caught_panics", "a third of the requests panic, and a layer below the monitor answers 500", true)
        .finds(FAILS, "POST /parse", &["same_error", "panics"])
        .never(&["in the database"])
}

fn same_error() -> Truth {
    Truth::new("same_error", "a setting is missing, and every second request fails with 500")
        .app(async |host: Host| {
            let count = counter();
            let pay = async move || {
                pause(2).await;
                if count().is_multiple_of(2) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
            };
            host.watch(Router::new().route("/pay", on_post(pay)))
        })
        .traffic(async |client| client.visits([post("/pay").users(3)]).await)
        .finds(FAILS, "POST /pay", &["same_error"])
        .never(&["panics", "in the database"])
}

fn mixed_errors() -> Truth {
    Truth::new("mixed_errors", "requests fail with 500, 502, 503 and 504 alike")
        .app(async |host: Host| {
            let count = counter();
            let book = async move || {
                pause(2).await;
                StatusCode::from_u16([200, 500, 200, 502, 200, 503, 200, 504][(count() % 8) as usize]).unwrap()
            };
            host.watch(Router::new().route("/book", on_post(book)))
        })
        .traffic(async |client| client.visits([post("/book").users(3)]).await)
        .finds(FAILS, "POST /book", &["mixed_errors"])
        .never(&["panics", "are the same"])
}

fn refusals() -> Truth {
    Truth::new("refusals", "seven of ten requests are refused with 422 since a client was changed")
        .app(async |host: Host| {
            let count = counter();
            let order = async move || if count() % 10 < 7 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            host.watch(Router::new().route("/orders", on_post(order)))
        })
        .traffic(async |client| client.visits([post("/orders").users(3)]).await)
        .finds(&["high_client_error_rate"], "POST /orders", &["refusals"])
        .never(&["panics", "in the database"])
}
