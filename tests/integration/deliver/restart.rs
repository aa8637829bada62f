//! A service that is restarted with its history file, and one whose next process is there before the file is free.

use std::path::Path;

use pinchpoint::AlertReceiver;
use serde_json::Value;

use super::{Shop, builder_with, subject, webhook::Webhook};
use crate::{api::json, support::prometheus::LOOKS};

/// Returns what the messages say, such as `firing mails`.
fn said(bodies: &[Value]) -> Vec<String> {
    let of_alert = |alert: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let queue = ["mails", "orders"].into_iter().find(|queue| alert["labels"]["subject"] == subject(queue));
        format!("{} {}", text(&alert["status"]), queue.unwrap_or_default())
    };
    bodies.iter().flat_map(|body| body["alerts"].as_array().into_iter().flatten().map(of_alert)).collect()
}

/// Opens a service with a history file that sends its alerts to a chat.
fn opened(history: &Path, chat: &Webhook) -> Shop {
    Shop::open(builder_with(history).alert_receiver(AlertReceiver::webhook("chat", chat.url("/"))))
}

/// Waits until the history file of a service is in this state.
async fn until_archive(shop: &Shop, state: &str) {
    let now = || async { json(&shop.app, "/performance/status").await["history_file"]["state"].clone() };
    for _ in 0..LOOKS {
        if now().await == state {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}", now().await);
}

#[tokio::test]
async fn over_restarts_a_beginning_and_an_end_are_told_once() {
    let chat = Webhook::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.redb");
    let open = || opened(&history, &chat);
    let first = open();
    first.fill("mails", 50.0);
    chat.until(1).await;
    first.monitor.shutdown().await;
    drop(first);

    let second = open();
    second.fill("mails", 60.0);
    second.until_evaluated().await;
    second.fill("orders", 50.0);
    chat.until(2).await;
    second.fill("mails", 0.0);
    chat.until(3).await;
    second.monitor.shutdown().await;
    drop(second);

    // What ended in the run before is over, and what did not ends in this one.
    let third = open();
    third.fill("orders", 50.0);
    third.until_evaluated().await;
    third.fill("orders", 0.0);
    let told = said(&chat.until(4).await);
    assert_eq!(told, ["firing mails", "firing orders", "resolved mails", "resolved orders"]);
    third.monitor.shutdown().await;
    drop(third);

    let fourth = open();
    fourth.until_evaluated().await;
    fourth.monitor.shutdown().await;
    assert_eq!(said(&chat.until(4).await).len(), 4);
}

/// The process that ends still has the file when the next one begins.
#[tokio::test]
async fn where_the_history_file_is_free_late_an_end_that_was_told_is_not_told_again() {
    let chat = Webhook::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.redb");
    let open = || opened(&history, &chat);
    let old = open();
    old.fill("mails", 50.0);
    chat.until(1).await;

    let new = open();
    until_archive(&new, "failing").await;
    // It cannot know what the other one told.
    new.fill("mails", 50.0);
    chat.until(2).await;
    new.fill("mails", 0.0);
    chat.until(3).await;
    old.monitor.shutdown().await;
    drop(old);

    // What is to be kept makes the file be tried again.
    new.fill("orders", 50.0);
    chat.until(4).await;
    until_archive(&new, "open").await;
    new.until_evaluated().await;
    new.fill("orders", 0.0);
    let told = said(&chat.until(5).await);
    assert_eq!(told, ["firing mails", "firing mails", "resolved mails", "firing orders", "resolved orders"]);
}
