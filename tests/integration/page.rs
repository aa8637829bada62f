//! The live page: who gets it, what is on it, that it is written once for all who look, and that names stay names.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::{HeaderMap, Request};
use pinchpoint::{Control, Monitor, track_async_task, track_db_query, track_wait};
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::support::{built, get as fetch, monitor, read, send};

/// What a browser sends.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const MS: Duration = Duration::from_millis(1);

async fn asked(app: &Router, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let response = app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("it never fails");
    let headers = response.headers().clone();
    let (status, body) = read(response).await;
    (status, headers, body)
}

async fn page(app: &Router, path: &str) -> String {
    let (status, headers, body) = asked(app, path, &[("accept", BROWSER)]).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().expect("a type")),
        "{path}"
    );
    body
}

async fn work(took: Duration) -> std::io::Result<()> {
    sleep(took).await;
    Ok(())
}

/// A service with a slow query, a wait and a task behind one route each.
fn service(monitor: &Monitor) -> Router {
    let slow = || async {
        _ = track_db_query("SELECT * FROM orders WHERE id = 7", work(400 * MS)).await;
        _ = track_wait("lock", "ledger", work(800 * MS)).await;
        _ = track_async_task("send_mail", work(100 * MS)).await;
    };
    let routes = Router::new().route("/slow", get(slow)).route("/fast/{id}", get(|| async { sleep(MS).await }));
    routes.layer(monitor.layer()).merge(monitor.router())
}

