//! Alerts as the history file keeps them, so that a restart sends none a second time.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{alert::deliver::StoredAlert, rules::Severity};

/// Where the history file keeps them.
pub(super) const KEY: &str = "alerts";

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    severity: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Milliseconds since the Unix epoch.
    began: u64,
    seen: u64,
    told: Vec<String>,
}

/// Writes alerts as JSON.
pub(super) fn to_json(alerts: Vec<StoredAlert>) -> Vec<u8> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let entry = |alert: StoredAlert| Entry {
        severity: alert.severity.to_string(),
        labels: alert.labels,
        annotations: alert.annotations,
        began: millis(alert.began),
        seen: millis(alert.seen),
        told: alert.told,
    };
    let entries: Vec<_> = alerts.into_iter().map(entry).collect();
    serde_json::to_vec(&entries).expect("texts and numbers are JSON")
}

/// Reads alerts; none where the text is no such JSON, as of a later release.
pub(super) fn from_json(json: &[u8]) -> Vec<StoredAlert> {
    let entries: Vec<Entry> = serde_json::from_slice(json).unwrap_or_default();
    let alert = |entry: Entry| {
        Some(StoredAlert {
            severity: Severity::ALL.into_iter().find(|severity| severity.as_str() == entry.severity)?,
            labels: entry.labels,
            annotations: entry.annotations,
            began: Duration::from_millis(entry.began),
            seen: Duration::from_millis(entry.seen),
            told: entry.told,
        })
    };
    entries.into_iter().filter_map(alert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_read_as_they_were_written_and_nonsense_is_none() {
        let alert = StoredAlert {
            severity: Severity::High,
            labels: [("rule".to_owned(), "slow".to_owned())].into(),
            annotations: [("summary".to_owned(), "…".to_owned())].into(),
            began: Duration::from_millis(1_234),
            seen: Duration::from_millis(5_678),
            told: vec!["chat".to_owned()],
        };
        assert_eq!(from_json(&to_json(vec![alert.clone()])), [alert]);
        for odd in [&b""[..], b"{}", b"[1]", b"\xff", br#"[{"severity": "x"}]"#] {
            assert_eq!(from_json(odd), []);
        }
    }
}
