//! Against sqlx itself, on SQLite. Its events come from threads of their own, so the subscriber is the process's.

use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use ::sqlx::{Connection as _, SqliteConnection};
use metrics_util::{
    CompositeKey,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};
use tokio::time::Instant;
use tracing::{Dispatch, Instrument as _, Level};
use tracing_subscriber::{fmt, layer::SubscriberExt as _, registry};

use super::*;
use crate::{
    context::{AfterEnd, Database, EndpointNumber, Instruments, LateQuery, Limits, Part, RequestContext},
    lock::lock,
    names, track_db_query,
};

/// The output of the subscriber's other layer.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(lock(&self.0).clone()).expect("text")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Makes the process's subscriber, once: a log at `INFO` beside the sqlx layer, which is wrapped as in a host that
/// decides at run time which layers it has.
fn subscribe() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        // With a single subscriber tracing asks that of the thread which first meets a span, and that thread may have
        // none yet.
        std::mem::forget(Dispatch::new(tracing::subscriber::NoSubscriber::new()));
        let log = Log::default();
        let writer = log.clone();
        let subscriber = registry()
            .with(fmt::layer().with_writer(move || writer.clone()).with_ansi(false).with_filter(LevelFilter::INFO))
            .with(vec![Some(SqlxLayer::new()).boxed()]);
        tracing::subscriber::set_global_default(subscriber).expect("no other test sets it");
        log
    })
    .clone()
}

/// A monitor's instruments and what was recorded through them.
struct Service {
    instruments: Arc<Instruments>,
    recorded: Snapshotter,
}

impl Service {
    fn new() -> Self {
        let recorder = DebuggingRecorder::new();
        let recorded = recorder.snapshotter();
        let limits = Limits {
            routes: 10,
            fingerprints: 10,
            slow_requests: 1,
            ignored: Vec::new(),
            database: Database::new("sqlite"),
            methods: Default::default(),
            scheme: Default::default(),
        };
        let instruments =
            Instruments::new(Arc::new(recorder), Arc::new(DebuggingRecorder::new()), limits, Box::new(|| 0.0));
        Self { instruments, recorded }
    }

    /// Runs `work` inside a request of this service.
    async fn request<T>(&self, work: impl Future<Output = T>) -> (T, Arc<RequestContext>) {
        let context = self.instruments.begin_request(None, EndpointNumber::NONE, self.instruments.clock().now());
        let carrier = Carrier::default();
        let mut home = Some(context.clone());
        let entered = enter(&mut home, &carrier);
        let work = crate::in_current_request(work);
        drop(entered);
        (work.await, context)
    }

    /// Returns the recorded durations by fingerprint, and `error_type` where there is one.
    fn queries(&self) -> HashMap<String, Vec<f64>> {
        let mut queries = HashMap::new();
        let recorded = self.recorded.snapshot().into_vec();
        let of = |name: &'static str| recorded.iter().filter(move |(key, ..)| key.key().name() == name);
        let label = |key: &CompositeKey, name: &str| {
            key.key().labels().find(|label| label.key() == name).map(|label| label.value().to_owned())
        };
        let texts: HashMap<_, _> = of(names::DB_QUERY_INFO.name)
            .map(|(key, ..)| (label(key, names::DB_QUERY_ID), label(key, names::DB_QUERY_TEXT)))
            .collect();
        for (key, _, _, value) in of(names::DB_DURATION.name) {
            let text = texts.get(&label(key, names::DB_QUERY_ID)).cloned().flatten();
            let mut name = text.expect("every query has one");
            if let Some(error) = label(key, names::ERROR_TYPE) {
                name = format!("{name} {error}");
            }
            let DebugValue::Histogram(values) = value else { panic!("durations are histograms") };
            if !values.is_empty() {
                queries.insert(name, values.iter().map(|value| value.into_inner()).collect());
            }
        }
        queries
    }
}

