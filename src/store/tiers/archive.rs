//! What the [`Tiers`] exchange with an archive: the contents that they restore, and the changes that it writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    BELIEVED, Changes, Doubtful, HALF_HOUR, MINUTE, OVERHEAD, Run, SECOND_OPINION, SlotKey, Tiers, merged, minute_of,
};
use crate::store::{endpoint_names::EndpointNames, slot::Slot, slot_sums::SlotSums};

/// How often the current minute is reported to the archive. With the tick before it, a process that is killed loses
/// less than a minute.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// The contents of an archive.
#[derive(Debug, Default)]
pub(crate) struct ArchiveContents {
    pub(crate) endpoints: EndpointNames,
    pub(crate) slots: Vec<(SlotKey, Slot)>,
    pub(crate) runs: Vec<Run>,
}

/// From when ages are counted where an archive is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// A minute since the Unix epoch.
    pub(super) newest: u32,
    /// Minutes for which the clock of the newest slots has been far ahead of the others.
    pub(super) ahead_for: u32,
}

impl Reference {
    /// Returns it as a time since the Unix epoch.
    pub(crate) fn time(self) -> Duration {
        Duration::from_secs(u64::from(self.newest) * MINUTE)
    }
}

impl ArchiveContents {
    /// Returns from when ages are counted: the newest slot that is not in the future; `None` without one.
    ///
    /// Slots of less than [`SECOND_OPINION`] that are far ahead of all others are not believed, however many runs have
    /// written them: then it is the newest of the others that counts, and the time that those slots took.
    pub(crate) fn reference(&self, wall: Duration) -> Option<Reference> {
        let now = minute_of(wall);
        let starts: BTreeSet<u32> =
            self.slots.iter().map(|(key, _)| key.start()).filter(|start| *start <= now).collect();
        let newest = *starts.last()?;
        let mut first = newest;
        for start in starts.into_iter().rev() {
            if first - start > BELIEVED {
                let took = newest - first;
                let is_believed = took >= SECOND_OPINION;
                return Some(if is_believed {
                    Reference { newest, ahead_for: 0 }
                } else {
                    Reference { newest: start + took, ahead_for: took }
                });
            }
            first = start;
        }
        Some(Reference { newest, ahead_for: 0 })
    }
}

impl Tiers {
    /// Takes over the contents of an archive, and collects changes for it from now on.
    ///
    /// Slots that were recorded before the archive opened stay; endpoints get the archive's numbers. Slots and runs in
    /// the future come from a clock that was wrong, this one or that of an earlier run: they are not shown, and deleted once
    /// this clock has stood for a day, since they would be shown as real when that time comes.
    ///
    /// How old a slot is counts from the newest that there is: a clock that is far ahead deletes nothing at once.
    pub(crate) fn restore(&mut self, stored: ArchiveContents, wall: Duration) {
        let cleared = std::mem::take(&mut self.cleared);
        self.generation += 1;
        let reference = stored.reference(wall);
        self.changes = Some(Changes { cleared, ..Changes::default() });
        let numbers = self.adopt_names(stored.endpoints);
        let number = |old: u32| numbers.get(&old).copied().unwrap_or(old);
        self.requests.renumber(number);
        let sums = std::mem::take(&mut self.sums).take();
        self.sums.add_slot(&sums, number);
        let minutes = std::mem::take(&mut self.minutes).into_iter().map(|(at, slot)| (SlotKey::Minute(at), slot));
        let half_hours = std::mem::take(&mut self.half_hours);
        let half_hours = half_hours.into_iter().map(|(at, slot)| (SlotKey::HalfHour(at), slot));
        self.slot_bytes = 0;
        let now = minute_of(wall);
        let (past, mut runs) = self.pass_over_future(stored.slots, stored.runs, wall);
        // The archive has these, so they are no changes.
        for (key, slot) in past.into_iter().filter(|_| !cleared) {
            self.slot_bytes += slot.as_bytes().len() + OVERHEAD;
            let (tier, at) = self.tier(key);
            tier.insert(at, slot);
        }
        for (key, slot) in minutes.chain(half_hours) {
            let mut renumbered = SlotSums::default();
            renumbered.add_slot(&slot, number);
            self.put(key, renumbered.take());
        }
        runs.append(&mut self.runs);
        runs.sort_by_key(|run| run.started);
        runs.dedup();
        self.runs = runs;
        if let Some(Reference { newest, ahead_for }) = reference {
            self.limits_at = Some(self.limits_at.map_or(newest, |at| at.min(newest)));
            self.ahead_for = ahead_for;
        }
        self.keep_limits(now);
    }

