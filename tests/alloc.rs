//! The request path allocates nothing once its series exist.
//!
//! A binary of its own: the counting allocator is the whole process's.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use futures_util::{FutureExt as _, Sink, Stream};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use pinchpoint::{
    Database, Monitor, RouteTemplate, track_async_task, track_db_query, track_hold, track_http_call, track_messages,
    track_wait, upgraded,
};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tracing_subscriber::layer::SubscriberExt as _;

const REQUESTS: u64 = 200;

/// Counts the allocations of `REQUESTS` requests, after some that make the series.
fn allocations<S, B>(service: &S) -> u64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data: std::fmt::Debug, Error: std::fmt::Debug>,
{
    allocations_of(service, request)
}

/// The same for requests of another kind.
fn allocations_of<S, B>(service: &S, request: fn() -> Request<Body>) -> u64
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data: std::fmt::Debug, Error: std::fmt::Debug>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let send = |requests| {
        let requests: Vec<_> = (0..requests).map(|_| request()).collect();
        allocation_counter::measure(|| {
            runtime.block_on(async {
                for request in requests {
                    let Ok(response) = service.clone().oneshot(request).await;
                    let mut body = std::pin::pin!(response.into_body());
                    while body.frame().await.is_some() {}
                }
            });
        })
    };
    send(REQUESTS);
    // The least of some rounds: where the system takes a core away in the middle of a poll, that poll is booked as one
    // that blocked, in series of their own that are made then.
    (0..3).map(|_| send(REQUESTS).count_total).min().expect("some rounds")
}

fn request() -> Request<Body> {
    let mut request = Request::get("/users/7").body(Body::empty()).expect("a request");
    request.extensions_mut().insert(RouteTemplate::new("/users/{id}"));
    request
}

async fn answer(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

static REPLICA: LazyLock<Database> = LazyLock::new(|| Database::new("postgresql").namespace("shop").server("replica"));

async fn queries(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    for _ in 0..3 {
        let row = async { Ok::<_, Infallible>(()) };
        track_db_query("SELECT * FROM users WHERE id = ?", row).await?;
    }
    let elsewhere = async { Ok::<_, Infallible>(()) };
    track_db_query("SELECT * FROM users WHERE id = ?", elsewhere).on(&REPLICA).await?;
    track_async_task("mail", async { Ok::<_, Infallible>(()) }).await?;
    answer(request).await
}

#[test]
fn an_allocation_is_seen() {
    let boxing = service_fn(|request| async move {
        std::hint::black_box(Box::new(1));
        answer(request).await
    });
    assert_eq!(allocations(&boxing) - allocations(&service_fn(answer)), REQUESTS);
}

#[test]
fn a_known_route_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    let layered = monitor.layer().layer(service_fn(answer));
    assert_eq!(allocations(&layered), allocations(&service_fn(answer)));
    assert!(monitor.recorder().render().contains("/users/{id}"), "the requests were measured");
}

async fn waits(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    track_wait("channel", "quotes", std::future::ready(())).await;
    drop(track_hold("lock", "inventory", std::future::ready(())).await);
    track_http_call("GET", "http://rates.example/a", async { Ok::<_, Infallible>(()) }).await?;
    tokio::task::yield_now().await;
    answer(request).await
}

/// The same without tracking.
async fn yields(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::task::yield_now().await;
    answer(request).await
}

#[test]
fn known_waits_holds_and_calls_allocate_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    let layered = monitor.layer().layer(service_fn(waits));
    assert_eq!(allocations(&layered), allocations(&service_fn(yields)));
    let text = monitor.recorder().render();
    assert!(["inventory", "quotes", "rates.example"].iter().all(|name| text.contains(name)), "they were measured");
}

#[test]
fn known_queries_and_tasks_allocate_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    let layered = monitor.layer().layer(service_fn(queries));
    assert_eq!(allocations(&layered), allocations(&service_fn(answer)));
    let text = monitor.recorder().render();
    assert!(
        ["db_query_info", "server_address=\"replica\""].iter().all(|one| text.contains(one)),
        "the queries were measured"
    );
}

/// A socket that always has a message, and takes any.
struct Endless;

impl Stream for Endless {
    type Item = Result<u64, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(7)))
    }
}

