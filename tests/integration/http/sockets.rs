//! Requests on real connections: hyper on one side, a client that may disconnect on the other.

use axum::response::IntoResponse as _;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_LENGTH};
use tokio::net::TcpStream;

use super::*;

/// A trailer.
static CHECKSUM: HeaderName = HeaderName::from_static("checksum");

/// Serves `app` on a port of its own.
pub(super) async fn serve(app: Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Connects and sends the head of a request: its request line, and header lines that each end in a line break.
async fn send_head(app: Router, line: &str, headers: &str) -> TcpStream {
    let mut socket = TcpStream::connect(serve(app).await).await.expect("connects");
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).await.expect("writes");
    socket
}

/// Sends a request and reads all that comes back until the server closes the connection.
async fn answer(app: Router, line: &str, headers: &str) -> String {
    let mut socket = send_head(app, line, &format!("Connection: close\r\n{headers}")).await;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// Waits until the one request has been recorded and returns the samples.
async fn ended(monitor: &Monitor) -> Samples {
    eventually("counted", || Samples::of(monitor).requests(&[]) == 1.0).await;
    let samples = Samples::of(monitor);
    assert_eq!(samples.active(), 0.0);
    samples
}

/// hyper takes the length from the header, and drops the body after its last byte without polling it to its end.
#[tokio::test]
async fn a_body_sized_only_by_its_header_is_complete_with_its_last_byte() {
    let monitor = monitor();
    let handler = || async { ([(CONTENT_LENGTH, "16")], dripping(4, MS)) };
    let app = Router::new().route("/file", get(handler)).layer(monitor.layer());
    assert!(answer(app, "GET /file", "").await.ends_with("\r\n\r\ndropdropdropdrop"));
    let samples = ended(&monitor).await;
    assert_eq!(samples.requests(&["http_response_status_code=\"200\""]), 1.0);
    assert_eq!(samples.requests(&["error_type"]), 0.0, "{samples:?}");
    assert_eq!(samples.sum("http_server_response_body_size_bytes_sum", &["/file"]), 16.0);
    assert_eq!(samples.sum("pinchpoint_response_head_seconds_count", &["/file"]), 1.0, "it is streamed");
}

#[tokio::test]
async fn a_body_that_falls_short_of_its_header_is_cancelled_by_a_client_that_leaves() {
    let monitor = monitor();
    let handler = || async { ([(CONTENT_LENGTH, "40000")], dripping(10_000, MS)) };
    let app = Router::new().route("/file", get(handler)).layer(monitor.layer());
    let mut socket = send_head(app, "GET /file", "").await;
    socket.read_exact(&mut [0; 128]).await.expect("some of the answer");
    drop(socket);
    assert_eq!(ended(&monitor).await.requests(&["error_type=\"cancelled\""]), 1.0);
}

/// hyper sends no body with these statuses, even where the service returned one.
#[tokio::test]
async fn a_status_without_content_ends_at_its_head() {
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        for whole in [true, false] {
            let monitor = monitor();
            let body = move || if whole { Body::from("never sent") } else { dripping(4, MS) };
            let app = Router::new().route("/", get(move || async move { (status, body()) })).layer(monitor.layer());
            assert!(answer(app, "GET /", "").await.ends_with("\r\n\r\n"));
            let samples = ended(&monitor).await;
            assert_eq!(samples.requests(&[&format!("http_response_status_code=\"{}\"", status.as_u16())]), 1.0);
            assert_eq!(samples.requests(&["error_type"]), 0.0, "{status}");
            assert_eq!(samples.sum("http_server_response_body_size_bytes_sum", &[]), 0.0);
            assert_eq!(samples.response_sizes(&[]), 1.0, "the size is known: 0");
            assert_eq!(samples.sum("pinchpoint_response_head_seconds_count", &[]), 0.0);
        }
    }
}

