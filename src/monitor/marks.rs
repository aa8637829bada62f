//! [`Marks`]: when findings began and ended, rules were reloaded, and monitoring was stopped, for plots over time.
//!
//! Their number is bounded; they are of this run, and the trends know when runs began.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    alert::{Change, Transition},
    rules::Severity,
};

/// Marks that are kept.
const KEPT: usize = 1_000;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// A bottleneck began, changed its severity or ended.
    Bottleneck { change: Change, rule: Arc<str>, subject: Arc<str>, severity: Severity },
    /// The rules were reloaded.
    Reloaded,
    /// An edit of the rules was refused.
    Refused,
    /// Monitoring was stopped.
    Stopped,
    /// Monitoring was started again.
    Started,
    /// The data were cleared.
    Cleared,
}

/// What happened when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    pub(crate) happened: Happened,
}

/// The latest marks.
#[derive(Debug, Default)]
pub(crate) struct Marks(VecDeque<Mark>);

impl Marks {
    pub(crate) fn add(&mut self, at: Duration, happened: Happened) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Mark { at, happened });
    }

    pub(crate) fn add_transitions(&mut self, at: Duration, transitions: &[Transition]) {
        for Transition { change, bottleneck } in transitions {
            let (rule, subject) = (bottleneck.rule.id.clone(), bottleneck.subject.name.clone());
            let severity = bottleneck.severity;
            self.add(at, Happened::Bottleneck { change: *change, rule, subject, severity });
        }
    }

    /// Returns the marks since a moment, the oldest first.
    pub(crate) fn since(&self, from: Duration) -> Vec<Mark> {
        self.0.iter().filter(|mark| mark.at >= from).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let mut marks = Marks::default();
        (0..=KEPT as u64).for_each(|second| marks.add(Duration::from_secs(second), Happened::Reloaded));
        let all = marks.since(Duration::ZERO);
        assert_eq!((all.len(), all[0].at), (KEPT, Duration::from_secs(1)));
        assert_eq!(marks.since(Duration::from_secs(KEPT as u64)).len(), 1);
    }
}
