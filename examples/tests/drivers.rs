//! What docs/integration.md advises for diesel and rusqlite, against SQLite itself.

use std::time::Instant;

use axum::{Router, body::Body, routing::get};
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection,
    connection::{Instrumentation, InstrumentationEvent},
    sql_query,
    sql_types::Text,
};
use pinchpoint::{Monitor, record_db_query, spawn_blocking};
use tower::ServiceExt as _;

/// As in the document.
struct Queries(Option<Instant>);

impl Instrumentation for Queries {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => self.0 = Some(Instant::now()),
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                let Some(began) = self.0.take() else { return };
                let text = query.to_string();
                let statement = text.split(" -- binds:").next().unwrap_or_default();
                record_db_query(statement, began.elapsed(), &error.map_or(Ok(()), Err));
            }
            _ => {}
        }
    }
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

fn with_diesel() -> String {
    let mut connection = SqliteConnection::establish(":memory:").expect("SQLite opens");
    connection.set_instrumentation(Queries(None));
    let select = || sql_query("SELECT ? AS name").bind::<Text, _>("a secret");
    let names: Vec<Name> = (0..3).map(|_| select().get_result(&mut connection).expect("a row")).collect();
    sql_query("SELECT name FROM nowhere").execute(&mut connection).expect_err("no such table");
    names.into_iter().map(|name| name.name).collect()
}

fn with_rusqlite() -> String {
    let connection = rusqlite::Connection::open_in_memory().expect("SQLite opens");
    let query = |select: &str| {
        let began = Instant::now();
        let name: rusqlite::Result<String> = connection.query_row(select, ["a secret"], |row| row.get(0));
        record_db_query(select, began.elapsed(), &name);
        name
    };
    query("SELECT name FROM nowhere WHERE name = ?1").expect_err("no such table");
    (0..3).map(|_| query("SELECT ?1 AS name").expect("a row")).collect()
}

/// Runs queries in a request, and returns what is exposed then.
async fn exposed(queries: fn() -> String) -> String {
    let monitor = Monitor::builder().build().expect("the defaults are good");
    let handler = move || async move { spawn_blocking(queries).await.expect("no panic") };
    let app = Router::new().route("/", get(handler)).layer(monitor.layer());
    let request = http::Request::get("/").body(Body::empty()).expect("a request");
    let answer = app.oneshot(request).await.expect("infallible");
    let answer = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    assert_eq!(answer, "a secreta secreta secret");
    monitor.recorder().render()
}

#[tokio::test]
async fn queries_of_drivers_that_block_count_for_their_request() {
    for queries in [with_diesel, with_rusqlite] {
        let text = exposed(queries).await;
        let has = |metric: &str, end: &str| text.lines().any(|line| line.starts_with(metric) && line.ends_with(end));
        assert!(has("pinchpoint_request_db_queries_sum", " 4"), "{text}");
        let count = |error: bool| {
            let lines = text.lines().filter(|line| line.starts_with("db_client_operation_duration_seconds_count"));
            lines
                .filter(|line| line.contains("error_type") == error)
                .map(|line| line.rsplit(' ').next())
                .collect::<Vec<_>>()
        };
        assert_eq!((count(false), count(true)), (vec![Some("3")], vec![Some("1")]), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
