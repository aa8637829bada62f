//! Clients that are slow, leave early, or are cut off; and answers that the service itself produces slowly.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::StatusCode,
    routing::{get as on_get, post as on_post},
};
use futures_util::{StreamExt as _, stream};
use tower_http::timeout::TimeoutLayer;

use crate::{
    client::{Client, get, post},
    service::{Host, pause, query},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint", "slow_tail"];
const LEFT: &[&str] = &["abandoned_requests"];
/// Advice for a service that is slow itself.
const SERVER: &[&str] =
    &["pools", "locks and", "not tracked", "it computes", "in the database", "add an index", "profile the endpoint"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![
        slow_upload(),
        slow_reader(),
        slow_producer(),
        lying_length(),
        own_timeout(),
        impatient_clients(),
        changed_mind(),
        work_for_nobody(),
        few_leave(),
    ]
}

fn slow_upload() -> Truth {
    Truth::new("slow_upload", "six uploads trickle in for 3 s each; the service takes a millisecond")
        .app(async |host: Host| {
            let upload = async |body: Bytes| body.len().to_string();
            host.watch(Router::new().route("/upload", on_post(upload)))
        })
        .traffic(async |client: Client| client.repeat(6, || client.upload_slowly("/upload", 40, 75)).await)
        .may_find(SLOW, "POST /upload", &["slow_upload"])
        .never(SERVER)
        .short()
}

/// Returns an answer of `number` pieces of 64 KiB, with `millis` before each.
fn pieces(number: u64, millis: u64) -> Body {
    let pieces = stream::iter(0..number).then(move |_| async move {
        if millis > 0 {
            pause(millis).await;
        }
        Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65_536]))
    });
    Body::from_stream(pieces)
}

fn slow_reader() -> Truth {
    Truth::new("slow_reader", "a download of 5 MB is ready at once, and its clients read it in 4 s")
        .app(async |host: Host| {
            let export = async || pieces(80, 0);
            host.watch(Router::new().route("/export", on_get(export)))
        })
        .traffic(async |client: Client| client.repeat(6, || client.read_slowly("/export", 131_072, 20)).await)
        .may_find(SLOW, "GET /export", &["slow_reader"])
        .never(SERVER)
        .lasts(14)
}

fn slow_producer() -> Truth {
    Truth::new("slow_producer", "an export is produced in 15 pieces, 140 ms each, while its clients wait")
        .app(async |host: Host| {
            let export = async || pieces(15, 140);
            host.watch(Router::new().route("/export", on_get(export)))
        })
        .traffic(async |client| client.visits([get("/export").users(4)]).await)
        .finds(SLOW, "GET /export", &["slow_producer"])
        .never(&["client reads slowly", "clients read slowly", "it computes", "in the database"])
}

fn lying_length() -> Truth {
    Truth::new("lying_length", "requests announce nine quintillion bytes, send one, and go")
        .app(async |host: Host| {
            let read = async |body: Body| {
                let _ = axum::body::to_bytes(body, 1_000_000).await;
                "read"
            };
            host.watch(Router::new().route("/read", on_post(read)).route("/ok", on_get(async || "ok")))
        })
        .traffic(async |client: Client| {
            let lie = async |head: &str| {
                let Some(mut stream) = client.open(head).await else { return };
                let lie = b"Content-Length: 9000000000000000000\r\n\r\nx";
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, lie).await;
                pause(300).await;
            };
            let lies = client.repeat(1, || async {
                lie("POST /read HTTP/1.1").await;
                lie("GET /ok HTTP/1.1").await;
            });
            tokio::join!(lies, client.visits([get("/ok").users(2)]));
        })
        .never(&["pool", "EB", "exabyte"])
}

fn own_timeout() -> Truth {
    Truth::new("own_timeout", "the service's own timeout of 700 ms cuts off an endpoint that takes 2 s")
        .app(async |host: Host| {
            let report = async || {
                pause(2_000).await;
                "report"
            };
            let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(700));
            host.watch(Router::new().route("/report", on_get(report))).layer(timeout)
        })
        .traffic(async |client| client.visits([get("/report").users(6)]).await)
        .finds(LEFT, "GET /report", &["own_timeout"])
        .never(&["clients of endpoint get /report give up"])
        .also("wasted_work", "GET /report")
        .short()
}

fn impatient_clients() -> Truth {
    Truth::new(
        "impatient_clients",
        "an answer takes 1.2 to 3.6 s, and its clients wait 1.4 to 2.8 s, each its own time",
    )
    .app(async |host: Host| {
        let slow = async |Path(n): Path<u64>| {
            pause(1_200 + n * 937 % 2_400).await;
            "answer"
        };
        host.watch(Router::new().route("/slow/{n}", on_get(slow)))
    })
    .traffic(async |client| {
        let [a, b, c, d] = [1_400, 1_750, 2_200, 2_800].map(|patience| get("/slow/{n}").users(3).patience(patience));
        client.visits([a, b, c, d]).await;
    })
    .finds(LEFT, "GET /slow/{n}", &["impatient_clients"])
    .also("*", "GET /slow/{n}")
    .never(&["change their mind", "timeout of the service", "nothing is slow", "debounce"])
    .lasts(14)
}

fn changed_mind() -> Truth {
    Truth::new("changed_mind", "suggestions take 120 ms, and whoever types on drops a request after 10 to 70 ms")
        .app(async |host: Host| {
            let suggest = async || {
                pause(120).await;
                "suggestions"
            };
            host.watch(Router::new().route("/suggest", on_get(suggest)))
        })
        .traffic(async |client| {
            let [a, b, c] = [12, 35, 70].map(|patience| get("/suggest").users(2).patience(patience).pause(120));
            client.visits([a, b, c, get("/suggest").users(3)]).await;
        })
        .finds(LEFT, "GET /suggest", &["changed_mind"])
        .never(&["timeouts longer", "make the endpoint faster", "answer sooner", "timeout of the service"])
}

fn work_for_nobody() -> Truth {
    Truth::new("work_for_nobody", "clients leave after 1 s, while the service still works for them in the database")
        .app(async |host: Host| {
            let report = async || {
                let work = async {
                    for _ in 0..20 {
                        query("SELECT SUM(total) FROM ledger WHERE month = $1", 90).await;
                    }
                };
                // Goes on without its client, as work on a thread of its own does.
                tokio::spawn(pinchpoint::in_current_request(work)).await.unwrap();
                "report"
            };
            host.watch(Router::new().route("/report", on_get(report)))
        })
        .traffic(async |client| {
            client.visits([get("/report").users(5).patience(900), get("/report").patience(1_200)]).await;
        })
        .finds(&["wasted_work"], "GET /report", &["work_for_nobody"])
        .also("*", "ledger")
}

fn few_leave() -> Truth {
    Truth::new("few_leave", "one visitor of many closes the page before the answer")
        .app(async |host: Host| {
            let page = async || {
                pause(60).await;
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)).route("/post", on_post(async || "posted")))
        })
        .traffic(async |client| {
            client
                .visits([get("/page").patience(20).pause(900), get("/page").users(6), post("/post").body(2_000)])
                .await;
        })
}
