//! Every request is observed once, however it ends.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    error_handling::HandleErrorLayer,
    extract::ws::WebSocketUpgrade,
    response::{Response, Sse, sse::Event},
    routing::{any, get, post},
};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use pinchpoint::{Monitor, RouteTemplate, in_current_request, track_async_task, track_db_query};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{BoxError, Layer as _, ServiceBuilder, ServiceExt as _, service_fn, timeout::TimeoutLayer};
use tower_http::catch_panic::CatchPanicLayer;

use crate::support::{Samples, built, get as fetch, monitor, send};

mod dropped;
mod http2;
mod layers;
mod names;
mod own;
mod sockets;
mod websockets;

const MS: Duration = Duration::from_millis(1);

/// Polls `f` until it holds. Sockets have no paused clock, so tests wait for a state and not for a time.
async fn eventually(what: &str, f: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if f() {
            return;
        }
        tokio::time::sleep(5 * MS).await;
    }
    panic!("never came true: {what}");
}

/// A body that yields `parts` parts, a pause before each.
fn dripping(parts: usize, pause: Duration) -> Body {
    let stream = async_stream(parts, pause);
    Body::new(stream)
}

fn async_stream(parts: usize, pause: Duration) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    let parts = std::iter::repeat_n(Bytes::from_static(b"drop"), parts);
    Dripping { parts, pause, waiting: None }
}

struct Dripping<I> {
    parts: I,
    pause: Duration,
    waiting: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl<I: Iterator<Item = Bytes> + Unpin> http_body::Body for Dripping<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let pause = self.pause;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        std::task::ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        std::task::Poll::Ready(self.parts.next().map(|part| Ok(http_body::Frame::data(part))))
    }
}

#[tokio::test]
async fn a_request_is_counted_under_its_template_method_and_status() {
    let monitor = monitor();
    let app = Router::new().route("/users/{id}", get(|| async { "user" })).layer(monitor.layer());
    for id in 0..3 {
        assert_eq!(fetch(&app, &format!("/users/{id}")).await, (200, "user".into()));
    }
    let samples = Samples::of(&monitor);
    let labels = ["http_route=\"/users/{id}\"", "http_request_method=\"GET\"", "http_response_status_code=\"200\""];
    assert_eq!(samples.requests(&labels), 3.0);
    assert_eq!(samples.requests(&[]), 3.0);
    assert_eq!(samples.sum("http_server_response_body_size_bytes_sum", &labels[..2]), 12.0);
    assert_eq!(samples.active(), 0.0);
}

#[tokio::test]
async fn sizes_are_those_of_the_bytes_received_and_sent() {
    let monitor = monitor();
    let app = Router::new()
        .route(
            "/",
            post(|body: Bytes| async move { if body.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK } }),
        )
        .layer(monitor.layer());
    for body in [Body::from("known"), dripping(2, Duration::ZERO), Body::empty()] {
        let request = Request::post("/").body(body).expect("a request");
        app.clone().oneshot(request).await.expect("a router never fails");
    }
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("http_server_request_body_size_bytes_count", &[]), 2.0, "a missing body has no size");
    assert_eq!(samples.sum("http_server_request_body_size_bytes_sum", &[]), 5.0 + 8.0, "`known` and two drops");
    assert_eq!((samples.requests(&[]), samples.response_sizes(&[])), (3.0, 3.0), "an empty body has the size 0");
}

#[tokio::test]
async fn nested_and_merged_routes_keep_their_whole_template() {
    let monitor = monitor();
    let inner = Router::new().route("/items/{id}", get(|| async {}));
    let app = Router::new()
        .nest("/api/{version}", inner)
        .merge(Router::new().route("/merged", get(|| async {})))
        .route_service(
            "/service",
            service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) }),
        )
        .layer(monitor.layer());
    for path in ["/api/v1/items/7", "/merged", "/service"] {
        assert_eq!(fetch(&app, path).await.0, 200);
    }
    let samples = Samples::of(&monitor);
    for route in ["http_route=\"/api/{version}/items/{id}\"", "http_route=\"/merged\"", "http_route=\"/service\""] {
        assert_eq!(samples.requests(&[route]), 1.0, "{route}");
    }
}

