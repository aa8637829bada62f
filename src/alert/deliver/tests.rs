//! Alerts and messages that the tests of this room share.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Moment,
    message::{Item, Message},
    notice::{Identity, Notice, Texts, fingerprint, labels},
};
use crate::{
    names,
    rules::{Severity, alert_labels::SUMMARY},
};

/// Returns an alert about a subject.
pub(super) fn notice(subject: &str, severity: Severity) -> Notice {
    let labels = labels(&Identity::default(), severity, [(names::RULE, "slow_endpoint"), (names::SUBJECT, subject)]);
    let annotations = Texts::from([(SUMMARY.to_owned(), format!("slow_endpoint ({severity}): {subject}"))]);
    let (id, began) = (fingerprint(&labels), Duration::from_secs(1_000));
    Notice { id, severity, labels, annotations, began, is_acknowledged: false }
}

/// Returns a message of one alert that began and one that ended.
pub(super) fn message() -> Message {
    let item = |subject, severity, ended: Option<u64>| Item {
        notice: notice(subject, severity),
        ended: ended.map(Duration::from_secs),
        is_known: ended.is_some(),
    };
    let alerts = vec![item("GET /b", Severity::High, Some(1_100)), item("GET /a", Severity::Low, None)];
    let moment = Moment { now: Instant::now(), wall: Duration::from_secs(1_200) };
    Message::of(alerts, 0, &Identity::default(), moment).expect("two alerts")
}
