//! `/performance/events`: what a stream says, that a client goes on where it was, and that no listener costs another anything.

use std::time::Duration;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use crate::{
    api::{service, traffic},
    support::{get as fetch, monitor, read},
};

/// The default interval of the evaluations.
const TICK: Duration = Duration::from_secs(5);

/// A client of the stream.
struct Client {
    body: Body,
    seen: String,
}

impl Client {
    /// Begins to listen, after the event that it last saw where that is named.
    async fn listens(app: &Router, last_seen: Option<&str>) -> Self {
        let request = Request::get("/performance/events");
        let request = last_seen.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let response = app.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let response = response.expect("a router never fails");
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &"text/event-stream".parse().expect("a type"))
        );
        Self { body: response.into_body(), seen: String::new() }
    }

    /// Reads what comes within a moment, and returns all that it has seen; `None` in place of more where the stream has ended.
    async fn reads(&mut self) -> (&str, bool) {
        loop {
            match tokio::time::timeout(Duration::from_millis(1), self.body.frame()).await {
                Err(_) => return (&self.seen, true),
                Ok(None) => return (&self.seen, false),
                Ok(Some(frame)) => {
                    let data = frame.expect("no error").into_data().expect("data");
                    self.seen += std::str::from_utf8(&data).expect("text");
                }
            }
        }
    }
}

/// Returns the values of a field of the stream, such as `id`.
fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// Has the rules evaluated, while requests come.
async fn ticks(app: &Router, times: usize) {
    for _ in 0..times {
        sleep(TICK).await;
        fetch(app, "/users/7").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_again_gets_what_it_missed_and_nothing_twice() {
    let monitor = monitor();
    let app = service(&monitor);
    let mut steady = Client::listens(&app, None).await;
    traffic(&app, 20).await;
    steady.reads().await;
    for _ in 0..12 {
        ticks(&app, 1).await;
        steady.reads().await;
    }
    let all = steady.reads().await.0.to_owned();
    let ids = fields(&all, "id");
    assert!(ids.len() > 12 && fields(&all, "event").contains(&"bottleneck"), "{all}");
    for (at, id) in ids.iter().enumerate() {
        let mut again = Client::listens(&app, Some(id)).await;
        let (missed, _) = again.reads().await;
        assert_eq!(fields(missed, "id"), ids[at + 1..], "after {id}");
        // Field by field as it was: an evaluation is written once.
        let of_these = |text: &str| fields(text, "data").into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(of_these(missed), of_these(&all)[at + 1..], "after {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_what_is_not_kept_any_more() {
    let (before, now) = (monitor(), monitor());
    let (app_before, app) = (service(&before), service(&now));
    let mut client = Client::listens(&app_before, None).await;
    ticks(&app_before, 1).await;
    let (seen, _) = client.reads().await;
    let of_another_run = fields(seen, "id").last().expect("an event").to_string();

    let mut client = Client::listens(&app, Some(&of_another_run)).await;
    let (seen, _) = client.reads().await;
    assert!(
        seen.contains("event: gap\n") && seen.contains(r#"{"reason":"restarted","missed_evaluations":null,"#),
        "{seen}"
    );
    // What a browser takes for the last event is of this run: it is told once.
    let next = fields(seen, "id").last().expect("an id").to_string();
    let mut client = Client::listens(&app, Some(&next)).await;
    assert!(!client.reads().await.0.contains("event: gap"));

    ticks(&app, 1).await;
    let (seen, _) = client.reads().await;
    let long_ago = fields(seen, "id").first().expect("an event").to_string();
    drop(client);
    ticks(&app, 400).await;
    let mut client = Client::listens(&app, Some(&long_ago)).await;
    let (seen, _) = client.reads().await;
    assert!(seen.contains(r#"{"reason":"too_old","missed_evaluations":40"#), "{seen}");
    for none_of_ours in ["x", "0-1-2", "\u{7f}"] {
        let Ok(id) = http::HeaderValue::from_str(none_of_ours) else { continue };
        let mut client = Client::listens(&app, id.to_str().ok()).await;
        assert!(client.reads().await.0.contains("event: gap"), "{none_of_ours}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_loses_its_place_and_comes_again() {
    let monitor = monitor();
    let app = service(&monitor);
    let mut slow = Client::listens(&app, None).await;
    ticks(&app, 2).await;
    let (seen, goes_on) = slow.reads().await;
    assert!(goes_on);
    let last = fields(seen, "id").last().expect("an event").to_string();
    ticks(&app, 20).await;
    let (_, goes_on) = slow.reads().await;
    assert!(!goes_on, "its place may be another's");
    let mut again = Client::listens(&app, Some(&last)).await;
    let (missed, goes_on) = again.reads().await;
    assert!(goes_on && !missed.contains("event: gap"), "{missed}");
    let number = |id: &str| id.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok()).expect("a number");
    let numbers: Vec<u64> = fields(missed, "id").into_iter().map(number).collect();
    assert_eq!(numbers, (number(&last) + 1..=number(&last) + 20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn events_report_a_bottleneck_that_starts() {
    let monitor = monitor();
    let app = service(&monitor);
    let request = Request::get("/performance/events").body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let mut events = response.into_body();
    traffic(&app, 20).await;
    let mut seen = String::new();
    while !seen.contains("\"change\":\"started\"") {
        // A service without requests ends the stream.
        traffic(&app, 1).await;
        let frame = events.frame().await.expect("goes on").expect("no error");
        seen.push_str(std::str::from_utf8(frame.data_ref().expect("data")).expect("text"));
    }
    assert!(seen.contains("event: evaluation") && seen.contains("event: bottleneck"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_goes_on_while_requests_come_and_ends_10_s_after_the_last() {
    let monitor = monitor();
    let app = service(&monitor);
    let request = Request::get("/performance/events").body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    let reading = tokio::spawn(read(response));
    for path in ["/users/7", "/metrics"] {
        for _ in 0..10 {
            sleep(Duration::from_secs(6)).await;
            fetch(&app, path).await;
        }
        assert!(!reading.is_finished(), "{path}");
    }
    let last = Instant::now();
    let (_, text) = reading.await.expect("no panic");
    let waited = last.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited <= Duration::from_secs(15), "{waited:?}");
    assert!(text.starts_with("retry: 1000\n") && text.contains(": no request has come for 10 s"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn listeners_are_limited() {
    let monitor = monitor();
    let app = service(&monitor);
    let mut open = Vec::new();
    let refused = loop {
        let request = Request::get("/performance/events").body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("a router never fails");
        if response.status() != 200 {
            break response.status();
        }
        open.push(response);
    };
    assert_eq!((refused, open.len()), (StatusCode::SERVICE_UNAVAILABLE, 64));
    open.pop();
    let request = Request::get("/performance/events").body(Body::empty()).expect("a request");
    assert_eq!(app.oneshot(request).await.expect("a router never fails").status(), 200, "a place was given back");
}