async fn connect() -> SqliteConnection {
    SqliteConnection::connect("sqlite::memory:").await.expect("SQLite is in the binary")
}

const COUNT: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) \
                     SELECT count(*), 'eve@example.org' FROM c";

#[tokio::test]
async fn a_query_through_sqlx_counts_for_its_request_with_its_duration() {
    subscribe();
    let service = Service::new();
    let mut connection = connect().await;
    let began = std::time::Instant::now();
    let (result, request) = service.request(::sqlx::query(COUNT).fetch_all(&mut connection)).await;
    let took = began.elapsed();
    result.expect("counted");

    assert_eq!(request.count(Part::Db), 1);
    let duration = query_time(&request);
    assert!(duration <= took && duration > took / 2, "{duration:?} of {took:?}");
    let summary =
        "WITH RECURSIVE c(n) AS (SELECT ? UNION ALL SELECT n + ? FROM c WHERE n < ?) SELECT count(*), ? FROM c";
    let queries = service.queries();
    assert_eq!(queries.keys().collect::<Vec<_>>(), [summary]);
    assert_eq!(queries[summary], [duration.as_secs_f64()]);
}

/// Returns how long the queries of a request took.
fn query_time(request: &RequestContext) -> Duration {
    let mut nanos = 0;
    request.divide(Duration::MAX, |used| nanos += used.nanos);
    Duration::from_nanos(nanos)
}

#[tokio::test]
async fn concurrent_requests_have_their_own_queries() {
    subscribe();
    let service = Service::new();
    let ask = |times: u32, mut connection: SqliteConnection| async move {
        for _ in 0..times {
            ::sqlx::query("SELECT 1").execute(&mut connection).await.expect("one");
            tokio::task::yield_now().await;
        }
    };
    let (first, second) = (ask(3, connect().await), ask(40, connect().await));
    let ((_, one), (_, other)) = tokio::join!(service.request(first), service.request(second));
    assert_eq!((one.count(Part::Db), other.count(Part::Db)), (3, 40));
}

#[tokio::test]
async fn queries_in_spawned_tasks_and_host_spans_count_for_the_request() {
    subscribe();
    let service = Service::new();
    let (mut one, mut two, mut three) = (connect().await, connect().await, connect().await);
    let work = async {
        let handler = async {
            let task = async move { ::sqlx::query("SELECT 1 AS a").execute(&mut one).await.expect("one") };
            let task = task.instrument(tracing::debug_span!("task"));
            tokio::spawn(crate::in_current_request(task)).await.expect("joined");
            let stranger = async move { ::sqlx::query("SELECT 2 AS b").execute(&mut two).await.expect("two") };
            tokio::spawn(stranger).await.expect("joined");
            ::sqlx::query("SELECT 3 AS c").execute(&mut three).await.expect("three")
        };
        handler.instrument(tracing::info_span!("handler")).await
    };
    let (_, request) = service.request(work).await;
    assert_eq!(request.count(Part::Db), 2);
    assert_eq!(request.events().filter(|event| event.part == Part::Db).count(), 2);
    let mut summaries: Vec<_> = service.queries().into_keys().collect();
    summaries.sort();
    assert_eq!(summaries, ["SELECT ? AS a", "SELECT ? AS c"]);
}

#[tokio::test]
async fn a_failed_query_counts_as_done() {
    subscribe();
    let service = Service::new();
    let mut connection = connect().await;
    let (result, request) = service.request(::sqlx::query("SELECT a FROM missing").execute(&mut connection)).await;
    result.expect_err("no such table");
    // SQLite's thread returns the error before it emits the event.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while request.count(Part::Db) == 0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(request.count(Part::Db), 1);
    assert_eq!(service.queries().keys().collect::<Vec<_>>(), ["SELECT a FROM missing"]);
}