#[tokio::test(start_paused = true)]
async fn unmatched_requests_are_one_series_and_one_row_and_no_finding() {
    let monitor = monitor();
    let opaque = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let app = Router::new()
        .route("/known", get(|| async {}))
        .nest_service("/files", opaque)
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(monitor.layer())
        .merge(monitor.router());
    for path in 0..10_000 {
        assert_eq!(fetch(&app, &format!("/wp-admin/{path}.php")).await.0, 404);
    }
    assert_eq!(fetch(&app, "/files/secret-name.txt").await.0, 200);
    let text = monitor.recorder().render();
    assert!(!text.contains("wp-admin") && !text.contains("secret-name"));
    let samples = Samples::parse(&text);
    let series = samples.series("http_server_request_duration_seconds_count", &[]).count();
    assert_eq!(series, 2, "one for each status: 404 and the file's 200");
    assert_eq!(samples.requests(&["http_route=\"\"", "http_response_status_code=\"404\""]), 10_000.0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (_, body) = fetch(&app, "/performance/bottlenecks").await;
    assert!(body.contains("\"bottlenecks\":[]"), "{body}");
    for path in ["endpoints", "endpoints/GET%20unmatched"] {
        let (_, body) = fetch(&app, &format!("/performance/{path}")).await;
        let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let all = answer["endpoints"].as_array().expect("a list");
        assert_eq!(
            (all.len(), &all[0]["endpoint"], &all[0]["request_count"]),
            (1, &"GET unmatched".into(), &10_001.into())
        );
    }
    assert_eq!(fetch(&app, "/performance/endpoints//").await.0, 404, "the root has no route of its own");
}

#[tokio::test]
async fn unknown_methods_are_one_series() {
    let monitor = monitor();
    let app = Router::new().route("/", any(|| async {})).layer(monitor.layer());
    for method in ["BREW", "PROPFIND", "X1", "X2"] {
        assert_eq!(send(&app, method, "/").await.0, 200);
    }
    assert_eq!(Samples::of(&monitor).requests(&["http_request_method=\"_OTHER\""]), 4.0);
}

#[tokio::test]
async fn a_head_request_ends_at_its_head() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "a body that is never sent" })).layer(monitor.layer());
    assert_eq!(send(&app, "HEAD", "/").await, (200, String::new()));
    let samples = Samples::of(&monitor);
    assert_eq!(samples.requests(&["HEAD", "http_response_status_code=\"200\""]), 1.0);
    assert_eq!(samples.requests(&["cancelled"]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_lasts_until_its_last_byte_and_records_when_its_head_was_sent() {
    let monitor = monitor();
    let handler = || async {
        tokio::time::sleep(100 * MS).await;
        Response::new(dripping(4, 80 * MS))
    };
    let app = Router::new().route("/stream", get(handler)).layer(monitor.layer());
    assert_eq!(fetch(&app, "/stream").await.1, "dropdropdropdrop");
    let samples = Samples::of(&monitor);
    let sum = |name| samples.sum(name, &["/stream"]);
    // Four parts and the end, 80 ms before each.
    assert!((sum("http_server_request_duration_seconds_sum") - 0.5).abs() < 0.01, "{samples:?}");
    assert!((sum("pinchpoint_response_head_seconds_sum") - 0.1).abs() < 0.01);
    assert_eq!(sum("http_server_response_body_size_bytes_sum"), 16.0);
}

#[tokio::test]
async fn a_whole_body_has_no_head_series() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "whole" })).layer(monitor.layer());
    fetch(&app, "/").await;
    assert_eq!(Samples::of(&monitor).series("pinchpoint_response_head_seconds_count", &[]).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn event_streams_end_at_their_head() {
    let monitor = monitor();
    let handler = || async { Sse::new(EventStream) };
    let app = Router::new().route("/events", get(handler)).layer(monitor.layer());
    let request = Request::get("/events").body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("a router never fails");
    assert_eq!(Samples::of(&monitor).requests(&["/events", "200"]), 1.0, "before the client reads an event");
    let open = || Samples::of(&monitor).sum("pinchpoint_open_streams", &["/events"]);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(open(), 1.0);
    drop(response);
    assert_eq!(open(), 0.0);
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_sum", &["/events"]), 3600.0);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_count", &["/events"]), 1.0);
    assert_eq!(samples.series("pinchpoint_stream_messages_total", &[]).count(), 0, "it sent none");
    assert!(samples.sum("http_server_request_duration_seconds_sum", &[]) < 1.0);
    assert_eq!((samples.requests(&[]), samples.active()), (1.0, 0.0));
    assert_eq!(samples.response_sizes(&[]), 0.0, "the bytes of an event stream are not counted");
}

