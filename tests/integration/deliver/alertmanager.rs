//! With a real Alertmanager.

use std::time::Duration;

use pinchpoint::AlertReceiver;
use serde_json::{Value, json};

use super::{Shop, builder, builder_with, subject, webhook::Webhook};
use crate::support::{
    Samples,
    alertmanager::{Alertmanager, find},
};

/// Returns a configuration that sends everything to `url`, at once.
fn configuration(url: &str) -> String {
    format!(
        "route: {{ receiver: all, group_by: [...], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
         receivers: [{{ name: all, webhook_configs: [{{ url: '{url}', send_resolved: true }}] }}]\n"
    )
}

/// Nobody is told: the test asks.
const QUIET: &str = "route: { receiver: none }\nreceivers: [{ name: none }]\n";

fn receiver(alertmanager: &Alertmanager) -> AlertReceiver {
    AlertReceiver::alertmanager(alertmanager.url())
}

fn name(alertmanager: &Alertmanager) -> String {
    format!("alertmanager/{}", alertmanager.address())
}

fn one(alerts: &[Value]) -> bool {
    alerts.len() == 1
}

#[tokio::test]
async fn an_alert_has_the_labels_of_the_exported_ones_is_sent_again_and_ends() {
    let Some(program) = find() else { return };
    let alertmanager = Alertmanager::start(&program, QUIET);
    let shop = Shop::open(builder().alert_receiver(receiver(&alertmanager)).alert_label("team", "shop"));
    shop.fill("mails", 50.0);
    let alerts = alertmanager.until(one).await;
    let labels = json!({
        "alertname": "PinchpointHighBottleneck", "job": "shop", "instance": "shop-7", "level": "warning", "rule": "long_queue",
        "severity": "high", "subject": subject("mails"), "team": "shop",
    });
    assert_eq!(alerts[0]["labels"], labels);
    let annotations = &alerts[0]["annotations"];
    assert_eq!(annotations["summary"], format!("long_queue (high): {}", subject("mails")));
    let description = format!("The queue {} has 50 entries. 50 over the last 5s (threshold: 10)", subject("mails"));
    assert_eq!(annotations["description"], description);
    assert!(annotations["evidence"].as_str().is_some_and(|text| text.contains("50, threshold > 10")), "{annotations}");
    assert!(annotations["runbook_url"].as_str().is_some_and(|url| url.ends_with("docs/rules.md#long_queue")));
    assert_eq!(annotations["version"], "1.2.3");
    // Its end moves on for as long as it fires.
    let end = |alerts: &[Value]| alerts[0]["endsAt"].as_str().map(str::to_owned);
    let later = alertmanager.until(|now| one(now) && end(now) > end(&alerts)).await;
    assert_eq!(later[0]["startsAt"], alerts[0]["startsAt"]);
    // A higher severity is an alert of its own, as in Prometheus.
    shop.fill("mails", 500.0);
    let alerts = alertmanager.until(|alerts| one(alerts) && alerts[0]["labels"]["severity"] == "critical").await;
    assert_eq!(alerts[0]["labels"]["alertname"], "PinchpointCriticalBottleneck");
    shop.fill("mails", 0.0);
    alertmanager.until(<[Value]>::is_empty).await;
    let state = shop.until(&name(&alertmanager), |receiver| receiver["state"] == "working").await;
    assert_eq!((&state["kind"], &state["error"]), (&json!("alertmanager"), &Value::Null));
    let sent =
        Samples::of(&shop.monitor).sum("pinchpoint_notifications_total", &["outcome=\"ok\"", &name(&alertmanager)]);
    assert!(sent >= 3.0, "{sent}");
}

#[tokio::test]
async fn a_silence_holds_and_a_restart_of_the_alertmanager_is_made_good() {
    let Some(program) = find() else { return };
    let mut alertmanager = Alertmanager::start(&program, QUIET);
    let shop = Shop::open(builder().alert_receiver(receiver(&alertmanager)));
    shop.fill("mails", 50.0);
    alertmanager.until(one).await;
    let matcher = json!({ "name": "rule", "value": "long_queue", "isRegex": false, "isEqual": true });
    let silence = json!({
        "matchers": [matcher], "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "ana", "comment": "known",
    });
    alertmanager.post("/api/v2/silences", &silence).await;
    let is_silenced = |alerts: &[Value]| one(alerts) && alerts[0]["status"]["state"] == "suppressed";
    let silenced = alertmanager.until(is_silenced).await;
    // Sent again, and silenced as before.
    alertmanager.until(|alerts| is_silenced(alerts) && alerts[0]["updatedAt"] != silenced[0]["updatedAt"]).await;
    alertmanager.stop();
    let failing = shop.until(&name(&alertmanager), |receiver| receiver["state"] == "failing").await;
    assert!(failing["error"].as_str().is_some_and(|error| error.starts_with("cannot connect: ")), "{failing}");
    assert!(!failing["failing_since"].is_null() && !failing["next_attempt_at"].is_null(), "{failing}");
    let failed = |shop: &Shop| Samples::of(&shop.monitor).sum("pinchpoint_notifications_total", &["outcome=\"error\""]);
    assert!(failed(&shop) >= 1.0);
    alertmanager.run();
    let again = alertmanager.until(one).await;
    assert_eq!(again[0]["startsAt"], silenced[0]["startsAt"]);
    shop.until(&name(&alertmanager), |receiver| receiver["state"] == "working").await;
}

