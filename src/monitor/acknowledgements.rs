//! [`AcknowledgementStore`]: the acknowledgements of a running monitor, and how they survive a restart.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::{
    alert::{Acknowledgement, Acknowledgements},
    rules::{Bottleneck, Severity},
};

/// Where the history file keeps them.
pub(super) const KEY: &str = "acknowledgements";

/// The acknowledgements; readers wait for nobody.
#[derive(Debug, Default)]
pub(crate) struct AcknowledgementStore(ArcSwap<Acknowledgements>);

/// One as the history file keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    rule: String,
    subject: String,
    severity: String,
    by: String,
    reason: String,
    /// Milliseconds since the Unix epoch.
    at: u64,
    until: u64,
}

impl AcknowledgementStore {
    /// Takes what the run before kept, beside what this run was given; nothing of a text that is no such JSON, as of a later release.
    pub(super) fn restore(&self, json: &[u8]) {
        let entries: Vec<Entry> = serde_json::from_slice(json).unwrap_or_default();
        let acknowledgement = |entry: Entry| {
            Some(Acknowledgement {
                rule: entry.rule.into(),
                subject: entry.subject.into(),
                severity: Severity::ALL.into_iter().find(|severity| severity.as_str() == entry.severity)?,
                by: entry.by,
                reason: entry.reason,
                at: Duration::from_millis(entry.at),
                until: Duration::from_millis(entry.until),
            })
        };
        let restored: Vec<_> = entries.into_iter().filter_map(acknowledgement).collect();
        self.0.rcu(|all| {
            let mut all = Acknowledgements::clone(all);
            all.restore(&restored);
            all
        });
    }

    /// Writes those in force as JSON.
    pub(super) fn to_json(&self, wall: Duration) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let all = self.0.load();
        let entries: Vec<_> = all
            .in_force(wall)
            .map(|one| Entry {
                rule: one.rule.to_string(),
                subject: one.subject.to_string(),
                severity: one.severity.to_string(),
                by: one.by.clone(),
                reason: one.reason.clone(),
                at: millis(one.at),
                until: millis(one.until),
            })
            .collect();
        serde_json::to_vec(&entries).expect("texts and numbers are JSON")
    }

    /// Returns the acknowledgement of a bottleneck that is in force.
    pub(super) fn get(&self, bottleneck: &Bottleneck, wall: Duration) -> Option<Arc<Acknowledgement>> {
        self.0.load().get(bottleneck, wall).cloned()
    }

    /// Adds one. Returns `false` where there is no place for it.
    pub(super) fn add(&self, acknowledgement: &Acknowledgement, wall: Duration) -> bool {
        let mut is_added = false;
        self.0.rcu(|all| {
            let mut all = Acknowledgements::clone(all);
            is_added = all.add(acknowledgement.clone(), wall);
            all
        });
        is_added
    }

    /// Takes one back that is `wanted`, and returns it.
    pub(super) fn remove(&self, wanted: impl Fn(&Acknowledgement) -> bool) -> Option<Arc<Acknowledgement>> {
        let mut removed = None;
        self.0.rcu(|all| {
            let mut all = Acknowledgements::clone(all);
            removed = all.remove(&wanted);
            all
        });
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::MOST_ACKNOWLEDGEMENTS as MOST;

    const HOUR: Duration = Duration::from_secs(3600);

    fn acknowledgement(subject: &str, until: Duration) -> Acknowledgement {
        Acknowledgement {
            rule: "slow_endpoint".into(),
            subject: subject.into(),
            severity: Severity::High,
            by: "ana".to_owned(),
            reason: "known".to_owned(),
            at: Duration::ZERO,
            until,
        }
    }

    #[test]
    fn what_is_in_force_survives_as_json_and_nonsense_is_nothing() {
        let store = AcknowledgementStore::default();
        assert!(store.add(&acknowledgement("GET /a", HOUR), Duration::ZERO));
        assert!(store.add(&acknowledgement("GET /b", HOUR * 3), Duration::ZERO));
        let restored = AcknowledgementStore::default();
        restored.restore(&store.to_json(HOUR * 2));
        let kept: Vec<_> = restored.0.load().in_force(HOUR * 2).map(|one| (**one).clone()).collect();
        assert_eq!(kept, [acknowledgement("GET /b", HOUR * 3)]);
        for odd in [&b""[..], b"{}", b"[1]", b"\xff"] {
            let store = AcknowledgementStore::default();
            store.restore(odd);
            assert_eq!(store.0.load().in_force(Duration::ZERO).count(), 0);
        }
    }

    #[test]
    fn what_is_restored_late_replaces_nothing_that_was_said_since() {
        let before = AcknowledgementStore::default();
        assert!(before.add(&acknowledgement("GET /a", HOUR), Duration::ZERO));
        assert!(before.add(&acknowledgement("GET /b", HOUR), Duration::ZERO));
        let store = AcknowledgementStore::default();
        assert!(store.add(&acknowledgement("GET /b", HOUR * 3), Duration::ZERO));
        store.restore(&before.to_json(Duration::ZERO));
        let kept: Vec<_> = store.0.load().in_force(Duration::ZERO).map(|one| (**one).clone()).collect();
        assert_eq!(kept, [acknowledgement("GET /a", HOUR), acknowledgement("GET /b", HOUR * 3)]);
    }

    #[test]
    fn the_store_has_a_bound_and_what_ended_makes_room() {
        let store = AcknowledgementStore::default();
        for number in 0..MOST {
            assert!(store.add(&acknowledgement(&number.to_string(), HOUR), Duration::ZERO));
        }
        assert!(!store.add(&acknowledgement("one more", HOUR), Duration::ZERO));
        assert!(store.add(&acknowledgement("7", HOUR * 3), Duration::ZERO), "in place of another of the same finding");
        assert!(store.add(&acknowledgement("one more", HOUR * 3), HOUR));
        assert!(store.remove(|one| &*one.subject == "one more").is_some());
        assert!(store.remove(|one| &*one.subject == "one more").is_none());
    }
}
