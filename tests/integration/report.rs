//! `/performance/report`: its formats, its ranking, and the redirect of `/performance`.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::{Request, Response, header};
use pinchpoint::{Monitor, track_async_task, track_db_query};
use serde_json::Value;
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::support::{get as fetch, monitor, read};

const MS: Duration = Duration::from_millis(1);

async fn query(sql: &'static str, took: Duration) {
    let work = async {
        sleep(took).await;
        Ok::<_, std::io::Error>(())
    };
    track_db_query(sql, work).await.expect("it never fails");
}

fn service(monitor: &Monitor) -> Router {
    let orders = || async {
        query("SELECT * FROM orders", 20 * MS).await;
        for _ in 0..40 {
            query("SELECT * FROM items WHERE order_id = 7", 25 * MS).await;
        }
        sleep(180 * MS).await;
    };
    let report = || async { query("SELECT sum(total) FROM orders", 1300 * MS).await };
    let hostile = || async {
        let work = async {
            sleep(900 * MS).await;
            Ok::<_, std::io::Error>(())
        };
        track_async_task("<script>alert(1)</script>", work).await.expect("it never fails");
    };
    Router::new()
        .route("/orders", get(orders))
        .route("/report", get(report))
        .route("/{<img src=x>}", get(hostile))
        .layer(monitor.layer())
        .merge(monitor.router())
}

async fn sick(monitor: &Monitor) -> Router {
    let app = service(monitor);
    for _ in 0..30 {
        fetch(&app, "/orders").await;
    }
    for _ in 0..10 {
        fetch(&app, "/report").await;
        fetch(&app, "/anything").await;
    }
    sleep(Duration::from_secs(40)).await;
    app
}

async fn answer(app: &Router, path: &str, accept: Option<&str>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("a router never fails")
}

fn kind(response: &Response<Body>) -> &str {
    response.headers().get(header::CONTENT_TYPE).expect("a type").to_str().expect("text")
}

#[tokio::test(start_paused = true)]
async fn recommendations_are_ranked_by_their_gain_and_say_how_it_is_computed() {
    let monitor = monitor();
    let app = sick(&monitor).await;
    let report: Value = serde_json::from_str(&fetch(&app, "/performance/report").await.1).expect("JSON");
    let list = report["recommendations"].as_array().expect("a list");
    let first = &list[0];
    assert_eq!(
        first["types"],
        serde_json::json!(["n_plus_one", "slow_endpoint"]),
        "one cause has one recommendation: {first:#}"
    );
    assert_eq!((&first["cause"]["kind"], &first["followed_by"]), (&"duplicate_queries".into(), &1.into()), "{first:#}");
    let gain = &first["expected_gain"];
    assert_eq!(gain["summary"], "takes GET /orders from 1.2s to about 225ms");
    assert_eq!(
        gain["how"],
        "40 calls in one request take 1s of it; one call in their place takes as long as one of them, 25ms; what \
         they wait outside the database is saved on top"
    );
    let shares: Vec<f64> = list.iter().map(|one| one["expected_gain"]["share"].as_f64().unwrap_or(0.0)).collect();
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    assert!((shares[0] - 30.0 * 0.975 / (30.0 * 1.2 + 10.0 * 1.3 + 10.0 * 0.9)).abs() < 0.01, "{shares:?}");
    let ranks: Vec<_> = list.iter().map(|one| one["rank"].as_u64().expect("a rank")).collect();
    assert_eq!(ranks, (1..=list.len() as u64).collect::<Vec<_>>());
    let subject = |at: usize| list[at]["subject"].as_str().expect("a text");
    assert_eq!(subject(1), "SELECT sum(total) FROM orders");
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_the_format_that_it_prefers() {
    let monitor = monitor();
    let app = sick(&monitor).await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (query, accept, expected) in [
        ("", None, "application/json"),
        ("", Some("*/*"), "application/json"),
        ("", Some(browser), "text/html; charset=utf-8"),
        ("", Some("text/markdown"), "text/markdown; charset=utf-8"),
        ("?format=markdown", Some(browser), "text/markdown; charset=utf-8"),
        ("?format=json", Some(browser), "application/json"),
        ("?format=html", None, "text/html; charset=utf-8"),
        ("?format=html&window=1m", None, "text/html; charset=utf-8"),
    ] {
        let response = answer(&app, &format!("/performance/report{query}"), accept).await;
        assert_eq!((response.status().as_u16(), kind(&response)), (200, expected), "{query} {accept:?}");
        assert_eq!(response.headers()[header::VARY], "accept");
    }
    for (query, accept, status, hint) in [
        ("", Some("application/xml"), 406, "text/markdown"),
        ("?format=pdf", Some(browser), 400, "json, html or markdown"),
        ("?window=1y", None, 400, "window must be"),
    ] {
        let (found, body) = read(answer(&app, &format!("/performance/report{query}"), accept).await).await;
        assert_eq!(found, status, "{body}");
        let body: Value = serde_json::from_str(&body).expect("an error is JSON");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(hint)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_from_the_service_are_never_markup() {
    let monitor = monitor();
    let app = sick(&monitor).await;
    let response = answer(&app, "/performance/report?format=html", None).await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let page = read(response).await.1;
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("/{&lt;img src=x&gt;}"));
}

#[tokio::test(start_paused = true)]
async fn no_browser_takes_an_answer_for_another_type() {
    let monitor = monitor();
    let app = sick(&monitor).await;
    for path in ["/metrics", "/performance/bottlenecks", "/performance/report?format=html", "/performance/no-such"] {
        assert_eq!(answer(&app, path, None).await.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
}

/// Follows a redirect as a browser does.
async fn followed(app: &Router, path: &str, accept: &str) -> (String, Response<Body>) {
    let response = answer(app, path, Some(accept)).await;
    assert_eq!(response.status(), 307);
    let to = response.headers()[header::LOCATION].to_str().expect("text");
    let directory = &path[..=path.rfind('/').expect("a path")];
    let to = if to.starts_with('/') { to.to_owned() } else { format!("{directory}{to}") };
    let response = answer(app, &to, Some(accept)).await;
    (to, response)
}

#[tokio::test(start_paused = true)]
async fn performance_redirects_a_program_to_the_report_also_when_nested() {
    let monitor = monitor();
    let app = service(&monitor);
    let nested = Router::new().nest("/internal", monitor.router());
    for (app, prefix) in [(&app, ""), (&nested, "/internal")] {
        let path = format!("{prefix}/performance");
        let (to, response) = followed(app, &format!("{path}?format=html"), "*/*").await;
        assert_eq!(to, format!("{path}/report?format=html"));
        assert_eq!((response.status().as_u16(), kind(&response)), (200, "text/html; charset=utf-8"));
        let (to, response) = followed(app, &path, "*/*").await;
        assert_eq!((to, kind(&response)), (format!("{path}/report"), "application/json"));
    }
}