#[tokio::test(start_paused = true)]
async fn messages_of_event_streams_are_counted_and_comments_are_not() {
    let monitor = monitor();
    let handler = || async {
        let events = futures_util::stream::unfold(0, |sent| async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let event = Event::default().event("tick").data(sent.to_string());
            (sent < 3).then(|| (Ok::<_, Infallible>(event), sent + 1))
        });
        let keep_alive = axum::response::sse::KeepAlive::new().interval(Duration::from_secs(4));
        Sse::new(Box::pin(events)).keep_alive(keep_alive)
    };
    let app = Router::new().route("/events", get(handler)).layer(monitor.layer());
    let (_, body) = fetch(&app, "/events").await;
    assert!(body.contains(":\n\n") && body.contains("data: 2"), "{body}");
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_stream_messages_total", &["/events", "network_io_direction=\"transmit\""]), 3.0);
    assert_eq!(samples.sum("pinchpoint_stream_duration_seconds_sum", &["/events"]), 40.0);
}

struct EventStream;

impl futures_core::Stream for EventStream {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn a_thousand_aborted_requests_leave_none_in_flight() {
    let monitor = monitor();
    let app = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/stream", get(|| async { Response::new(dripping(10, Duration::from_secs(3600))) }))
        .layer(monitor.layer());
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let app = app.clone();
        let path = if number % 2 == 0 { "/never" } else { "/stream" };
        requests.spawn(async move { fetch(&app, path).await });
    }
    eventually("all in flight", || Samples::of(&monitor).active() == 1000.0).await;
    requests.shutdown().await;
    let samples = Samples::of(&monitor);
    assert_eq!((samples.active(), samples.requests(&["cancelled"])), (0.0, 1000.0));
}

#[tokio::test]
async fn a_panic_counts_as_500_and_still_unwinds() {
    let monitor = monitor();
    async fn panics() {
        panic!("on purpose");
    }
    let app = Router::new().route("/panic", get(panics)).layer(monitor.layer()).layer(CatchPanicLayer::new());
    assert_eq!(fetch(&app, "/panic").await.0, 500, "caught outside the monitor");
    let samples = Samples::of(&monitor);
    assert_eq!(samples.requests(&["error_type=\"panic\"", "http_response_status_code=\"500\""]), 1.0);
    assert_eq!(samples.response_sizes(&[]), 0.0, "there was no response");
    assert_eq!((samples.requests(&[]), samples.active()), (1.0, 0.0));
}

