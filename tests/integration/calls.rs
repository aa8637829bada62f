//! Calls to other services: a tower client and reqwest, against a real server.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Extensions, Request, StatusCode},
    routing::get,
};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use pinchpoint::{HttpClientLayer, HttpClientService, Monitor, ReqwestMiddleware, in_current_request};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use serde_json::Value;
use tokio::{net::TcpListener, time::sleep};
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

use crate::support::{Samples, get as fetch, monitor};

const MS: Duration = Duration::from_millis(1);
const CALLS: &str = "http_client_request_duration_seconds_count";

type HttpClient = HttpClientService<Client<HttpConnector, Empty<Bytes>>>;

/// A body of two pieces with a pause before the second; `broken` ends with an error in its place.
fn two_pieces(broken: bool) -> Body {
    let pieces = futures_util::stream::unfold(0, move |piece| async move {
        if piece == 1 {
            sleep(150 * MS).await;
        }
        let frame = || http_body::Frame::data(Bytes::from_static(b"piece"));
        match piece {
            0 => Some((Ok(frame()), 1)),
            1 if broken => Some((Err(std::io::Error::other("broken")), 2)),
            1 => Some((Ok(frame()), 2)),
            _ => None,
        }
    });
    Body::new(StreamBody::new(Box::pin(pieces)))
}

/// Starts a server, and returns its address.
async fn upstream() -> SocketAddr {
    let tries = Arc::new(AtomicUsize::new(0));
    let third_time = |State(tries): State<Arc<AtomicUsize>>| async move {
        if tries.fetch_add(1, SeqCst) < 2 { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok("at last") }
    };
    let app = Router::new()
        .route("/secret/pieces", get(|| async { two_pieces(false) }))
        .route("/broken", get(|| async { two_pieces(true) }))
        .route("/fails", get(|| async { (StatusCode::BAD_GATEWAY, "no") }))
        .route("/never", get(std::future::pending::<()>))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/third-time", get(third_time))
        .with_state(tries);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn client() -> HttpClient {
    let client = Client::builder(TokioExecutor::new()).build_http();
    ServiceBuilder::new().layer(HttpClientLayer::new()).service(client)
}

fn request(to: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{to}{path}")).body(Empty::new()).expect("a request")
}

async fn call(client: &HttpClient, to: SocketAddr, path: &str) -> Bytes {
    let answer = client.clone().oneshot(request(to, path)).await.expect("it answers");
    answer.into_body().collect().await.expect("a whole body").to_bytes()
}

/// Serves one route that runs `work`, fetches it once, and returns the shares of its time.
async fn served<W, F>(monitor: &Monitor, work: W) -> Value
where
    W: FnOnce() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let routes = Router::new().route("/work", get(work));
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    assert_eq!(fetch(&app, "/work").await.0, 200);
    let (_, body) = fetch(&app, "/performance/endpoints").await;
    let all: Value = serde_json::from_str(&body).expect("JSON");
    all["endpoints"][0].clone()
}

#[tokio::test]
async fn a_call_counts_for_its_request_to_its_last_byte() {
    let (monitor, to, client) = (monitor(), upstream().await, client());
    let work = move || async move {
        assert_eq!(call(&client, to, "/secret/pieces?card=4111").await, "piecepiece");
    };
    let found = served(&monitor, work).await;
    assert!(found["call_time_percent"].as_f64().is_some_and(|percent| percent > 60.0), "{found:#}");
    let samples = Samples::of(&monitor);
    let (address, port) = ("server_address=\"127.0.0.1\"", format!("server_port=\"{}\"", to.port()));
    let labels = [address, &port, "http_request_method=\"GET\"", "http_response_status_code=\"200\""];
    assert_eq!(samples.sum(CALLS, &labels), 1.0, "{samples:?}");
    assert!(samples.sum("http_client_request_duration_seconds_sum", &[]) > 0.15, "not to the head alone");
    assert_eq!(samples.sum(CALLS, &["error_type"]), 0.0);
    let text = monitor.recorder().render();
    assert!(["secret", "card"].iter().all(|hidden| !text.contains(hidden)), "{text}");
}

#[tokio::test]
async fn spawned_calls_count_for_the_request_that_they_are_carried_from() {
    let (monitor, to, client) = (monitor(), upstream().await, client());
    let work = move || async move {
        let spawned: Vec<_> = (0..2)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(in_current_request(async move { call(&client, to, "/secret/pieces").await }))
            })
            .collect();
        for call in spawned {
            call.await.expect("no panic");
        }
    };
    let found = served(&monitor, work).await;
    // Both at once: their time counts once, and there is no more of it than the request has.
    assert!(found["call_time_percent"].as_f64().is_some_and(|percent| (60.0..=100.0).contains(&percent)), "{found:#}");
    assert_eq!(Samples::of(&monitor).sum(CALLS, &[]), 2.0);
}

