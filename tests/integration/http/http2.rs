//! HTTP/2: streams that share a connection, and clients that reset one of them at any stage. In plain text with prior
//! knowledge (h2c) and over TLS.

use std::sync::Arc;

use h2::{Reason, client::SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::*;
use crate::support::tls::{AUTHORITY, provider, serve_tls};

type Sender = SendRequest<Bytes>;

async fn handshake(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Sender {
    let (sender, connection) = h2::client::handshake(io).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    sender
}

/// Serves in plain text and connects with prior knowledge.
async fn plain(app: Router) -> Sender {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    handshake(TcpStream::connect(address).await.expect("it listens")).await
}

/// Serves over TLS and agrees on HTTP/2 while the connection is made.
async fn encrypted(app: Router) -> Sender {
    let address = serve_tls(app, &[b"h2"]).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY).expect("a certificate")).expect("an authority");
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("it trusts the server");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    handshake(stream).await
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://localhost{path}")).body(()).expect("a request")
}

/// A service whose handlers wait until `gate` lets them go.
fn service(monitor: &Monitor, gate: &Arc<Semaphore>) -> Router {
    let wait = gate.clone();
    let wait = move || {
        let gate = wait.clone();
        async move {
            gate.acquire().await.expect("open").forget();
            "done"
        }
    };
    Router::new()
        .route("/wait", get(wait))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/stream", get(|| async { dripping(1_000_000, MS) }))
        .route(
            "/trailers",
            get(|| async {
                let trailers =
                    HeaderMap::from_iter([(HeaderName::from_static("checksum"), HeaderValue::from_static("17"))]);
                Body::new(async_stream(2, MS).with_trailers(async { Some(Ok(trailers)) }))
            }),
        )
        .layer(monitor.layer())
}

async fn each_transport(check: impl AsyncFn(Monitor, Arc<Semaphore>, Sender)) {
    for over_tls in [false, true] {
        let (monitor, gate) = (monitor(), Arc::new(Semaphore::new(0)));
        let app = service(&monitor, &gate);
        let sender = if over_tls { encrypted(app).await } else { plain(app).await };
        check(monitor, gate, sender).await;
    }
}

/// Waits until a number of requests is in flight.
async fn in_flight(monitor: &Monitor, expected: f64) {
    eventually(&format!("{expected} in flight"), || Samples::of(monitor).active() == expected).await;
}

/// Waits until a number of requests has been recorded, and returns the samples; none is in flight then.
async fn recorded(monitor: &Monitor, expected: f64) -> Samples {
    eventually(&format!("{expected} recorded"), || Samples::of(monitor).requests(&[]) == expected).await;
    let samples = Samples::of(monitor);
    assert_eq!(samples.active(), 0.0);
    samples
}

async fn all_of(body: h2::RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut body = body;
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.expect("a whole body");
        body.flow_control().release_capacity(part.len()).expect("received");
        bytes.extend_from_slice(&part);
    }
    (bytes, body.trailers().await.expect("no error"))
}