async fn sick(monitor: &Monitor) -> Router {
    let app = service(monitor);
    for _ in 0..40 {
        fetch(&app, "/slow").await;
        fetch(&app, "/fast/1").await;
    }
    sleep(Duration::from_secs(40)).await;
    app
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_the_page_and_a_program_what_it_got_before() {
    let app = service(&monitor());
    let (status, headers, _) = asked(&app, "/performance", &[]).await;
    assert_eq!((status, &headers["location"]), (307, &"performance/report".parse().expect("an address")));
    let (status, headers, _) = asked(&app, "/performance?format=markdown&window=5m", &[("accept", BROWSER)]).await;
    let report = "performance/report?format=markdown&window=5m".parse().expect("an address");
    assert_eq!((status, &headers["location"]), (307, &report));
    let (_, headers, body) = asked(&app, "/performance", &[("accept", BROWSER)]).await;
    let policy = headers["content-security-policy"].to_str().expect("text");
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["style=", "<style", " onclick", "javascript:"] {
        assert!(!body.contains(inline), "{inline}");
    }
    assert_eq!(body.matches("<script").count(), 1, "its own script, from a file");
}

#[tokio::test(start_paused = true)]
async fn every_state_is_said_in_words() {
    let monitor = built(Monitor::builder().control(Control::Open));
    let app = service(&monitor);
    assert!(page(&app, "/performance").await.contains("The rules have not been evaluated yet"));
    sleep(Duration::from_secs(6)).await;
    assert!(page(&app, "/performance").await.contains("No request has been measured yet"));
    assert!(page(&app, "/performance/view/queries").await.contains("No query has been seen in the last 5m"));
    assert!(page(&app, "/performance/view/slos").await.contains("No objective is set"));
    fetch(&app, "/fast/1").await;
    sleep(Duration::from_secs(6)).await;
    assert!(page(&app, "/performance").await.contains("Nothing that the rules look for."));
    send(&app, "POST", "/performance/stop-monitoring").await;
    let stopped = page(&app, "/performance").await;
    assert!(
        stopped.contains("Monitoring is stopped.") && stopped.contains("data-path=\"start-monitoring\""),
        "at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_finding_opens_to_its_evidence_and_its_rule() {
    let app = sick(&monitor()).await;
    let overview = page(&app, "/performance").await;
    for said in [
        "Endpoint GET /slow has slow average response time",
        "of the time of all requests",
        "Where the time goes",
        "Slowest requests",
        "own_avg_duration &gt; 1s is high, &gt; 5s is critical, over 5m",
        "<code>endpoints.yaml:",
        " as shipped",
        "ledger",
        "send_mail",
        "Response time</figcaption>",
    ] {
        assert!(overview.contains(said), "{said}: {overview}");
    }
    let id = overview.split("data-finding=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a finding");
    assert!(!overview.contains("\" open>"));
    let opened = page(&app, &format!("/performance?finding=x,{id}")).await;
    assert!(opened.contains(&format!("data-finding=\"{id}\" open>")));
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_query_call_and_task_has_a_page_and_its_data() {
    let app = sick(&monitor()).await;
    let slow = page(&app, "/performance/view/endpoints?name=GET%20/slow").await;
    for said in
        ["Its queries", "Its calls, waits and tasks", "Its slowest requests", "tests/integration/page.rs:", "in flight"]
    {
        assert!(slow.contains(said), "{said}: {slow}");
    }
    for (view, name) in [
        ("queries", "SELECT%20*%20FROM%20orders%20WHERE%20id%20=%20%3F"),
        ("calls", "lock%20ledger"),
        ("tasks", "send_mail"),
    ] {
        let one = page(&app, &format!("/performance/view/{view}?name={name}")).await;
        assert!(one.contains("From where") && one.contains("GET /slow"), "{view}: {one}");
        let (status, data) = fetch(&app, &format!("/performance/view/{view}?format=json")).await;
        let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(
            (status, &data["rows"][0]["calls"], &data["rows"][0]["endpoints"][0]["endpoint"]),
            (200, &40.into(), &"GET /slow".into())
        );
    }
    let (status, _, gone) = asked(&app, "/performance/view/tasks?name=%3Cb%3E", &[("accept", BROWSER)]).await;
    assert!(
        status == 404 && gone.contains("&lt;b&gt;</code> has not been measured") && !gone.contains("<b>…"),
        "{gone}"
    );
    for (path, expected) in [
        ("/performance/view/none", 404),
        ("/performance/view/rules?range=2h", 400),
        ("/performance/view/rules?page=0", 400),
        ("/performance/view/rules?colour=red", 400),
        ("/performance/view/rules?format=xml", 400),
        ("/performance/view/rules?format=json", 404),
    ] {
        assert_eq!(asked(&app, path, &[("accept", BROWSER)]).await.0, expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_the_same_until_the_next_evaluation_and_is_not_sent_twice() {
    let app = sick(&monitor()).await;
    let (_, headers, first) = asked(&app, "/performance", &[("accept", BROWSER)]).await;
    let tag = headers["etag"].to_str().expect("text").to_owned();
    fetch(&app, "/fast/1").await;
    let (status, headers, nothing) = asked(&app, "/performance", &[("accept", BROWSER), ("if-none-match", &tag)]).await;
    assert_eq!((status, headers["etag"].to_str().expect("text"), &*nothing), (304, &*tag, ""));
    let request = Request::get("/performance").header("accept", BROWSER).header("accept-encoding", "gzip");
    let answer = app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("it never fails");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let compressed = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body").to_bytes();
    assert!(compressed.len() * 3 < first.len(), "{} of {}", compressed.len(), first.len());
    sleep(Duration::from_secs(5)).await;
    let (status, headers, _) = asked(&app, "/performance", &[("accept", BROWSER), ("if-none-match", &tag)]).await;
    assert_eq!(status, 200);
    assert_ne!(headers["etag"].to_str().expect("text"), tag);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_routes_are_a_page_of_less_than_300_kb() {
    let monitor = monitor();
    let mut routes = Router::new();
    for route in 0..1000 {
        routes = routes.route(&format!("/api/resources/number-{route}/{{id}}"), get(|| async {}));
    }
    let app = routes.layer(monitor.layer()).merge(monitor.router());
    for route in 0..1000 {
        fetch(&app, &format!("/api/resources/number-{route}/7")).await;
    }
    sleep(Duration::from_secs(65)).await;
    for (path, all) in [("/performance", "All 1000 endpoints"), ("/performance/view/endpoints", "page 1 of 20")] {
        let page = page(&app, path).await;
        assert!(page.len() < 300_000 && page.contains(all), "{path}: {} bytes", page.len());
    }
    let filtered = page(&app, "/performance/view/endpoints?q=number-99&sort=name").await;
    assert!(filtered.contains("11 of 1000 endpoints") && filtered.contains("aria-sort=\"ascending\""));
}

#[tokio::test(start_paused = true)]
async fn names_stay_names() {
    const HOSTILE: &str = "\"><script>alert(1)</script>'\u{202e}<img src=x onerror=alert(1)>&amp;";
    let monitor = monitor();
    let long = format!("{HOSTILE}{}", "x".repeat(10_000));
    let hostile = move || {
        let long = long.clone();
        async move {
            _ = track_db_query(long.clone(), work(400 * MS)).await;
            _ = track_async_task(long.clone(), work(900 * MS)).await;
            _ = track_wait("lock", long, work(100 * MS)).await;
        }
    };
    let app = Router::new()
        .route("/<script>alert(2)</script>\"'", get(hostile))
        .layer(monitor.layer())
        .merge(monitor.router());
    for _ in 0..30 {
        fetch(&app, "/%3Cscript%3Ealert(2)%3C/script%3E%22'").await;
    }
    sleep(Duration::from_secs(40)).await;
    for path in [
        "/performance",
        "/performance/view/endpoints",
        "/performance/view/queries",
        "/performance/view/calls",
        "/performance/view/tasks",
        "/performance/view/tasks?name=%22%3E%3Cscript%3E&q=%22%3E%3Cscript%3E&sort=%22%3E%3Cscript%3E",
        "/performance/view/endpoints?q=%22%3E%3Cscript%3E",
    ] {
        let (_, _, page) = asked(&app, path, &[("accept", BROWSER)]).await;
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
        assert!(page.len() < 300_000, "{path}: {}", page.len());
    }
}

#[tokio::test(start_paused = true)]
async fn style_and_script_are_kept_by_browsers_and_follow_their_content() {
    let app = service(&monitor());
    let overview = page(&app, "/performance").await;
    for (file, kind) in [("page.css", "text/css; charset=utf-8"), ("page.js", "text/javascript; charset=utf-8")] {
        let address = overview.split(&format!("\"performance/{file}")).nth(1).and_then(|rest| rest.split('"').next());
        let (status, headers, _) =
            asked(&app, &format!("/performance/{file}{}", address.expect("it is there")), &[]).await;
        assert_eq!((status, headers["content-type"].to_str().expect("text")), (200, kind));
        assert!(headers["cache-control"].to_str().expect("text").contains("immutable"));
    }
}