    /// Replaces the endpoints' names by the archive's, adds those that it lacks, and returns the new number of each old
    /// one.
    fn adopt_names(&mut self, names: EndpointNames) -> BTreeMap<u32, u32> {
        let own = std::mem::replace(&mut self.endpoints, names);
        let renumbered = own.iter().map(|(number, name)| {
            let (new, is_new) = self.endpoints.number(name);
            if let (true, Some(changes)) = (is_new, &mut self.changes) {
                changes.endpoints.insert(new, name.clone());
            }
            (number, new)
        });
        renumbered.collect()
    }

    /// Returns the slots and runs that are not in the future, and notes the others as doubtful.
    fn pass_over_future(
        &mut self,
        slots: Vec<(SlotKey, Slot)>,
        runs: Vec<Run>,
        wall: Duration,
    ) -> (Vec<(SlotKey, Slot)>, Vec<Run>) {
        let now = minute_of(wall);
        let (past, future): (Vec<_>, Vec<_>) = slots.into_iter().partition(|(key, _)| key.start() <= now);
        let (past_runs, future_runs): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| run.started <= wall);
        // Where all is in the future it is this clock that is wrong, for however long.
        let is_wrong = past.is_empty();
        let (future, future_runs) = if is_wrong { (Vec::new(), Vec::new()) } else { (future, future_runs) };
        self.doubtful = Doubtful {
            slots: future.into_iter().map(|(key, _)| key).collect(),
            runs: future_runs.into_iter().map(|run| run.started).collect(),
            minutes: 0,
        };
        (past, past_runs)
    }

    /// Has the archive delete what is still in the future after a day by this clock, at the end of the minute `now`.
    pub(super) fn judge_doubtful(&mut self, now: u32) {
        self.doubtful.minutes += 1;
        if self.doubtful.minutes < SECOND_OPINION || (self.doubtful.slots.is_empty() && self.doubtful.runs.is_empty()) {
            return;
        }
        let Doubtful { slots, runs, .. } = std::mem::take(&mut self.doubtful);
        let Some(changes) = &mut self.changes else { return };
        changes.slots.extend(slots.into_iter().filter(|key| key.start() > now).map(|key| (key, None)));
        changes.lost_runs.extend(runs.into_iter().filter(|started| minute_of(*started) > now));
    }

    /// Takes over another archive while the service runs. Where both have a slot this one's stays: the other archive is
    /// a copy of this one, or of a run at the same time.
    pub(crate) fn adopt(&mut self, mut stored: ArchiveContents, wall: Duration) {
        stored.slots.retain(|(key, _)| match key {
            SlotKey::Minute(at) => !self.minutes.contains_key(at),
            SlotKey::HalfHour(at) => !self.half_hours.contains_key(at),
        });
        self.restore(stored, wall);
    }

    /// Adds the current minute as far as it got to the changes, every half minute. Returns whether it did.
    pub(crate) fn report_current_minute(&mut self, wall: Duration) -> bool {
        let Some(minute) = self.current.filter(|_| self.changes.is_some() && !self.sums.is_empty()) else {
            return false;
        };
        if wall.abs_diff(self.reported_at) < REPORT_EVERY {
            return false;
        }
        self.reported_at = wall;
        let slot = self.sums.slot();
        let slot = self.minutes.get(&minute).map_or_else(|| slot.clone(), |before| merged([before, &slot]));
        self.note(SlotKey::Minute(minute), Some(slot));
        true
    }

    /// Returns everything as one change, for an archive that lost its contents.
    pub(crate) fn everything(&mut self) -> Changes {
        self.changes = Some(Changes::default());
        let minutes = self.minutes.iter().map(|(at, slot)| (SlotKey::Minute(*at), Some(slot.clone())));
        let half_hours = self.half_hours.iter().map(|(at, slot)| (SlotKey::HalfHour(*at), Some(slot.clone())));
        let endpoints = self.endpoints.iter().map(|(number, name)| (number, name.clone()));
        let (slots, endpoints) = (minutes.chain(half_hours).collect(), endpoints.collect());
        Changes { cleared: true, slots, endpoints, lost_runs: Vec::new() }
    }

    /// Returns what changed since the last call, or since [`restore`](Self::restore).
    pub(crate) fn take_changes(&mut self) -> Option<Changes> {
        self.changes.as_mut().map(std::mem::take)
    }
}

impl Changes {
    /// Adds newer changes to these.
    pub(crate) fn then(&mut self, newer: Self) {
        if newer.cleared {
            self.slots.clear();
            self.cleared = true;
        }
        self.slots.extend(newer.slots);
        self.endpoints.extend(newer.endpoints);
        self.lost_runs.extend(newer.lost_runs);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.slots.is_empty() && self.endpoints.is_empty() && self.lost_runs.is_empty()
    }
}

impl SlotKey {
    /// Returns its first minute.
    fn start(self) -> u32 {
        match self {
            Self::Minute(minute) => minute,
            Self::HalfHour(at) => at.saturating_mul(HALF_HOUR),
        }
    }
}