#[tokio::test]
async fn a_panic_caught_inside_is_a_plain_500() {
    let monitor = monitor();
    async fn panics() {
        panic!("on purpose");
    }
    let app = Router::new().route("/panic", get(panics)).layer(CatchPanicLayer::new()).layer(monitor.layer());
    assert_eq!(fetch(&app, "/panic").await.0, 500);
    assert_eq!(Samples::of(&monitor).requests(&["error_type=\"500\""]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_cancels_and_one_inside_is_the_services_answer() {
    let monitor = monitor();
    let timeout = || {
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(|_: BoxError| async { StatusCode::GATEWAY_TIMEOUT }))
            .layer(TimeoutLayer::new(50 * MS))
    };
    let outside =
        Router::new().route("/outside", get(std::future::pending::<()>)).layer(monitor.layer()).layer(timeout());
    let inside =
        Router::new().route("/inside", get(std::future::pending::<()>)).layer(timeout()).layer(monitor.layer());
    assert_eq!(fetch(&outside, "/outside").await.0, 504);
    assert_eq!(fetch(&inside, "/inside").await.0, 504);
    let samples = Samples::of(&monitor);
    assert_eq!(samples.requests(&["/outside", "cancelled"]), 1.0);
    assert_eq!(samples.requests(&["/inside", "http_response_status_code=\"504\""]), 1.0);
    assert_eq!(samples.active(), 0.0);
}

#[tokio::test]
async fn a_service_that_fails_counts_without_a_status() {
    let monitor = monitor();
    let service = monitor
        .layer()
        .layer(service_fn(|_: Request<Body>| async { Err::<Response, _>(BoxError::from("no response")) }));
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(RouteTemplate::new("/rpc/{method}"));
    assert!(service.oneshot(request).await.is_err());
    let samples = Samples::of(&monitor);
    assert_eq!(samples.requests(&["error_type=\"service_error\"", "http_route=\"/rpc/{method}\""]), 1.0);
    assert_eq!(samples.requests(&["http_response_status_code"]), 0.0);
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_of_its_request() {
    struct Failing;
    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            std::task::Poll::Ready(Some(Err("disk".into())))
        }
    }
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { Response::new(Body::new(Failing)) })).layer(monitor.layer());
    let response = app.oneshot(Request::new(Body::empty())).await.expect("a router never fails");
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(Samples::of(&monitor).requests(&["error_type=\"body_error\"", "200"]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_book_their_own_queries_only() {
    let monitor = monitor();
    let query = |sql: &'static str, millis: u64| async move {
        let work = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, Infallible>(())
        };
        track_db_query(sql, work).await.unwrap_or_else(|never| match never {});
    };
    let one = move || async move { query("SELECT a FROM one", 10).await };
    let three = move || async move {
        tokio::join!(query("SELECT b FROM three", 10), query("SELECT b FROM three", 20), async {
            let spawned = in_current_request(query("SELECT c FROM three", 5));
            tokio::spawn(spawned).await.expect("no panic");
            // Spawned without the helper: counted for the service, but not for the request.
            tokio::spawn(query("SELECT d FROM stray", 1)).await.expect("no panic");
        });
    };
    let app = Router::new().route("/one", get(one)).route("/three", get(three)).layer(monitor.layer());
    let requests = (0..20).map(|number| {
        let app = app.clone();
        async move { fetch(&app, if number % 2 == 0 { "/one" } else { "/three" }).await }
    });
    futures_util::future::join_all(requests).await;
    let samples = Samples::of(&monitor);
    let sum = |name, route| samples.sum(name, &[route]);
    assert_eq!(sum("pinchpoint_request_db_queries_sum", "/one"), 10.0);
    assert_eq!(sum("pinchpoint_request_db_queries_sum", "/three"), 30.0);
    let (one, three) =
        (sum("pinchpoint_request_db_seconds_sum", "/one"), sum("pinchpoint_request_db_seconds_sum", "/three"));
    assert!((one - 0.1).abs() < 1e-6, "{one}");
    // Queries at the same time count once: 20 ms a request, not 35.
    assert!((three - 0.2).abs() < 1e-6, "{three}");
}

#[tokio::test(start_paused = true)]
async fn a_query_cancelled_with_its_request_is_booked_as_cancelled() {
    let monitor = monitor();
    let handler = || async {
        let _: Result<(), Infallible> = track_db_query("SELECT 1", std::future::pending()).await;
    };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer());
    let _ = tokio::time::timeout(50 * MS, fetch(&app, "/")).await;
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &["error_type=\"cancelled\""]), 1.0);
    assert!((samples.sum("pinchpoint_request_db_seconds_sum", &[]) - 0.05).abs() < 0.01);
}