#[tokio::test]
async fn a_tracked_query_counts_once_with_its_error() {
    subscribe();
    let service = Service::new();
    let mut connection = connect().await;
    let query = track_db_query("SELECT b FROM t", ::sqlx::query("SELECT a FROM missing").execute(&mut connection));
    let (result, request) = service.request(query).await;
    result.expect_err("no such table");
    assert_eq!(request.count(Part::Db), 1);
    assert_eq!(service.queries().keys().collect::<Vec<_>>(), ["SELECT b FROM t error"]);
}

#[tokio::test]
async fn a_stopped_monitor_records_nothing() {
    subscribe();
    let service = Service::new();
    service.instruments.set_enabled(false);
    let mut connection = connect().await;
    let (_, request) = service.request(::sqlx::query("SELECT 1").execute(&mut connection)).await;
    assert_eq!(request.count(Part::Db), 0);
}

#[tokio::test]
async fn queries_on_sqlite_count_for_their_route() {
    subscribe();
    let monitor = crate::Monitor::builder().build().expect("good settings");
    let pool = ::sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
    let pool = pool.expect("SQLite is in the binary");
    let handler = move || async move {
        for id in 0..3 {
            ::sqlx::query("SELECT ? AS id").bind(id).fetch_one(&pool).await.expect("a row");
        }
        "ok"
    };
    let app = axum::Router::new().route("/users/{id}", axum::routing::get(handler)).layer(monitor.layer());
    let request = http::Request::get("/users/7").body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(app, request).await.expect("infallible");
    assert_eq!(http_body_util::BodyExt::collect(response).await.expect("a body").to_bytes(), "ok");
    let text = monitor.recorder().render();
    let route = r#"{http_request_method="GET",http_route="/users/{id}"}"#;
    assert!(text.contains(&format!("pinchpoint_request_db_queries_sum{route} 3\n")), "{text}");
    let id = text.lines().find_map(|line| line.strip_suffix(r#"",db_query_text="SELECT ? AS id"} 1"#));
    let id = id.and_then(|line| line.strip_prefix(r#"db_query_info{db_query_id=""#)).expect("its text stands once");
    assert!(text.contains(&format!(r#"db_query_summary="SELECT",db_query_id="{id}"}} 3"#)), "{text}");
}

/// Keeps the late queries.
#[derive(Debug, Default)]
struct LateQueryLog(Mutex<Vec<LateQuery>>);

impl AfterEnd for LateQueryLog {
    fn record_late(&self, query: LateQuery) {
        lock(&self.0).push(query);
    }

    fn record_detached(&self, query: LateQuery) {
        panic!("{query:?}: the request is no stream");
    }

    fn streams(&self) -> &crate::context::StreamSeries {
        panic!("the request is no stream");
    }

    fn stream_messages(&self) -> crate::context::StreamMessages {
        panic!("the request is no stream");
    }

    fn sent_messages(&self) -> &metrics::Counter {
        panic!("the request is no stream");
    }
}

#[tokio::test]
async fn a_query_that_outlives_its_client_counts_as_late() {
    subscribe();
    let service = Service::new();
    let mut connection = connect().await;
    let running = Arc::new(tokio::sync::Notify::new());
    let runs = running.clone();
    let (go_on, gone) = std::sync::mpsc::channel::<()>();
    // Stops the query until the client has disconnected. The first thousands of steps may be those of its preparation.
    let mut thousands = 0;
    let stop = move || {
        thousands += 1;
        if thousands > 10 {
            runs.notify_one();
            let _ = gone.recv();
        }
        true
    };
    connection.lock_handle().await.expect("idle").set_progress_handler(1000, stop);
    let context = service.instruments.begin_request(None, EndpointNumber::NONE, service.instruments.clock().now());
    let reported = Arc::new(LateQueryLog::default());
    {
        let mut home = Some(context.clone());
        let carrier = Carrier::default();
        let entered = enter(&mut home, &carrier);
        let query = crate::in_current_request(::sqlx::query(COUNT).fetch_all(&mut connection));
        drop(entered);
        tokio::select! {
            _ = query => panic!("the query ended before it was seen to run"),
            // A minute later: the query's begin is computed from its duration, and on a busy machine the clock may be
            // read late, so that the query seems to have begun after the client disconnected.
            () = running.notified() => context.cancel(Instant::now() + Duration::from_secs(60), reported.clone()),
        }
    }
    drop(go_on);
    // The connection answers when it has finished the query.
    connection.ping().await.expect("alive");
    let reported = lock(&reported.0);
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].is_first && reported[0].before_end <= reported[0].duration, "{reported:?}");
}

#[tokio::test]
async fn a_context_is_reused_after_it_was_on_another_thread() {
    subscribe();
    let service = Service::new();
    let mut connection = connect().await;
    let (_, request) = service.request(::sqlx::query("SELECT 1").execute(&mut connection)).await;
    // SQLite's thread drops the span before it waits for the next command, and after it has answered this one.
    connection.ping().await.expect("alive");
    drop(connection);
    let used = Arc::as_ptr(&request);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while Arc::strong_count(&request) > 1 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    service.instruments.give_back(request);
    assert_eq!(
        Arc::as_ptr(&service.instruments.begin_request(None, EndpointNumber::NONE, service.instruments.clock().now())),
        used
    );
}

#[tokio::test]
async fn other_layers_see_neither_events_nor_carriers() {
    let log = subscribe();
    let service = Service::new();
    let work = async {
        tracing::info!("the host's own line");
        ::sqlx::query("SELECT 1").execute(&mut connect().await).await.expect("one");
    };
    service.request(work).await;
    let text = log.text();
    assert!(text.contains("the host's own line"), "{text}");
    assert!(!text.contains("sqlx::query") && !text.contains("SELECT") && !text.contains("pinchpoint: "), "{text}");
    assert!(!tracing::enabled!(target: "hyper::proto", Level::DEBUG), "nothing else is enabled");
    assert!(!tracing::enabled!(target: "hyper::proto", Level::TRACE));
}

#[test]
fn the_whole_statement_of_an_sqlx_0_8_event_is_read() {
    let service = Service::new();
    let context = service.instruments.begin_request(None, EndpointNumber::NONE, service.instruments.clock().now());
    tracing::subscriber::with_default(registry().with(SqlxLayer::new()), || {
        let carrier = Carrier::default();
        let mut home = Some(context.clone());
        let _entered = enter(&mut home, &carrier);
        let elapsed = Duration::from_millis(1500);
        tracing::event!(
            target: "sqlx::query", Level::DEBUG,
            summary = "SELECT a, b, c …", db.statement = "\n\nSELECT\n  a,\n  b,\n  c\nFROM\n  t\n",
            rows_affected = 0_u64, rows_returned = 1_u64, ?elapsed, elapsed_secs = elapsed.as_secs_f64(),
        );
        tracing::event!(
            target: "sqlx::query", Level::WARN,
            summary = "COMMIT", db.statement = "", rows_affected = 0_u64, rows_returned = 0_u64, ?elapsed,
            elapsed_secs = 0.25, slow_threshold = ?Duration::from_millis(1), "slow statement",
        );
        tracing::event!(target: "sqlx::query", Level::DEBUG, summary = "SELECT 1", db.statement = "");
        tracing::event!(target: "sqlx::query", Level::DEBUG, summary = "SELECT 1", elapsed_secs = -1.0);
        tracing::event!(target: "sqlx::pool", Level::ERROR, summary = "SELECT 1", elapsed_secs = 1.0);
    });
    let queries = service.queries();
    assert_eq!(queries.len(), 2, "{queries:?}");
    assert_eq!(queries["SELECT a, b, c FROM t"], [1.5]);
    assert_eq!(queries["COMMIT"], [0.25]);
    assert_eq!((context.count(Part::Db), query_time(&context)), (2, Duration::from_millis(1750)));
}
