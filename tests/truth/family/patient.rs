//! Healthy services whose requests take long by design: long polls, streams, big downloads, WebSockets, mapped files.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{State, WebSocketUpgrade, ws::WebSocket},
    http::StatusCode,
    response::{Sse, sse::Event},
    routing::get as on_get,
};
use futures_util::{Stream, StreamExt as _, stream};
use sqlx::SqlitePool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    client::{Client, get},
    service::{Host, pause},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint", "slow_tail"];
/// What is said of a service that is slow itself.
const SERVER: &[&str] =
    &["pools", "locks and", "it computes", "in the database", "add an index", "profile the endpoint"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![long_poll(), server_sent_events(), big_download(), live_stream(), web_socket(), mapped_file()]
}

fn long_poll() -> Truth {
    Truth::new("long_poll", "clients ask for news and wait up to 3 s for some, as they are meant to")
        .app(async |host: Host| {
            let news = async || {
                pause(3_000).await;
                StatusCode::NO_CONTENT
            };
            host.watch(Router::new().route("/news", on_get(news)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([get("/news").users(8).pause(10), get("/home").users(2)]).await)
        .never(SERVER)
        .lasts(14)
}

fn ticks() -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(0_u64, |n| async move {
        // Ends at some time, as proxies and deploys end streams.
        (n < 12).then_some(())?;
        pause(250).await;
        Some((Ok(Event::default().data(n.to_string())), n + 1))
    })
}

fn server_sent_events() -> Truth {
    Truth::new("server_sent_events", "browsers listen to server-sent events for 3 s each")
        .app(async |host: Host| {
            let events = async || Sse::new(ticks());
            host.watch(Router::new().route("/events", on_get(events)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([get("/events").users(5).pause(30), get("/home").users(2)]).await)
        .never(SERVER)
        .short()
}

fn big_download() -> Truth {
    Truth::new("big_download", "a download of 20 MB goes out as fast as its clients read it")
        .app(async |host: Host| {
            let file = async || {
                let pieces = stream::iter(0..320).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65_536])));
                Body::from_stream(pieces)
            };
            host.watch(Router::new().route("/film", on_get(file)))
        })
        .traffic(async |client: Client| client.repeat(3, || client.read_slowly("/film", 524_288, 2)).await)
        .may_find(SLOW, "GET /film", &["slow_reader"])
        .never(SERVER)
        .lasts(14)
}

fn live_stream() -> Truth {
    Truth::new("live_stream", "a log is streamed line by line as it is written, until its reader leaves after 4 s")
        .app(async |host: Host| {
            let log = async || {
                let lines = stream::unfold((), |()| async {
                    pause(100).await;
                    Some((Ok::<_, Infallible>("a line of the log\n"), ()))
                });
                ([("content-type", "application/x-ndjson")], Body::from_stream(lines))
            };
            host.watch(Router::new().route("/log", on_get(log)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client| client.visits([get("/log").users(3).patience(4_000), get("/home").users(2)]).await)
        .never(SERVER)
        .lasts(14)
}

fn web_socket() -> Truth {
    Truth::new("web_socket", "browsers chat over WebSockets that stay open")
        .app(async |host: Host| {
            let talk = async |mut socket: WebSocket| while let Some(Ok(_)) = socket.recv().await {};
            let chat = async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(pinchpoint::upgraded(talk));
            host.watch(Router::new().route("/chat", on_get(chat)).route("/home", on_get(async || "home")))
        })
        .traffic(async |client: Client| {
            let open = client.repeat(4, || async {
                let address = client.address();
                let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return };
                let head = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = tokio::time::timeout(Duration::from_secs(4), stream.read(&mut [0; 512])).await;
                pause(4_000).await;
            });
            tokio::join!(open, client.visits([get("/home").users(2)]));
        })
        .never(SERVER)
}

fn mapped_file() -> Truth {
    Truth::new("mapped_file", "SQLite maps its file of 700 MB and reads it again and again: pages, not memory of its own")
        .app(async |host: Host| {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(host.folder().join("big.db"))
                .create_if_missing(true)
                .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
                .pragma("mmap_size", "2000000000");
            let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
            sqlx::query("CREATE TABLE big (id INTEGER PRIMARY KEY, data BLOB)").execute(&pool).await.unwrap();
            let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) \
                INSERT INTO big (data) SELECT zeroblob(1000000) FROM n";
            sqlx::query(rows).execute(&pool).await.unwrap();
            let part = async |State(pool): State<SqlitePool>| {
                let sql = "SELECT SUM(length(data) + unicode(substr(data, 999999, 1))) FROM big WHERE id = abs(random()) % 700 + 1";
                sqlx::query(sql).execute(&pool).await.unwrap();
                "read"
            };
            host.watch(Router::new().route("/part", on_get(part))).with_state(pool)
        })
        .traffic(async |client| client.visits([get("/part").pause(3)]).await)
        .never(&["leak", "holds 5", "holds 6", "holds 7"])
        .lasts(16)
        .alone()
}