#[tokio::test]
async fn each_peer_is_sent_every_alert_and_one_that_is_down_holds_up_no_other() {
    let Some(program) = find() else { return };
    let here = Alertmanager::start(&program, QUIET);
    let mut away = Alertmanager::stopped(&program, QUIET);
    let shop = Shop::open(builder().alert_receiver(receiver(&away)).alert_receiver(receiver(&here)));
    shop.fill("mails", 50.0);
    here.until(one).await;
    shop.until(&name(&away), |receiver| receiver["state"] == "failing" && receiver["waiting"] == 1).await;
    away.run();
    away.until(one).await;
    shop.fill("mails", 0.0);
    here.until(<[Value]>::is_empty).await;
    away.until(<[Value]>::is_empty).await;
}

/// People are told once, whatever happens to the service.
#[tokio::test]
async fn after_a_restart_of_the_service_nothing_fires_twice() {
    let Some(program) = find() else { return };
    let people = Webhook::start().await;
    let alertmanager = Alertmanager::start(&program, &configuration(&people.url("/people")));
    let channel = Webhook::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.redb");
    let open = || {
        let chat = AlertReceiver::webhook("chat", channel.url("/chat"));
        Shop::open(builder_with(&history).alert_receiver(receiver(&alertmanager)).alert_receiver(chat))
    };
    let shop = open();
    shop.fill("mails", 50.0);
    let before = alertmanager.until(one).await;
    people.until(1).await;
    channel.until(1).await;
    shop.monitor.shutdown().await;
    drop(shop);
    let shop = open();
    shop.fill("mails", 60.0);
    shop.until(&name(&alertmanager), |receiver| receiver["accepted"].as_u64() >= Some(2)).await;
    let after = alertmanager.until(one).await;
    assert_eq!((&after[0]["fingerprint"], &after[0]["startsAt"]), (&before[0]["fingerprint"], &before[0]["startsAt"]));
    shop.fill("mails", 0.0);
    let statuses = |bodies: Vec<Value>| bodies.iter().map(|body| body["status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses(people.until(2).await), ["firing", "resolved"]);
    assert_eq!(statuses(channel.until(2).await), ["firing", "resolved"]);
}

#[tokio::test]
async fn what_the_service_no_longer_knows_runs_out() {
    let Some(program) = find() else { return };
    let alertmanager = Alertmanager::start(&program, QUIET);
    let shop = Shop::open(builder().alert_receiver(receiver(&alertmanager)));
    shop.fill("mails", 50.0);
    alertmanager.until(one).await;
    shop.monitor.shutdown().await;
    drop(shop);
    let shop = Shop::open(builder().alert_receiver(receiver(&alertmanager)));
    shop.fill("mails", 0.0);
    alertmanager.until(<[Value]>::is_empty).await;
}

#[tokio::test]
async fn many_findings_at_the_start_are_one_message() {
    let Some(program) = find() else { return };
    let people = Webhook::start().await;
    let configuration =
        configuration(&people.url("/")).replace("group_by: [...], group_wait: 0s", "group_by: [rule], group_wait: 1s");
    let alertmanager = Alertmanager::start(&program, &configuration);
    let channel = Webhook::start().await;
    let chat = AlertReceiver::webhook("chat", channel.url("/"));
    let grace = Duration::from_secs(1);
    let shop = Shop::open(builder().alert_grace(grace).alert_receiver(receiver(&alertmanager)).alert_receiver(chat));
    for queue in 0..20 {
        shop.fill(&format!("queue {queue}"), 50.0);
        tokio::task::yield_now().await;
    }
    alertmanager.until(|alerts| alerts.len() == 20).await;
    let told = channel.until(1).await;
    assert_eq!(told[0]["alerts"].as_array().map(Vec::len), Some(20));
    let told = people.until(1).await;
    assert_eq!(told[0]["alerts"].as_array().map(Vec::len), Some(20));
}