#[tokio::test]
async fn a_body_ends_with_its_trailers() {
    for accepted in ["TE: trailers\r\n", ""] {
        let monitor = monitor();
        let handler = || async {
            let trailers = HeaderMap::from_iter([(CHECKSUM.clone(), HeaderValue::from_static("17"))]);
            let body = async_stream(2, MS).with_trailers(async { Some(Ok(trailers)) });
            ([("trailer", CHECKSUM.as_str())], Body::new(body)).into_response()
        };
        let app = Router::new().route("/", get(handler)).layer(monitor.layer());
        let answer = answer(app, "GET /", accepted).await;
        assert_eq!(answer.contains("checksum: 17"), !accepted.is_empty(), "{answer}");
        let samples = ended(&monitor).await;
        assert_eq!(samples.requests(&["200"]), 1.0);
        assert_eq!(samples.requests(&["error_type"]), 0.0, "{accepted}");
    }
}

/// A client that announces nine exabytes and sends a byte, to a handler that reads the body and to one that does not.
#[tokio::test]
async fn a_lying_content_length_spoils_no_sum() {
    for (line, received) in [("POST /read", 1.0), ("GET /ok", 0.0), ("POST /ok", 0.0)] {
        let monitor = monitor();
        let app = Router::new()
            .route("/read", post(|body: Body| async move { drop(body.collect().await) }))
            .route("/ok", any(|| async { "ok" }))
            .layer(monitor.layer());
        let mut socket = send_head(app, line, "Content-Length: 9000000000000000000\r\n").await;
        socket.write_all(b"x").await.expect("writes");
        if received > 0.0 {
            // Until the byte was read, or the server would see the client leave first.
            tokio::time::sleep(200 * MS).await;
        }
        drop(socket);
        let samples = ended(&monitor).await;
        assert_eq!(samples.sum("http_server_request_body_size_bytes_sum", &[]), received, "{line}");
    }
}

#[tokio::test]
async fn an_upload_counts_with_the_bytes_received_however_it_is_framed() {
    for (headers, body) in
        [("Content-Length: 5\r\n", "hello"), ("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")]
    {
        let monitor = monitor();
        let app = Router::new().route("/", post(|body: Bytes| async move { body })).layer(monitor.layer());
        let mut socket = send_head(app, "POST /", &format!("Connection: close\r\n{headers}")).await;
        socket.write_all(body.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.ends_with("hello"), "{answer}");
        let samples = ended(&monitor).await;
        assert_eq!(samples.sum("http_server_request_body_size_bytes_sum", &[]), 5.0, "{headers}");
    }
}

#[tokio::test]
async fn a_head_request_on_a_connection_ends_at_its_head() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "a body that is never sent" })).layer(monitor.layer());
    let answer = answer(app, "HEAD /", "").await;
    assert!(answer.contains("content-length: 25\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let samples = ended(&monitor).await;
    assert_eq!(samples.requests(&["HEAD", "http_response_status_code=\"200\""]), 1.0);
    assert_eq!(samples.requests(&["error_type"]), 0.0);
}

/// Sockets run on the real clock: a sleep is never too short but may be too long.
#[tokio::test]
async fn a_stream_of_half_a_second_takes_half_a_second() {
    let monitor = monitor();
    let handler = || async {
        tokio::time::sleep(100 * MS).await;
        dripping(3, 100 * MS)
    };
    let app = Router::new().route("/stream", get(handler)).layer(monitor.layer());
    let began = std::time::Instant::now();
    answer(app, "GET /stream", "").await;
    let samples = ended(&monitor).await;
    let whole = began.elapsed().as_secs_f64();
    let duration = samples.sum("http_server_request_duration_seconds_sum", &["/stream"]);
    let head = samples.sum("pinchpoint_response_head_seconds_sum", &["/stream"]);
    assert!((0.5..=whole).contains(&duration), "three parts and the end after the head: {duration} of {whole}");
    assert!((0.1..=duration - 0.4).contains(&head), "{head} of {duration}");
}

#[tokio::test]
async fn upgrades_end_at_their_head() {
    let monitor = monitor();
    let handler = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_| std::future::pending()) };
    let app = Router::new().route("/ws", get(handler)).layer(monitor.layer());
    let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let mut socket = send_head(app, "GET /ws", headers).await;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    let samples = Samples::of(&monitor);
    assert_eq!((samples.requests(&["101"]), samples.active()), (1.0, 0.0));
    assert_eq!(samples.response_sizes(&[]), 0.0, "bytes after the upgrade are not counted");
}

