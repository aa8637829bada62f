//! Statements on `/metrics`, with real queries on SQLite: what their lines say, and what they cost.

use std::time::Duration;

use axum::{Router, routing::get};
use pinchpoint::{Database, Monitor, track_db_query};
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

use crate::support::{self, Samples, built};

const JOIN: &str = "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total > ? AND c.name <> 'eve' \
                    ORDER BY o.id LIMIT 20";

async fn pool() -> SqlitePool {
    let pool =
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.expect("SQLite is in the binary");
    for sql in [
        "CREATE TABLE customers (id integer, name text)",
        "CREATE TABLE orders (id integer, customer_id integer, total real)",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("a table");
    }
    pool
}

/// A service whose route reads orders from a replica and writes where the monitor assumes.
async fn service(monitor: &Monitor) -> Router {
    let pool = pool().await;
    let replica = Database::new("sqlite").namespace("replica").server("files.internal").port(8080);
    let handler = move || async move {
        track_db_query(JOIN, sqlx::query(JOIN).bind(7).fetch_all(&pool)).on(&replica).await.expect("rows");
        let insert = "insert into orders (id) values (1), (2)";
        track_db_query(insert, sqlx::query(insert).execute(&pool)).await.expect("inserted");
        let wrong = "SELECT missing FROM orders";
        let missing = sqlx::query(wrong).fetch_all(&pool);
        let missing =
            track_db_query(wrong, missing).error_code(|error: &sqlx::Error| error.as_database_error()?.code());
        missing.await.expect_err("no such column");
        "ok"
    };
    Router::new().route("/orders", get(handler)).layer(monitor.layer()).merge(monitor.router())
}

#[tokio::test]
async fn a_statement_has_its_text_once_and_its_series_its_id() {
    let monitor = built(Monitor::builder().database("sqlite:shop.db".parse().expect("a URL")));
    let app = service(&monitor).await;
    assert_eq!(support::get(&app, "/orders").await.0, 200);
    let (_, text) = support::get(&app, "/metrics").await;
    let samples = Samples::parse(&text);
    let fingerprint = "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total > ? AND c.name <> ? \
                       ORDER BY o.id LIMIT ?";
    assert_eq!(text.matches("ORDER BY o.id").count(), 1, "{text}");
    // The XXH64 hash of the fingerprint, by another implementation.
    let id = "db_query_id=\"96d4d33bd75a7a6b\"";
    assert_eq!(samples.statement(fingerprint), id);
    let on_replica = format!(
        "db_client_operation_duration_seconds_count{{db_system_name=\"sqlite\",db_namespace=\"replica\",\
         server_address=\"files.internal\",server_port=\"8080\",db_operation_name=\"SELECT\",\
         db_query_summary=\"SELECT orders customers\",{id}}} 1\n"
    );
    assert!(text.contains(&on_replica), "{text}");
    let insert = samples.statement("INSERT INTO orders(id) VALUES (...)");
    let assumed = format!(
        "db_client_operation_duration_seconds_count{{db_system_name=\"sqlite\",db_operation_name=\"INSERT\",\
         db_query_summary=\"INSERT orders\",{insert}}} 1\n"
    );
    assert!(text.contains(&assumed), "{text}");
    let wrong = samples.statement("SELECT missing FROM orders");
    assert_eq!(samples.sum("pinchpoint_queries_total", &[wrong, "outcome=\"error\""]), 1.0, "{text}");
    // SQLite's own code: SQLITE_ERROR.
    let code = [wrong, "error_type=\"1\"", "db_response_status_code=\"1\""];
    assert_eq!(samples.sum("db_client_operation_duration_seconds_count", &code), 1.0, "{text}");
    let of_pair = ["http_route=\"/orders\"", id];
    assert_eq!(samples.sum("pinchpoint_endpoint_query_calls_total", &of_pair), 1.0, "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("pinchpoint_queries_total{")).collect();
    assert!(lines.iter().all(|line| line.len() < 90), "tens of bytes: {lines:?}");
    // Buckets from 1 ms.
    let le = |edge: &str| {
        samples.series("db_client_operation_duration_seconds_bucket", &[id, &format!("le=\"{edge}\"")]).count()
    };
    assert_eq!(["0.001", "0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1.0", "5.0", "10.0", "+Inf"].map(le), [1; 11]);
    assert_eq!(["0.025", "2.5"].map(le), [0; 2]);
}

#[tokio::test]
async fn the_api_names_a_statement_by_its_text() {
    let monitor = built(Monitor::builder());
    let app = service(&monitor).await;
    support::get(&app, "/orders").await;
    let (_, detail) = support::get(&app, "/performance/endpoints/GET%20%2Forders").await;
    let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
    let queries = detail["endpoints"][0]["queries"].as_array().expect("a list");
    let mut texts: Vec<&str> = queries.iter().map(|query| query["query"].as_str().expect("text")).collect();
    texts.sort_unstable();
    assert_eq!(texts.len(), 3, "{detail}");
    assert_eq!(texts[..2], ["INSERT INTO orders(id) VALUES (...)", "SELECT missing FROM orders"], "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_finding_about_a_statement_has_its_text_and_a_rule_can_leave_it_out_by_that() {
    let rules = |exclude: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let rule = format!(
            "rules:\n  - {{ id: slow, scope: query, measure: avg_duration, min_samples: 1, exclude: [{{ {exclude} }}], \
             thresholds: {{ high: \"> 100ms\" }}, description: \"{{subject}} is slow\" }}\n"
        );
        std::fs::write(directory.path().join("slow.yaml"), rule).expect("written");
        directory
    };
    for (exclude, found) in [
        ("db_query_text: \"* FROM customers*\"", true),
        ("db_query_text: \"SELECT * FROM orders*\"", false),
        ("db_query_summary: \"SELECT orders\"", false),
        ("db_query_id: \"235b1898bde9d0a9\"", false),
    ] {
        let directory = rules(exclude);
        let monitor = built(Monitor::builder().rules_dir(directory.path()));
        let slow = || async {
            let sleep = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, std::io::Error>(())
            };
            track_db_query("SELECT a FROM orders WHERE b = 7", sleep).await.expect("it never fails");
        };
        let app = Router::new().route("/slow", get(slow)).layer(monitor.layer()).merge(monitor.router());
        support::get(&app, "/slow").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (_, answer) = support::get(&app, "/performance/bottlenecks").await;
        assert_eq!(answer.contains("SELECT a FROM orders WHERE b = ? is slow"), found, "{exclude}: {answer}");
        let (_, metrics) = support::get(&app, "/metrics").await;
        assert_eq!(metrics.contains("subject=\"SELECT a FROM orders WHERE b = ?\""), found, "{exclude}");
    }
}
