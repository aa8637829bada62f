//! [`Message`]: what changed for a receiver in one look, or a part of it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Moment,
    notice::{Identity, Notice, Texts},
    rfc3339,
};

/// Alerts in one message; the others go in further ones. Chat services cut what is longer.
pub(super) const MOST: usize = 30;
/// The version of the format, Alertmanager's: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.
const VERSION: &str = "4";

/// What changed for a receiver in one look, or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// The worst first, and those that ended last.
    pub(super) alerts: Vec<Item>,
    /// Alerts that changed by then, too, and go in later messages.
    pub(super) left_out: usize,
    pub(super) identity: Identity,
    /// When it was made.
    pub(super) made: Instant,
    /// The same since the Unix epoch.
    pub(super) at: Duration,
}

/// One alert of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) notice: Notice,
    /// When it ended, since the Unix epoch; `None` while it fires.
    pub(super) ended: Option<Duration>,
    /// Whether the receiver had been told of its beginning when this was made, or has been since.
    pub(super) is_known: bool,
}

impl Item {
    pub(super) fn status(&self) -> &'static str {
        status(self.ended.is_none())
    }
}

fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

impl Message {
    /// Makes a message of what changed, at most [`MOST`] of it; `None` where nothing did. `left_out` go in later messages.
    pub(super) fn of(mut alerts: Vec<Item>, left_out: usize, identity: &Identity, moment: Moment) -> Option<Self> {
        if alerts.is_empty() {
            return None;
        }
        alerts.sort_by(|a, b| {
            let key = |item: &Item| (item.ended.is_some(), std::cmp::Reverse(item.notice.severity));
            key(a).cmp(&key(b)).then_with(|| a.notice.labels.cmp(&b.notice.labels))
        });
        Some(Self { alerts, left_out, identity: identity.clone(), made: moment.now, at: moment.wall })
    }

    /// Returns the message with which a receiver is tried.
    pub(crate) fn test(identity: &Identity, moment: Moment) -> Self {
        let alerts = vec![Item { notice: Notice::test(identity, moment.wall), ended: None, is_known: false }];
        Self { alerts, left_out: 0, identity: identity.clone(), made: moment.now, at: moment.wall }
    }

    /// Returns the alerts that it says fire.
    pub(super) fn begun(&self) -> impl Iterator<Item = u64> + '_ {
        self.alerts.iter().filter(|item| item.ended.is_none()).map(|item| item.notice.id)
    }

    pub(super) fn firing(&self) -> usize {
        self.alerts.iter().filter(|item| item.ended.is_none()).count()
    }

    /// Returns `firing` while any alert in it fires.
    pub(super) fn status(&self) -> &'static str {
        status(self.firing() > 0)
    }

    /// Returns the message in the format of Alertmanager's webhook, which many programs read.
    pub(crate) fn full(&self, receiver: &str) -> Value {
        let alerts = self.alerts.iter().map(|item| {
            let notice = &item.notice;
            json!({
                "status": item.status(),
                "labels": notice.labels,
                "annotations": notice.annotations,
                "startsAt": rfc3339(notice.began),
                "endsAt": item.ended.map_or_else(|| NO_END.to_owned(), rfc3339),
                "generatorURL": "",
                "fingerprint": format!("{:016x}", notice.id),
            })
        });
        json!({
            "version": VERSION,
            "groupKey": format!("{:?}", self.identity.labels),
            "truncatedAlerts": self.left_out,
            "status": self.status(),
            "receiver": receiver,
            "groupLabels": self.identity.labels,
            "commonLabels": common(self.alerts.iter().map(|item| &item.notice.labels)),
            "commonAnnotations": common(self.alerts.iter().map(|item| &item.notice.annotations)),
            "externalURL": "",
            "alerts": alerts.collect::<Value>(),
        })
    }
}

/// `endsAt` of what has not ended, as Alertmanager writes it.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// Returns what all of these have in common.
fn common<'a>(mut all: impl Iterator<Item = &'a Texts>) -> BTreeMap<&'a str, &'a str> {
    let first = all.next().into_iter().flatten();
    let mut common: BTreeMap<&str, &str> = first.map(|(name, text)| (name.as_str(), text.as_str())).collect();
    for texts in all {
        common.retain(|name, text| texts.get(*name).is_some_and(|other| other == text));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{message, notice},
        *,
    };
    use crate::rules::Severity;

    #[test]
    fn a_message_has_what_fires_before_what_ended_and_says_so() {
        let full = message().full("chat");
        assert_eq!((&full["status"], &full["receiver"]), (&json!("firing"), &json!("chat")));
        assert_eq!(full["alerts"][0]["labels"]["subject"], "GET /a");
        assert_eq!(full["alerts"][0]["endsAt"], NO_END);
        assert_eq!(full["alerts"][1]["status"], "resolved");
        assert_eq!(full["alerts"][1]["endsAt"], "1970-01-01T00:18:20.000Z");
        assert_eq!(full["commonLabels"], json!({ "rule": "slow_endpoint" }));
    }

    #[test]
    fn a_message_counts_what_later_ones_have() {
        let items =
            (0..MOST).map(|n| Item { notice: notice(&n.to_string(), Severity::High), ended: None, is_known: false });
        let moment = Moment { now: Instant::now(), wall: Duration::ZERO };
        let message = Message::of(items.collect(), 7, &Identity::default(), moment).expect("alerts");
        assert_eq!(message.alerts.len(), MOST);
        assert_eq!(message.full("x")["truncatedAlerts"], 7);
    }

    #[test]
    fn nothing_makes_no_message() {
        let moment = Moment { now: Instant::now(), wall: Duration::ZERO };
        assert_eq!(Message::of(Vec::new(), 0, &Identity::default(), moment), None);
    }
}
