//! Background tasks end with the monitor: at shutdown, or when its last handle is dropped.

use std::{net::SocketAddr, sync::Weak, time::Duration};

use axum::{Router, routing::get};
use pinchpoint::{BuildError, Monitor};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::support::{Samples, get as fetch, monitor};

/// Lets other tasks of this runtime run until they wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Returns whether the value is dropped, at the latest by the monitor's own thread, which ends by itself.
fn is_dropped(value: &Weak<()>) -> bool {
    let began = std::time::Instant::now();
    while value.strong_count() > 0 && began.elapsed() < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    value.strong_count() == 0
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// A sampler that shows, through a weak reference, whether the monitor has been dropped.
struct Witness {
    _seen: std::sync::Arc<()>,
}

impl pinchpoint::Sampler for Witness {
    fn sample(&mut self) {}
}

fn witnessed() -> (Monitor, Weak<()>) {
    let seen = std::sync::Arc::new(());
    let weak = std::sync::Arc::downgrade(&seen);
    let monitor = Monitor::builder().sampler(Witness { _seen: seen }).build().expect("inside a runtime");
    (monitor, weak)
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_everything() {
    let before = alive();
    let (monitor, witness) = witnessed();
    let app: Router = Router::new().route("/", get(|| async {})).layer(monitor.layer()).merge(monitor.router());
    for _ in 0..10 {
        fetch(&app, "/").await;
    }
    drop(monitor.clone());
    settle().await;
    assert!(alive() > before && witness.upgrade().is_some(), "a clone is not the last");
    drop(monitor);
    settle().await;
    assert!(alive() > before && witness.upgrade().is_some(), "the router's layer keeps the monitor alive");
    drop(app);
    settle().await;
    assert_eq!(alive(), before, "no task is left");
    assert!(is_dropped(&witness), "no memory is left");
}

/// A host's recorder.
struct Host(#[expect(dead_code, reason = "held")] std::sync::Arc<()>);

impl metrics::Recorder for Host {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        metrics::Counter::noop()
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn the_hosts_recorders_are_dropped_with_the_last_handle() {
    let (one, other) = (std::sync::Arc::new(()), std::sync::Arc::new(()));
    let witnesses = [std::sync::Arc::downgrade(&one), std::sync::Arc::downgrade(&other)];
    let builder = Monitor::builder().export_to(Host(one)).export_to(Host(other));
    let monitor = builder.build().expect("inside a runtime");
    let app: Router = Router::new().route("/", get(|| async {})).layer(monitor.layer());
    fetch(&app, "/").await;
    assert!(witnesses.iter().all(|witness| witness.upgrade().is_some()));
    drop((monitor, app));
    settle().await;
    assert!(witnesses.iter().all(is_dropped), "no memory is left");
}

#[tokio::test(start_paused = true)]
async fn a_monitor_with_an_address_of_its_own_ends_too() {
    let before = alive();
    let (monitor, witness) = witnessed();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let _client = answered(address).await;
    drop(monitor);
    settle().await;
    assert_eq!((alive(), is_dropped(&witness)), (before, true));
}

/// A client that has been answered once and keeps its connection.
async fn answered(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.expect("it listens");
    client.write_all(b"GET /no-such HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut head = [0; 12];
    client.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 404");
    client
}

#[tokio::test]
async fn an_unknown_path_at_the_monitors_own_address_is_404_as_json() {
    let (_monitor, address) = served().await;
    let mut client = TcpStream::connect(address).await.expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("HTTP/1.1 404") && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert!(body["error"].as_str().is_some_and(|error| error.contains("openapi.json")), "{body}");
}

/// Sends `request`, reads no answer, and returns how long the monitor then takes to shut down.
async fn shutdown_after(monitor: Monitor, mut client: TcpStream, request: &[u8]) -> Duration {
    client.write_all(request).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    tokio::time::timeout(Duration::from_secs(60), monitor.shutdown()).await.expect("it ends");
    began.elapsed()
}

async fn served() -> (Monitor, SocketAddr) {
    let monitor = monitor();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    (monitor, address)
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_does_not_delay_shutdown() {
    let (monitor, address) = served().await;
    assert_eq!(shutdown_after(monitor, answered(address).await, b"").await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_delays_shutdown_by_seconds_only() {
    let (monitor, address) = served().await;
    let client = TcpStream::connect(address).await.expect("it listens");
    let took = shutdown_after(monitor, client, b"GET /met").await;
    assert!(took <= Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_delays_shutdown_by_seconds_only() {
    let (monitor, address) = served().await;
    // More answers than the buffers of both sockets hold.
    let request = b"GET /performance/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    let took = shutdown_after(monitor, answered(address).await, &request).await;
    assert!(took <= Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_send_its_head_is_closed() {
    let (_monitor, address) = served().await;
    let mut client = TcpStream::connect(address).await.expect("it listens");
    client.write_all(b"GET /met").await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(600), client.read_to_end(&mut answer)).await;
    read.expect("the connection is closed").expect("as connections are");
}

#[tokio::test]
async fn a_client_that_opens_hundreds_of_connections_gets_a_few_of_them() {
    let (_monitor, address) = served().await;
    let mut half_open = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET /met").await.expect("sent");
        half_open.push(client);
    }
    let mut closed = 0;
    for client in &mut half_open[32..] {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), client.read(&mut byte)).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert_eq!(closed, 68, "those past the limit are closed at once");
    drop(half_open);
    // Their places are given back.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if reqwest::get(format!("http://{address}/metrics")).await.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no place was given back");
    }
}

#[tokio::test]
async fn an_open_event_stream_does_not_delay_shutdown() {
    let monitor = monitor();
    let address = monitor.serve(([127, 0, 0, 1], 0)).await.expect("a free port");
    let mut listener = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /performance/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    listener.write_all(request).await.expect("sent");
    let mut head = [0; 12];
    listener.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    tokio::time::timeout(Duration::from_secs(20), monitor.shutdown()).await.expect("it ends");
    let mut rest = Vec::new();
    listener.read_to_end(&mut rest).await.expect("the stream ends as a stream does");

    let app: Router = Router::new().merge(monitor.router());
    let (status, body) = fetch(&app, "/performance/events").await;
    assert!(status == 503 && body.contains("shutting down"), "{body}");
}

#[tokio::test]
async fn an_open_event_stream_does_not_delay_the_graceful_shutdown_of_the_service() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "ok" })).layer(monitor.layer()).merge(monitor.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let signal = monitor.ending_events(async { drop(stopped.await) });
    let service = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(signal).await });
    let mut listener = TcpStream::connect(address).await.expect("it listens");
    listener.write_all(b"GET /performance/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut head = [0; 12];
    listener.read_exact(&mut head).await.expect("an answer");
    stop.send(()).expect("it waits");
    let ended = tokio::time::timeout(Duration::from_secs(20), service).await.expect("it ends");
    ended.expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn shutdown_evaluates_a_last_time_and_requests_still_pass() {
    let monitor = monitor();
    let app = Router::new().route("/", get(|| async { "ok" })).layer(monitor.layer()).merge(monitor.router());
    fetch(&app, "/").await;
    assert_eq!(Samples::of(&monitor).sum("pinchpoint_rule_evaluation_seconds_count", &[]), 0.0);
    monitor.shutdown().await;
    assert_eq!(Samples::of(&monitor).sum("pinchpoint_rule_evaluation_seconds_count", &[]), 1.0);
    assert_eq!(fetch(&app, "/").await, (200, "ok".into()));
    assert_eq!(Samples::of(&monitor).requests(&[]), 1.0, "not measured any more");
    // A second time does nothing.
    tokio::time::timeout(Duration::from_secs(1), monitor.shutdown()).await.expect("returns at once");
}

/// A sampler that panics at its second call and counts the other calls.
struct Clumsy {
    calls: u32,
    gauge: metrics::Gauge,
}

impl pinchpoint::Sampler for Clumsy {
    fn sample(&mut self) {
        self.calls += 1;
        assert!(self.calls != 2, "the sampler's own mistake");
        self.gauge.set(f64::from(self.calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sampler_that_panics_ends_neither_the_evaluation_nor_itself() {
    let calls = std::sync::Arc::new(metrics::atomics::AtomicU64::new(0));
    let gauge = metrics::Gauge::from_arc(calls.clone());
    let monitor = Monitor::builder().sampler(Clumsy { calls: 0, gauge }).build().expect("inside a runtime");
    let app: Router = monitor.router();
    let evaluations = || Samples::of(&monitor).sum("pinchpoint_rule_evaluation_seconds_count", &[]);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = evaluations();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(evaluations(), before + 4.0, "the evaluation goes on");
    let status = fetch(&app, "/performance/status").await.1;
    assert!(status.contains("\"sampler_panics\":1,"), "{status}");
    assert_eq!(f64::from_bits(calls.load(std::sync::atomic::Ordering::Relaxed)), 6.0, "and so does the sampler");
}

#[test]
fn outside_a_runtime_a_monitor_says_what_it_needs() {
    let error = Monitor::builder().build().expect_err("no runtime");
    assert!(matches!(error, BuildError::NoRuntime) && error.to_string().contains("#[tokio::main]"), "{error}");
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let zero = Monitor::builder().evaluation_interval(Duration::ZERO).build().expect_err("never ends");
    assert_eq!(zero.to_string(), "evaluation_interval is 0ms; expected 100ms to 1m");
    let rare = Monitor::builder().sampling_interval(Duration::from_secs(3600)).build().expect_err("too rare");
    assert!(rare.to_string().starts_with("sampling_interval is 1h"), "{rare}");
}
