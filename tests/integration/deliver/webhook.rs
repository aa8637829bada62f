//! With webhooks that answer as a test wants.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse as _,
};
use http::{HeaderMap, Request, StatusCode, header::RETRY_AFTER};
use http_body_util::BodyExt as _;
use pinchpoint::{AlertReceiver, Control, Secret, Severity};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracing_subscriber::fmt::MakeWriter;

use super::{Shop, builder, subject};
use crate::{
    api::json as answer_of,
    support::{
        Samples, get,
        prometheus::LOOKS,
        read, serve,
        tls::{AUTHORITY, serve_tls},
    },
};

/// What a webhook answers to one request.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Ok,
    Status(u16),
    RetryAfter(u16, u64),
    /// 404, with the address that was asked for.
    Address,
    Nothing,
}

/// One request that a webhook got.
#[derive(Clone, Debug)]
pub(super) struct Got {
    path: String,
    headers: HeaderMap,
    body: Value,
    at: Instant,
}

/// A webhook, which keeps what it is sent.
pub(super) struct Webhook {
    scheme: &'static str,
    address: std::net::SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Webhook {
    /// Starts one that accepts everything.
    pub(super) async fn start() -> Self {
        Self::saying([]).await
    }

    /// Starts one that answers so, one request after the other, and accepts what comes then.
    pub(super) async fn saying(answers: impl IntoIterator<Item = Said>) -> Self {
        let (app, got) = Self::app(answers);
        Self { scheme: "http", address: serve(app).await, got }
    }

    /// Starts one that is reached over TLS, with a certificate of the tests' own authority.
    async fn encrypted() -> Self {
        let (app, got) = Self::app([]);
        Self { scheme: "https", address: serve_tls(app, &[]).await, got }
    }

    fn app(answers: impl IntoIterator<Item = Said>) -> (Router, Arc<Mutex<Vec<Got>>>) {
        let got = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Mutex<VecDeque<Said>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
        let kept = got.clone();
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (kept, answers) = (kept.clone(), answers.clone());
            async move {
                let (parts, body) = request.into_parts();
                let bytes: Bytes = body.collect().await.expect("a whole body").to_bytes();
                let body = serde_json::from_slice(&bytes).expect("JSON");
                let path = parts.uri.to_string();
                let address = path.clone();
                kept.lock().expect("sound").push(Got { path, headers: parts.headers, body, at: Instant::now() });
                let said = answers.lock().expect("sound").pop_front().unwrap_or(Said::Ok);
                match said {
                    Said::Ok => "ok".into_response(),
                    Said::Status(status) => (StatusCode::from_u16(status).expect("one"), "no").into_response(),
                    Said::RetryAfter(status, seconds) => {
                        let status = StatusCode::from_u16(status).expect("one");
                        (status, [(RETRY_AFTER, seconds.to_string())]).into_response()
                    }
                    Said::Address => (StatusCode::NOT_FOUND, format!("no hook at {address}")).into_response(),
                    Said::Nothing => std::future::pending().await,
                }
            }
        });
        (app, got)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    fn requests(&self) -> Vec<Got> {
        self.got.lock().expect("sound").clone()
    }