#[tokio::test]
async fn an_n_plus_one_longer_than_any_timeline_is_counted_in_full() {
    let monitor = monitor();
    let handler = || async {
        for _ in 0..500 {
            let _ = track_db_query("SELECT * FROM lines WHERE id = ?", async { Ok::<_, Infallible>(()) }).await;
        }
    };
    let app = Router::new().route("/orders", get(handler)).layer(monitor.layer()).merge(monitor.router());
    fetch(&app, "/orders").await;
    let (_, body) = fetch(&app, "/performance/endpoints/orders").await;
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["endpoints"][0]["queries"][0]["calls"], 500);
    assert_eq!(answer["endpoints"][0]["slowest_requests"][0]["timeline_beyond"], 500 - 64);
}

#[tokio::test]
async fn a_panic_keeps_the_queries_of_its_request() {
    let monitor = monitor();
    async fn panics() {
        let _ = track_db_query("SELECT 1", async { Ok::<_, Infallible>(()) }).await;
        let _ = track_db_query("SELECT 2", async { if true { panic!("on purpose") } else { Ok::<_, Infallible>(()) } })
            .await;
    }
    let app = Router::new().route("/panic", get(panics)).layer(monitor.layer()).layer(CatchPanicLayer::new());
    assert_eq!(fetch(&app, "/panic").await.0, 500);
    let samples = Samples::of(&monitor);
    assert_eq!(samples.sum("pinchpoint_request_db_queries_sum", &["/panic"]), 2.0);
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &["error_type=\"panic\""]), 1.0);
}

#[tokio::test]
async fn a_connect_ends_at_its_head() {
    let monitor = monitor();
    let service = monitor.layer().layer(service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(dripping(10, Duration::from_secs(3600))))
    }));
    let request = Request::builder().method("CONNECT").uri("example:443").body(Body::empty()).expect("a request");
    let _open = service.oneshot(request).await;
    assert_eq!(Samples::of(&monitor).requests(&["CONNECT", "200"]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_task_has_one_of_four_outcomes() {
    let monitor = monitor();
    async fn run(end: &'static str) -> Result<(), &'static str> {
        tokio::time::sleep(MS).await;
        match end {
            "ok" => Ok(()),
            "error" => Err("failed"),
            "panic" => panic!("on purpose"),
            _ => std::future::pending().await,
        }
    }
    let handler = || async {
        for end in ["ok", "error", "panic", "cancelled"] {
            let task = tokio::spawn(in_current_request(track_async_task("mail", run(end))));
            tokio::time::sleep(5 * MS).await;
            task.abort();
            let _ = task.await;
        }
    };
    let app = Router::new().route("/", post(handler)).layer(monitor.layer());
    assert_eq!(send(&app, "POST", "/").await.0, 200);
    let samples = Samples::of(&monitor);
    for outcome in ["ok", "error", "panic", "cancelled"] {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(
            samples.sum("pinchpoint_task_duration_seconds_count", &["task_name=\"mail\"", &label]),
            1.0,
            "{outcome}"
        );
    }
    assert_eq!(samples.sum("pinchpoint_task_active", &["mail"]), 0.0);
}

#[tokio::test]
async fn a_handler_that_blocks_shows_in_its_longest_poll() {
    let monitor = monitor();
    let handler = || async {
        let until = std::time::Instant::now() + 30 * MS;
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    };
    let app = Router::new().route("/hash", get(handler)).layer(monitor.layer());
    fetch(&app, "/hash").await;
    let samples = Samples::of(&monitor);
    let longest = samples.sum("pinchpoint_request_longest_poll_seconds_sum", &["/hash"]);
    let busy = samples.sum("pinchpoint_request_busy_seconds_sum", &["/hash"]);
    assert!(longest >= 0.03 && busy >= longest, "{longest} {busy}");
}