impl Sink<u64> for Endless {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, _: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

/// Passes a hundred messages back to where they came from, and returns the allocations meanwhile.
async fn pass_back(socket: Endless) -> u64 {
    let mut socket = track_messages(socket, |_: &u64| true);
    let pass = || {
        for _ in 0..100 {
            let Some(Some(Ok(message))) = socket.recv().now_or_never() else { panic!("there always is one") };
            let Some(Ok(())) = socket.send(message).now_or_never() else { panic!("it takes any") };
        }
    };
    allocation_counter::measure(pass).count_total
}

type Handler = Box<dyn FnOnce(Endless) -> Pin<Box<dyn Future<Output = u64> + Send>> + Send>;

#[test]
fn messages_of_a_tracked_socket_allocate_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().build() }).expect("good settings");
    let upgrade = Arc::new(Mutex::new(None::<Handler>));
    let kept = upgrade.clone();
    let switching = service_fn(move |_: Request<Body>| {
        let handle = upgraded(pass_back);
        *kept.lock().expect("nobody panics") = Some(Box::new(|socket| Box::pin(handle(socket))));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        async { Ok::<_, Infallible>(response) }
    });
    let Ok(response) = runtime.block_on(monitor.layer().layer(switching).oneshot(request()));
    assert_eq!(response.status(), 101);
    let handle = upgrade.lock().expect("nobody panics").take().expect("it was called");
    assert_eq!(runtime.block_on(handle(Endless)), 0);
    let text = monitor.recorder().render();
    for direction in ["receive", "transmit"] {
        let series = format!("http_route=\"/users/{{id}}\",network_io_direction=\"{direction}\"}} 100");
        assert!(text.contains(&series), "{series} is not in {text}");
    }
}

/// Statements with their literals inside are as many as the data; they take nothing from one that comes again.
#[test]
fn a_statement_that_comes_again_allocates_nothing_after_thousands_that_do_not() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    let literals = service_fn(|request| async move {
        for id in 0..5_000 {
            track_db_query(format!("SELECT name FROM users WHERE id = {id}"), async { Ok::<_, Infallible>(()) })
                .await?;
        }
        answer(request).await
    });
    runtime.block_on(async {
        let Ok(_) = monitor.layer().layer(literals).oneshot(request()).await;
    });
    let layered = monitor.layer().layer(service_fn(queries));
    assert_eq!(allocations(&layered), allocations(&service_fn(answer)));
}

/// What sqlx formats for its event is sqlx's; the layer reads it where it is.
#[test]
fn events_of_sqlx_allocate_nothing() {
    async fn events(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
        for _ in 0..3 {
            tracing::debug!(
                target: "sqlx::query",
                summary = "SELECT * FROM users …",
                db.statement = "\n\nSELECT * FROM users WHERE id = 7\n",
                elapsed_secs = 0.001,
            );
        }
        answer(request).await
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    // While there is one subscriber only, tracing asks the thread that first meets an event, and here others have none.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let subscriber = tracing_subscriber::registry().with(pinchpoint::SqlxLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        let (silent, telling) = (service_fn(answer), service_fn(events));
        let spans = allocations(&monitor.layer().layer(silent));
        assert_eq!(allocations(&monitor.layer().layer(telling)), spans);
        // The span that carries the request to other threads holds a pointer to it.
        assert_eq!(spans - allocations(&silent), REQUESTS);
    });
    assert!(monitor.recorder().render().contains("SELECT * FROM users WHERE id = ?"), "the events were read");
}

#[test]
fn a_scan_of_random_paths_holds_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().build() }).expect("good settings");
    let app = Router::new().route("/known", get(|| async { "known" })).layer(monitor.layer());
    let scan = |paths: std::ops::Range<u32>| {
        let held = allocation_counter::measure(|| {
            runtime.block_on(async {
                for path in paths {
                    let request = Request::get(format!("/wp-admin/{path}.php")).body(Body::empty()).expect("a request");
                    let Ok(response) = app.clone().oneshot(request).await;
                    response.into_body().collect().await.expect("a body");
                }
            });
        });
        held.bytes_current
    };
    scan(0..1_000);
    // The least of some rounds, as above: each holds what its paths are remembered by, and only one the series of polls
    // that blocked.
    let held = (0..3).map(|round| scan(1_000 + 10_000 * round..11_000 + 10_000 * round)).min().expect("some rounds");
    // The slowest requests, kept whole, are a few hundred bytes more or less.
    assert!(held < 4_096, "{held} bytes for ten thousand paths");
}

/// Under axum's router any layer with a body of its own costs boxes: of the service, its future and its body. An
/// ignored route passes through all of them.
#[test]
fn in_axums_router_measuring_allocates_no_more_than_passing_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = |builder: pinchpoint::MonitorBuilder| {
        runtime.block_on(async { builder.slow_requests(0).build() }).expect("good settings")
    };
    let (measuring, ignoring) = (monitor(Monitor::builder()), monitor(Monitor::builder().ignore_path("*")));
    let router = || Router::new().route("/users/{id}", get(|| async { "ok" }).post(|| async { "ok" }));
    let passed_on = allocations(&router().layer(ignoring.layer()));
    assert_eq!(allocations(&router().layer(measuring.layer())), passed_on);
}

#[test]
fn a_request_with_a_body_costs_one_allocation_to_count_its_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let monitor = runtime.block_on(async { Monitor::builder().slow_requests(0).build() }).expect("good settings");
    let upload = || {
        let mut request = request();
        *request.body_mut() = Body::from("body");
        request
    };
    let layered = monitor.layer().layer(service_fn(answer));
    assert_eq!(allocations_of(&layered, upload), allocations_of(&service_fn(answer), upload) + REQUESTS);
}