#[tokio::test]
async fn the_work_between_two_reads_is_not_the_calls() {
    let (monitor, to, client) = (monitor(), upstream().await, client());
    let work = move || async move {
        let answer = client.clone().oneshot(request(to, "/secret/pieces")).await.expect("it answers");
        let mut body = answer.into_body();
        body.frame().await.expect("a piece").expect("no error");
        sleep(400 * MS).await;
    };
    let found = served(&monitor, work).await;
    assert!(found["call_time_percent"].as_f64().is_some_and(|percent| percent < 40.0), "{found:#}");
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum(CALLS, &["error_type=\"cancelled\"", "\"200\""]), 1.0, "dropped half read: {samples:?}");
}

#[tokio::test]
async fn every_end_of_a_call_has_its_error_type() {
    let (monitor, to, client) = (monitor(), upstream().await, client());
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let work = move || async move {
        call(&client, to, "/fails").await;
        call(&client, to, "/nothing").await;
        let unread = client.clone().oneshot(request(to, "/secret/pieces")).await.expect("it answers");
        drop(unread);
        let broken = client.clone().oneshot(request(to, "/broken")).await.expect("it answers");
        broken.into_body().collect().await.expect_err("it breaks off");
        client.clone().oneshot(request(closed, "/")).await.expect_err("nobody listens");
        let never = client.clone().oneshot(request(to, "/never"));
        tokio::time::timeout(50 * MS, never).await.expect_err("it never answers");
        // Not even polled.
        drop(client.clone().call(request(to, "/never")));
    };
    served(&monitor, work).await;
    let samples = Samples::of(&monitor);
    let calls = |labels: &[&str]| samples.sum(CALLS, labels);
    assert_eq!(calls(&["error_type=\"502\"", "http_response_status_code=\"502\""]), 1.0, "{samples:?}");
    assert_eq!(calls(&["http_response_status_code=\"204\""]), 1.0, "no body to wait for");
    assert_eq!(calls(&["error_type=\"error\"", "http_response_status_code=\"200\""]), 1.0, "the body broke off");
    assert_eq!(calls(&["error_type=\"error\""]), 2.0, "and a refused connection");
    assert_eq!(calls(&["error_type=\"cancelled\""]), 2.0);
    assert_eq!(calls(&[]), 7.0, "one was dropped unread, which is no failure");
}

#[tokio::test]
async fn calls_without_a_request_and_without_a_monitor_pass() {
    assert_eq!(call(&client(), upstream().await, "/secret/pieces").await, "piecepiece");
}

/// Tries three times.
struct Retry;

#[async_trait::async_trait]
impl Middleware for Retry {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        for _ in 0..2 {
            let copy = request.try_clone().expect("it has no body");
            let answer = next.clone().run(copy, extensions).await?;
            if !answer.status().is_server_error() {
                return Ok(answer);
            }
        }
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn each_try_of_a_reqwest_client_is_a_call() {
    let (monitor, to) = (monitor(), upstream().await);
    let client = ClientBuilder::new(reqwest::Client::new()).with(Retry).with(ReqwestMiddleware::new()).build();
    let work = move || async move {
        let answer = client.get(format!("http://{to}/third-time")).send().await.expect("it answers");
        assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/third-time"));
        assert_eq!(answer.content_length(), Some(7));
        assert_eq!(answer.text().await.expect("a body"), "at last");
        let pieces = client.get(format!("http://{to}/secret/pieces")).send().await.expect("it answers");
        assert_eq!(pieces.text().await.expect("a body"), "piecepiece");
        let broken = client.get(format!("http://{to}/broken")).send().await.expect("it answers");
        assert!(broken.text().await.expect_err("it breaks off").is_decode());
    };
    let found = served(&monitor, work).await;
    assert!(found["call_time_percent"].as_f64().is_some_and(|percent| percent > 60.0), "{found:#}");
    let samples = Samples::of(&monitor);
    let port = format!("server_port=\"{}\"", to.port());
    assert_eq!(samples.sum(CALLS, &[&port, "error_type=\"503\""]), 2.0, "{samples:?}");
    assert_eq!(samples.sum(CALLS, &[&port, "http_response_status_code=\"200\""]), 3.0, "{samples:?}");
    assert_eq!(samples.sum(CALLS, &["error_type=\"error\""]), 1.0, "{samples:?}");
}
