//! [`StoredHistory`]: what a history file keeps, and rules replayed over it.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::{
    chronicle::{Chronicle, Replay},
    judged::{MINUTE, judged},
    slots::SlotReadings,
};
use crate::{
    monitor::{HistoryError, StoredContents, read_history},
    rules::{Budgets, Evaluator, Rule, RuleSet},
    store::{EndpointNames, Run, Slot, SlotKey, TimedSlot},
};

/// The requests that a service measured, as its history file keeps them: by the minute for a day, then by the half hour.
///
/// ```no_run
/// use pinchpoint::{RuleSet, replay::StoredHistory};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let history = StoredHistory::read("shop.redb".as_ref())?;
/// for alert in history.replay(&RuleSet::load_dir("new-rules")?, None).alerts {
///     println!("{} {} {}", alert.severity, alert.rule, alert.subject);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct StoredHistory {
    pub(super) endpoints: EndpointNames,
    /// Oldest first.
    pub(super) slots: Vec<PastSlot>,
    /// When each run of the service began, oldest first.
    runs: Vec<Duration>,
    unreadable: usize,
}

/// A slot and its time.
#[derive(Clone, Debug)]
pub(super) struct PastSlot {
    /// Since the Unix epoch.
    pub(super) start: Duration,
    pub(super) length: Duration,
    pub(super) slot: Slot,
}

impl PastSlot {
    pub(super) fn end(&self) -> Duration {
        self.start + self.length
    }

    fn timed(&self) -> TimedSlot {
        TimedSlot { start: self.start, length: self.length, slot: self.slot.clone() }
    }
}

impl StoredHistory {
    /// Reads a history file, also while a service has it open; what that measured in the last half minute may be missing. The file
    /// is not changed. A damaged file is not repaired: a service does that when it starts with it.
    ///
    /// # Errors
    /// Returns why the file cannot be read, or is no history file of this release.
    pub fn read(path: &Path) -> Result<Self, HistoryError> {
        let StoredContents { contents, unreadable } = read_history(path)?;
        let slots = contents.slots.into_iter().map(|(key, slot)| {
            let (start, length) = match key {
                SlotKey::Minute(at) => (MINUTE * at, MINUTE),
                SlotKey::HalfHour(at) => (MINUTE * at * 30, MINUTE * 30),
            };
            PastSlot { start, length, slot }
        });
        Ok(Self::of(contents.endpoints, slots.collect(), &contents.runs, unreadable))
    }

    pub(super) fn of(endpoints: EndpointNames, mut slots: Vec<PastSlot>, runs: &[Run], unreadable: usize) -> Self {
        slots.sort_by_key(|slot| slot.start);
        let mut runs: Vec<Duration> = runs.iter().map(|run| run.started).collect();
        runs.sort();
        Self { endpoints, slots, runs, unreadable }
    }

    /// Returns when the first minute or half hour begins and the last one ends, since the Unix epoch; `None` if there is none.
    #[must_use]
    pub fn period(&self) -> Option<(Duration, Duration)> {
        Some((self.slots.first()?.start, self.slots.last()?.end()))
    }

    /// Returns how many entries of the file could not be read and are left out.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Judges the stored time, or the `last` part of it, by `rules`: what would have fired, when, and for how long.
    ///
    /// A rule is judged once a minute, over the minutes of its window, by the service's own evaluator and lifecycle; where only half
    /// hours are left, as if each of their minutes were alike. Severities are those of the thresholds: the service lowers some by
    /// their cause, which is not kept. Error budgets count everything that is stored, also before the `last` part.
    #[must_use]
    pub fn replay(&self, rules: &RuleSet, last: Option<Duration>) -> Replay {
        let (judged, remarks) = judged(rules);
        let Some((first, to)) = self.period() else {
            return Replay { from: Duration::ZERO, to: Duration::ZERO, alerts: Vec::new(), remarks };
        };
        let from = last.map_or(first, |last| first.max(to.saturating_sub(last)));
        let mut chronicle = Chronicle::new(&judged, from);
        self.walk(judged.rules(), from, |at, precision, readings| match readings {
            Some(readings) => chronicle.take(at, precision, Evaluator::new(judged.rules()).evaluate(readings)),
            None => chronicle.interrupt(at),
        });
        Replay { from, to, alerts: chronicle.into_alerts(), remarks }
    }

    /// Calls `look` with the readings of each moment that is judged and the time to the next one, and without any where the service
    /// ended.
    pub(super) fn walk(
        &self,
        rules: &[Arc<Rule>],
        from: Duration,
        mut look: impl FnMut(Duration, Duration, Option<&SlotReadings>),
    ) {
        let lengths = rules.iter().filter(|rule| rule.slo.is_none()).map(|rule| rule.window);
        let mut readings = SlotReadings::new(&self.endpoints, lengths);
        let mut budgets = Budgets::new(rules, 0, Duration::ZERO);
        let mut before: Option<&PastSlot> = None;
        for slot in &self.slots {
            // Error budgets reach back further than what is judged.
            budgets.add_slot(&slot.timed(), &self.endpoints, slot.end());
            if slot.start < from {
                continue;
            }
            readings.budgets = budgets.readings(slot.end());
            if let Some(before) = before.filter(|before| self.is_interrupted(before, slot)) {
                look(before.end(), before.length, None);
                readings.clear();
            }
            // A half hour is a window by itself, and does not add up to one with minutes.
            if slot.length > MINUTE || before.is_some_and(|before| before.length != slot.length) {
                readings.clear();
            }
            readings.push(slot.length, &slot.slot);
            let looks = if slot.length > MINUTE { offsets(rules, slot.length) } else { BTreeSet::from([slot.length]) };
            for offset in looks {
                look(slot.start + offset, slot.length, Some(&readings));
            }
            before = Some(slot);
        }
    }

    /// Returns whether the service did not run between two slots, or began anew in the second.
    fn is_interrupted(&self, before: &PastSlot, next: &PastSlot) -> bool {
        let began = self.runs.partition_point(|run| *run < next.start);
        next.start > before.end() || self.runs.get(began).is_some_and(|run| *run < next.end())
    }
}

/// Returns when to look within a half hour, whose minutes are taken to be alike: at its beginning, and whenever a rule has waited
/// long enough to fire or to resolve.
fn offsets(rules: &[Arc<Rule>], length: Duration) -> BTreeSet<Duration> {
    let waits = rules.iter().flat_map(|rule| [rule.hold, rule.keep_firing_for]).filter(|wait| *wait < length);
    waits.chain([Duration::ZERO]).collect()
}