    /// Waits for as many requests, and returns their bodies.
    pub(super) async fn until(&self, requests: usize) -> Vec<Value> {
        for _ in 0..LOOKS {
            let got = self.requests();
            if got.len() >= requests {
                assert_eq!(got.len(), requests, "{got:?}");
                return got.into_iter().map(|got| got.body).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.requests());
    }
}

#[tokio::test]
async fn a_webhook_is_told_each_change_once_in_the_format_of_alertmanagers_own() {
    let webhook = Webhook::start().await;
    let shop = Shop::open(builder().alert_receiver(AlertReceiver::webhook("chat", webhook.url("/hook"))));
    shop.fill("mails", 50.0);
    let told = webhook.until(1).await;
    assert_eq!(
        (&told[0]["version"], &told[0]["receiver"], &told[0]["status"]),
        (&json!("4"), &json!("chat"), &json!("firing"))
    );
    let alert = &told[0]["alerts"][0];
    assert_eq!((&alert["labels"]["subject"], &alert["labels"]["job"]), (&json!(subject("mails")), &json!("shop")));
    shop.fill("mails", 0.0);
    let told = webhook.until(2).await;
    assert_eq!((&told[1]["status"], &told[1]["alerts"][0]["startsAt"]), (&json!("resolved"), &alert["startsAt"]));
    let state = shop.until("chat", |receiver| receiver["accepted"] == 2).await;
    assert_eq!((&state["kind"], &state["state"], &state["waiting"]), (&json!("webhook"), &json!("working"), &json!(0)));
}

#[tokio::test]
async fn of_more_changes_than_a_message_holds_each_is_sent() {
    let webhook = Webhook::start().await;
    let chat = AlertReceiver::webhook("chat", webhook.url("/"));
    let shop = Shop::open(builder().alert_grace(Duration::from_secs(1)).alert_receiver(chat));
    let queues: BTreeSet<String> = (0..63).map(|queue| format!("queue {queue:02}")).collect();
    queues.iter().for_each(|queue| shop.fill(queue, 50.0));
    let sent = |bodies: &[Value], status: &str| -> BTreeSet<String> {
        let alerts = bodies.iter().flat_map(|body| body["alerts"].as_array().expect("a list"));
        let wanted = alerts.filter(|alert| alert["status"] == status);
        wanted.map(|alert| alert["labels"]["subject"].as_str().expect("a subject").to_owned()).collect()
    };
    let all: BTreeSet<String> = queues.iter().map(|queue| subject(queue)).collect();
    let told = webhook.until(3).await;
    let left: Vec<_> = told.iter().map(|body| body["truncatedAlerts"].clone()).collect();
    assert_eq!((sent(&told, "firing"), left), (all.clone(), vec![json!(33), json!(3), json!(0)]));
    queues.iter().for_each(|queue| shop.fill(queue, 0.0));
    // Several evaluations may see the ends.
    for _ in 0..LOOKS {
        let bodies: Vec<_> = webhook.requests().into_iter().map(|got| got.body).collect();
        if sent(&bodies, "resolved") == all {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", webhook.requests());
}

/// The secrets of a message go over TLS to who has a certificate only.
#[tokio::test]
async fn a_certificate_must_be_of_an_authority_that_is_trusted() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("authority.pem");
    std::fs::write(&file, AUTHORITY).expect("writes");
    let (known, unknown) = (Webhook::encrypted().await, Webhook::encrypted().await);
    let shop = Shop::open(
        builder()
            .alert_receiver(AlertReceiver::webhook("known", known.url("/hook")).ca_file(&file))
            .alert_receiver(AlertReceiver::webhook("unknown", unknown.url("/hook"))),
    );
    shop.fill("mails", 50.0);
    known.until(1).await;
    let failing = shop.until("unknown", |receiver| receiver["state"] == "failing").await;
    assert_eq!(
        failing["error"],
        "cannot connect: invalid peer certificate: UnknownIssuer (no authority that is trusted here has signed for it: ca_file \
         names one of your own)"
    );
    assert_eq!(unknown.requests().len(), 0);
    let state = shop.until("known", |receiver| receiver["accepted"] == 1).await;
    assert_eq!(state["state"], "working");
}

#[tokio::test]
async fn a_busy_receiver_is_left_alone_for_as_long_as_it_asks() {
    for status in [429, 503] {
        let webhook = Webhook::saying([Said::RetryAfter(status, 2)]).await;
        let shop = Shop::open(builder().alert_receiver(AlertReceiver::webhook("chat", webhook.url("/"))));
        shop.fill("mails", 50.0);
        let failing = shop.until("chat", |receiver| receiver["state"] == "failing").await;
        assert!(
            failing["error"].as_str().is_some_and(|error| error.starts_with(&format!("it answered {status}"))),
            "{failing}"
        );
        assert_eq!(failing["waiting"], 1);
        let told = webhook.until(2).await;
        assert_eq!(told[0], told[1]);
        let requests = webhook.requests();
        assert!(requests[1].at - requests[0].at >= Duration::from_millis(1_950), "{status}");
        shop.until("chat", |receiver| receiver["state"] == "working").await;
    }
}

#[tokio::test]
async fn what_a_receiver_refuses_for_good_is_not_sent_again() {
    let webhook = Webhook::saying([Said::Status(400), Said::Status(307)]).await;
    let shop = Shop::open(builder().alert_receiver(AlertReceiver::webhook("chat", webhook.url("/"))));
    shop.fill("mails", 50.0);
    shop.until("chat", |receiver| receiver["rejected"] == 1).await;
    shop.fill("mails", 0.0);
    let state = shop.until("chat", |receiver| receiver["rejected"] == 2).await;
    assert_eq!(state["error"], "it answered 307 Temporary Redirect, a redirect, which is not followed");
    shop.fill("mails", 50.0);
    webhook.until(3).await;
    shop.until("chat", |receiver| receiver["accepted"] == 1).await;
    let rejected = Samples::of(&shop.monitor)
        .sum("pinchpoint_notifications_total", &["receiver=\"chat\"", "outcome=\"rejected\""]);
    assert_eq!(rejected, 2.0);
}

#[tokio::test]
async fn a_receiver_that_never_answers_slows_nothing() {
    let (slow, quick) = (Webhook::saying([Said::Nothing]).await, Webhook::start().await);
    let receiver = |name: &str, webhook: &Webhook| AlertReceiver::webhook(name, webhook.url("/"));
    let slow_one = receiver("slow", &slow).timeout(Duration::from_millis(1_500));
    let shop = Shop::open(builder().alert_receiver(slow_one).alert_receiver(receiver("quick", &quick)));
    shop.fill("mails", 50.0);
    quick.until(1).await;
    slow.until(1).await;
    // While the first hangs, the rules are judged, the API answers and the second is told.
    let before = answer_of(&shop.app, "/performance/status").await["evaluated_at"].clone();
    shop.fill("mails", 0.0);
    quick.until(2).await;
    assert_eq!(slow.requests().len(), 1);
    let after = answer_of(&shop.app, "/performance/status").await["evaluated_at"].clone();
    assert_ne!(before, after);
    let failing = shop.until("slow", |receiver| receiver["state"] == "failing").await;
    assert_eq!(failing["error"], "no answer within 1.5s");
    // Both messages arrive in the end, in order.
    let told = slow.until(3).await;
    let statuses: Vec<_> = told.iter().map(|body| body["status"].clone()).collect();
    assert_eq!(statuses, ["firing", "firing", "resolved"]);
}

#[tokio::test]
async fn a_shutdown_sends_what_is_due_and_ends_nothing() {
    let webhook = Webhook::start().await;
    let shop = Shop::open(builder().alert_receiver(AlertReceiver::webhook("chat", webhook.url("/"))));
    shop.fill("mails", 50.0);
    webhook.until(1).await;
    shop.monitor.shutdown().await;
    assert_eq!(webhook.requests().len(), 1, "the alert still fires");
}

#[tokio::test]
async fn slack_gets_its_format_and_a_severity_may_be_asked_for() {
    let webhook = Webhook::start().await;
    let chat =
        AlertReceiver::webhook("chat", webhook.url("/services/T0/B0/x")).slack().min_severity(Severity::Critical);
    let shop = Shop::open(builder().alert_receiver(chat));
    shop.fill("mails", 50.0);
    shop.fill("orders <new>", 500.0);
    let told = webhook.until(1).await;
    assert_eq!(told[0]["text"], "[FIRING: 1] shop on shop-7");
    let attachment = &told[0]["attachments"][0];
    assert_eq!(attachment["title"], "[FIRING] long_queue (critical): queue_depth{queue=\"orders &lt;new&gt;\"}");
    assert!(attachment["text"].as_str().is_some_and(|text| text.contains("has 500 entries")), "{attachment}");
}

#[tokio::test]
async fn a_template_of_ones_own_is_checked_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ticket.json");
    let webhook = Webhook::start().await;
    let receiver = || AlertReceiver::webhook("tickets", webhook.url("/")).template_file(&file);
    std::fs::write(&file, r#"{"title": "{titel}"}"#).expect("writes");
    let error = builder().alert_receiver(receiver()).build().expect_err("a typing error").to_string();
    let expected = format!(
        "the receiver of alerts tickets cannot be used: {}: at /title: unknown placeholder {{titel}}; did you mean {{title}}?",
        file.display()
    );
    assert_eq!(error, expected);
    std::fs::write(&file, r#"{"summary": "{title}", "fields": [{"each": {"name": "{subject}", "p": "{severity}"}}]}"#)
        .expect("writes");
    let shop = Shop::open(builder().alert_receiver(receiver()));
    shop.fill("mails", 50.0);
    let expected =
        json!({ "summary": "[FIRING: 1] shop on shop-7", "fields": [{ "name": subject("mails"), "p": "high" }] });
    assert_eq!(webhook.until(1).await, [expected]);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "old\n").expect("writes");
    let webhook = Webhook::saying([Said::Status(401)]).await;
    let chat = AlertReceiver::webhook("chat", webhook.url("/")).bearer_token(Secret::file(&file));
    let shop = Shop::open(builder().alert_receiver(chat));
    std::fs::write(&file, "new\n").expect("writes");
    shop.fill("mails", 50.0);
    webhook.until(2).await;
    let sent: Vec<_> = webhook.requests().iter().map(|got| got.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer old", "Bearer new"]);
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_output_has_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "hunter2-password").expect("writes");
    let refusing = || async { Webhook::saying([Said::Status(404), Said::Status(500)]).await };
    let (hook, token, basic) = (refusing().await, refusing().await, refusing().await);
    let gone = "http://me:hunter2-userinfo@127.0.0.1:1/hunter2-path?key=hunter2-query";
    let builder = builder()
        .alert_receiver(AlertReceiver::webhook("hook", hook.url("/services/hunter2-path")).slack())
        .alert_receiver(AlertReceiver::webhook("token", token.url("/")).bearer_token(Secret::value("hunter2-token")))
        .alert_receiver(AlertReceiver::alertmanager(basic.url("/")).basic_auth("me", Secret::file(&file)))
        .alert_receiver(AlertReceiver::webhook("gone", gone));
    let mut outputs = vec![format!("{builder:?}")];
    let shop = Shop::open(builder);
    shop.fill("mails", 50.0);
    for name in ["hook", "token", "gone"] {
        shop.until(name, |receiver| receiver["state"] == "failing").await;
    }
    // They were sent, after all.
    assert_eq!(hook.requests()[0].path, "/services/hunter2-path");
    assert_eq!(token.requests()[0].headers["authorization"], "Bearer hunter2-token");
    outputs.push(format!("{:?}", shop.monitor));
    for path in [
        "/metrics",
        "/performance/status",
        "/performance/bottlenecks",
        "/performance/report",
        "/performance/openapi.json",
    ] {
        outputs.push(get(&shop.app, path).await.1);
    }
    let wrong = AlertReceiver::webhook("x", "hunter2 is no address");
    outputs.push(format!("{:?}", super::builder().alert_receiver(wrong).build().expect_err("wrong")));
    shop.monitor.shutdown().await;
    // Of the monitor: what hyper logs of its own at the level of `trace` is for who asks for that.
    let logged = String::from_utf8_lossy(&log.0.lock().expect("sound")).into_owned();
    let own = logged.lines().filter(|line| line.contains("pinchpoint"));
    assert!(logged.contains("notifications do not arrive"), "{logged}");
    outputs.extend(own.map(str::to_owned));
    for output in outputs {
        assert!(!output.contains("hunter2"), "{output}");
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_not_sent_and_its_end_neither() {
    let webhook = Webhook::start().await;
    let chat = AlertReceiver::webhook("chat", webhook.url("/"));
    let shop = Shop::open(builder().control(Control::Open).alert_receiver(chat));
    let acknowledge = async |method: &str, id: &str| {
        let request = Request::builder().method(method).uri(format!("/performance/bottlenecks/{id}/acknowledge"));
        let body = json!({ "by": "ana", "reason": "known" }).to_string();
        let request = request.body(Body::from(body)).expect("a request");
        let (status, answer) = read(shop.app.clone().oneshot(request).await.expect("a router never fails")).await;
        assert_eq!(status, 200, "{answer}");
    };
    shop.fill("mails", 50.0);
    webhook.until(1).await;
    let id = answer_of(&shop.app, "/performance/bottlenecks").await["bottlenecks"][0]["id"].clone();
    let id = id.as_str().expect("an id");
    acknowledge("POST", id).await;
    shop.until_evaluated().await;
    shop.fill("mails", 0.0);
    shop.until_evaluated().await;
    shop.fill("mails", 50.0);
    shop.until_evaluated().await;
    // The next message is about another queue, and only about that.
    shop.fill("orders", 50.0);
    let told = webhook.until(2).await;
    let subjects = |body: &Value| -> Vec<Value> {
        let alerts = body["alerts"].as_array().expect("a list");
        alerts.iter().map(|alert| alert["labels"]["subject"].clone()).collect()
    };
    assert_eq!(subjects(&told[1]), [json!(subject("orders"))]);
    acknowledge("DELETE", id).await;
    let told = webhook.until(3).await;
    assert_eq!((&told[2]["status"], subjects(&told[2])), (&json!("firing"), vec![json!(subject("mails"))]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_reads_the_message() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("message.json");
    let page = AlertReceiver::command("page", "dd", [format!("of={}", file.display())]);
    let shop = Shop::open(builder().alert_receiver(page));
    shop.fill("mails", 50.0);
    shop.until("page", |receiver| receiver["accepted"] == 1).await;
    let message: Value = serde_json::from_slice(&std::fs::read(file).expect("written")).expect("JSON");
    assert_eq!(message["alerts"][0]["labels"]["subject"], subject("mails"));
}

#[tokio::test]
async fn names_are_told_apart_and_wrong_receivers_are_refused() {
    let twice = || AlertReceiver::webhook("chat", "http://127.0.0.1:1/");
    let error = builder().alert_receiver(twice()).alert_receiver(twice()).build().expect_err("twice").to_string();
    assert!(error.contains("another receiver has the same name"), "{error}");
    let nameless = AlertReceiver::webhook("", "http://127.0.0.1:1/");
    assert!(builder().alert_receiver(nameless).build().expect_err("no name").to_string().contains("its name is empty"));
    let late = AlertReceiver::command("x", "x", [""; 0]).timeout(Duration::from_secs(9_999));
    assert!(builder().alert_receiver(late).build().expect_err("late").to_string().contains("100ms to 5m"));
    let missing = AlertReceiver::alertmanager(Secret::file("/no/such/file"));
    let error = builder().alert_receiver(missing).build().expect_err("no file").to_string();
    assert!(error.contains("its url: /no/such/file cannot be read"), "{error}");
}

#[tokio::test]
async fn a_test_notification_says_what_came_back() {
    let webhook = Webhook::saying([Said::Ok, Said::Address]).await;
    let chat = |name: &str| AlertReceiver::webhook(name, webhook.url("/hunter2"));
    let tested =
        builder().alert_receiver(chat("good")).alert_receiver(chat("bad")).test_receivers().await.expect("good");
    let found: Vec<_> =
        tested.iter().map(|one| (one.name.as_str(), one.accepted, one.status.as_str(), one.body.as_str())).collect();
    assert_eq!(found, [("good", true, "200 OK", "ok"), ("bad", false, "404 Not Found", "no hook at ***")]);
    assert_eq!(webhook.requests()[0].body["alerts"][0]["labels"]["alertname"], "PinchpointTest");
}