#[tokio::test]
async fn an_upgraded_connection_is_open_until_its_handler_ends_and_its_queries_count_for_the_route() {
    let monitor = monitor();
    let query = async || {
        let row = async { Ok::<_, std::io::Error>(()) };
        track_db_query("SELECT * FROM messages", row).await.expect("it never fails");
    };
    let handler = move |upgrade: WebSocketUpgrade| async move {
        query().await;
        upgrade.on_upgrade(pinchpoint::upgraded(move |mut socket: axum::extract::ws::WebSocket| async move {
            while let Some(Ok(_)) = socket.recv().await {
                query().await;
            }
        }))
    };
    let app = Router::new().route("/ws", get(handler)).layer(monitor.layer());
    let app = app.merge(monitor.router());
    let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let open = |monitor: &Monitor| Samples::of(monitor).sum("pinchpoint_open_streams", &["/ws"]);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = send_head(app.clone(), "GET /ws", headers).await;
        socket.read_exact(&mut [0; 12]).await.expect("an answer");
        sockets.push(socket);
    }
    eventually("three are open", || open(&monitor) == 3.0).await;
    // A masked text frame with one letter.
    sockets[0].write_all(&[0x81, 0x81, 0, 0, 0, 0, b'a']).await.expect("sent");
    let queries =
        |monitor: &Monitor| Samples::of(monitor).of_statements("pinchpoint_queries_total", "messages", &["ok"]);
    eventually("its query is counted", || queries(&monitor) == 4.0).await;
    let (_, detail) = fetch(&app, "/performance/endpoints/GET%20%2Fws").await;
    let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
    assert_eq!(detail["endpoints"][0]["queries"][0]["calls"], 4, "{detail}");
    drop(sockets.remove(1));
    eventually("two are open", || open(&monitor) == 2.0).await;
    drop(sockets);
    eventually("none is open", || open(&monitor) == 0.0).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_count", &["/ws"]), 3.0);
    assert_eq!(samples.active(), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_cancels_without_a_status() {
    let monitor = monitor();
    let app = Router::new().route("/slow", get(std::future::pending::<()>)).layer(monitor.layer());
    let socket = send_head(app, "GET /slow", "").await;
    eventually("in flight", || Samples::of(&monitor).active() == 1.0).await;
    drop(socket);
    eventually("cancelled", || Samples::of(&monitor).requests(&["error_type=\"cancelled\""]) == 1.0).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.requests(&["http_response_status_code"]), 0.0);
    assert_eq!(samples.active(), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_during_the_body_cancels_with_the_status_it_got() {
    let monitor = monitor();
    let app =
        Router::new().route("/stream", get(|| async { Response::new(dripping(10_000, MS)) })).layer(monitor.layer());
    let mut socket = send_head(app, "GET /stream", "").await;
    let mut head = [0; 64];
    socket.read_exact(&mut head).await.expect("some of the answer");
    drop(socket);
    let labels = ["error_type=\"cancelled\"", "http_response_status_code=\"200\""];
    eventually("cancelled", || Samples::of(&monitor).requests(&labels) == 1.0).await;
    assert_eq!(Samples::of(&monitor).active(), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_after_the_body_was_served() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "whole" })).layer(monitor.layer());
    let mut socket = send_head(app, "GET /", "").await;
    let mut answer = [0; 16];
    socket.read_exact(&mut answer).await.expect("an answer");
    drop(socket);
    eventually("counted", || Samples::of(&monitor).requests(&["200"]) == 1.0).await;
    assert_eq!(Samples::of(&monitor).requests(&["cancelled"]), 0.0);
}