#[tokio::test]
async fn streams_that_share_a_connection_count_each_with_its_own_duration() {
    each_transport(async |monitor, gate, sender| {
        let mut sender = sender.ready().await.expect("open");
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(sender.send_request(request("GET", "/wait"), true).expect("sent").0);
            sender = sender.ready().await.expect("open");
        }
        in_flight(&monitor, 20.0).await;
        tokio::time::sleep(100 * MS).await;
        gate.add_permits(5);
        in_flight(&monitor, 15.0).await;
        tokio::time::sleep(100 * MS).await;
        gate.add_permits(15);
        for answer in answers {
            assert_eq!(all_of(answer.await.expect("an answer").into_body()).await.0, b"done");
        }
        let samples = recorded(&monitor, 20.0).await;
        assert_eq!(samples.requests(&["/wait", "200"]), 20.0);
        assert_eq!(samples.requests(&["error_type"]), 0.0);
        let seconds = samples.sum("http_server_request_duration_seconds_sum", &["/wait"]);
        // The first five waited for 0.1 s, the others for 0.2 s: a sleep is never too short.
        assert!((5.0 * 0.1 + 15.0 * 0.2..20.0 * 20.0).contains(&seconds), "{seconds} s");
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_reset_before_its_answer_is_cancelled() {
    each_transport(async |monitor, gate, sender| {
        let mut sender = sender.ready().await.expect("open");
        let (_answer, mut stream) = sender.send_request(request("GET", "/wait"), true).expect("sent");
        let mut sender = sender.ready().await.expect("open");
        let (other, _) = sender.send_request(request("GET", "/wait"), true).expect("sent");
        in_flight(&monitor, 2.0).await;
        stream.send_reset(Reason::CANCEL);
        in_flight(&monitor, 1.0).await;
        gate.add_permits(1);
        assert_eq!(other.await.expect("the other stream goes on").status(), 200);
        let samples = recorded(&monitor, 2.0).await;
        assert_eq!(samples.requests(&["/wait", "error_type=\"cancelled\""]), 1.0);
        assert_eq!(samples.requests(&["/wait", "http_response_status_code=\"200\""]), 1.0);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_reset_during_its_upload_is_cancelled_with_the_bytes_received() {
    each_transport(async |monitor, _, sender| {
        let mut sender = sender.ready().await.expect("open");
        let (_answer, mut stream) = sender.send_request(request("POST", "/upload"), false).expect("sent");
        stream.send_data(Bytes::from_static(b"half"), false).expect("sent");
        in_flight(&monitor, 1.0).await;
        // Until the handler has read it: frames of a stream that was reset are dropped.
        tokio::time::sleep(200 * MS).await;
        stream.send_reset(Reason::CANCEL);
        let samples = recorded(&monitor, 1.0).await;
        assert_eq!(samples.sum("http_server_request_body_size_bytes_sum", &["/upload"]), 4.0);
        // The handler's own answer to a body that broke, or none: which one comes first is not decided.
        let (answered, cancelled) = (samples.requests(&["400"]), samples.requests(&["error_type=\"cancelled\""]));
        assert!(answered + cancelled >= 1.0, "{samples:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_reset_during_its_answer_is_cancelled_with_the_bytes_sent() {
    each_transport(async |monitor, _, sender| {
        let mut sender = sender.ready().await.expect("open");
        let (answer, mut stream) = sender.send_request(request("GET", "/stream"), true).expect("sent");
        let mut body = answer.await.expect("an answer").into_body();
        let part = body.data().await.expect("a part").expect("no error");
        assert!(part.starts_with(b"drop"));
        in_flight(&monitor, 1.0).await;
        stream.send_reset(Reason::CANCEL);
        let samples = recorded(&monitor, 1.0).await;
        assert_eq!(samples.requests(&["/stream", "200", "error_type=\"cancelled\""]), 1.0);
        assert!(samples.sum("http_server_response_body_size_bytes_sum", &["/stream"]) >= 4.0);
        drop(body);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_reset_at_once_or_at_its_end_leaves_nothing_in_flight() {
    each_transport(async |monitor, gate, sender| {
        let mut sender = sender.ready().await.expect("open");
        // Fewer than the server takes for an attack ("rapid reset").
        for _ in 0..10 {
            let (_, mut stream) = sender.send_request(request("GET", "/wait"), true).expect("sent");
            stream.send_reset(Reason::CANCEL);
            sender = sender.ready().await.expect("open");
        }
        gate.add_permits(1_000);
        let (answer, mut stream) = sender.send_request(request("GET", "/wait"), true).expect("sent");
        assert_eq!(all_of(answer.await.expect("an answer").into_body()).await.0, b"done");
        stream.send_reset(Reason::CANCEL);
        eventually("the last one is recorded", || Samples::of(&monitor).requests(&["200"]) >= 1.0).await;
        in_flight(&monitor, 0.0).await;
        let samples = Samples::of(&monitor);
        // A stream may be reset before the server has read its head: then there was no request.
        let (all, cancelled) = (samples.requests(&[]), samples.requests(&["error_type=\"cancelled\""]));
        assert!(all <= 11.0 && all - cancelled >= 1.0, "{all} requests, {cancelled} cancelled");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_cancels_all_its_streams() {
    let (monitor, gate) = (monitor(), Arc::new(Semaphore::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let app = service(&monitor, &gate);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (sender, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    let connection = tokio::spawn(connection);
    let mut sender: Sender = sender.ready().await.expect("open");
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(sender.send_request(request("GET", "/wait"), true).expect("sent").0);
        sender = sender.ready().await.expect("open");
    }
    in_flight(&monitor, 10.0).await;
    connection.abort();
    let samples = recorded(&monitor, 10.0).await;
    assert_eq!(samples.requests(&["error_type=\"cancelled\""]), 10.0);
}

#[tokio::test]
async fn trailers_end_an_answer_whole() {
    each_transport(async |monitor, _, sender| {
        let mut sender = sender.ready().await.expect("open");
        let (answer, _) = sender.send_request(request("GET", "/trailers"), true).expect("sent");
        let (bytes, trailers) = all_of(answer.await.expect("an answer").into_body()).await;
        assert_eq!((&*bytes, trailers.expect("trailers")["checksum"].as_bytes()), (&b"dropdrop"[..], &b"17"[..]));
        let samples = recorded(&monitor, 1.0).await;
        assert_eq!((samples.requests(&["200"]), samples.requests(&["error_type"])), (1.0, 0.0));
        assert_eq!(samples.sum("http_server_response_body_size_bytes_sum", &[]), 8.0);
    })
    .await;
}
