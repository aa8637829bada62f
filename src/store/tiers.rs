//! [`Tiers`]: the last day by the minute and the last week by the half hour.
//!
//! Longer than the windows, coarser, and on the wall clock, since it outlives the process. A slot holds mergeable sums
//! and histograms, never a ready percentile. The invariants that a change could break: every request is in exactly one
//! slot, and what all slots take together stays within what the windows leave of the budget, whatever the number of routes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    History,
    endpoint_names::EndpointNames,
    requests::RequestSeries,
    series::SeriesMeta,
    slot::{Slot, SlotSums},
};

/// Seconds of a minute, minutes of a half hour.
const MINUTE: u64 = 60;
const HALF_HOUR: u32 = 30;
/// Minutes that are kept one by one: a day.
const FINE: u32 = 24 * 60;
/// Minutes that stay one by one even where the budget is short: what a look at the last hour needs.
const FINE_AT_LEAST: u32 = 2 * 60;
/// Part of the budget that is the tiers' however much the windows take.
const SHARE_AT_LEAST: usize = 4;
/// Minutes that the limits move on at most when a minute ends.
const LEAP: u32 = 60;
/// How often a minute that goes on is told: what a process that is killed loses is less than a minute, with the tick that
/// it falls into.
#[cfg(feature = "archive")]
const TOLD_EVERY: Duration = Duration::from_secs(30);
/// What a slot takes beside its bytes: its place in the map and the allocator's share.
const OVERHEAD: usize = 64;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TierLimits {
    pub(crate) retention: Duration,
    /// Of the windows and the tiers together.
    pub(crate) bytes: usize,
}

/// Which time a slot is about: minutes, or half hours, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SlotKey {
    Minute(u32),
    HalfHour(u32),
}

/// A slot and its time.
#[derive(Clone, Debug)]
pub(crate) struct TimedSlot {
    /// Since the Unix epoch.
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    pub(crate) slot: Slot,
}

/// A life of the service, for whoever wonders what changed when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// When it started, since the Unix epoch.
    pub(crate) started: Duration,
    /// Version of the service; empty where it told none.
    pub(crate) version: Arc<str>,
}

/// The moment that a tick records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The wall clock at the tick, since the Unix epoch.
    pub(crate) wall: Duration,
    /// Whether requests are measured.
    pub(crate) measuring: bool,
    /// Resident memory in bytes, where it is read.
    pub(crate) resident_bytes: Option<f64>,
}

/// What is different since somebody last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Everything from before is gone.
    pub(crate) cleared: bool,
    /// New slots; `None` for those that are gone.
    pub(crate) slots: BTreeMap<SlotKey, Option<Slot>>,
    /// New names of endpoints.
    pub(crate) endpoints: BTreeMap<u32, Arc<str>>,
    /// When lives began that are forgotten.
    #[cfg(feature = "archive")]
    pub(crate) lost_runs: Vec<Duration>,
}

/// What an archive holds.
#[cfg(feature = "archive")]
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) endpoints: EndpointNames,
    pub(crate) slots: Vec<(SlotKey, Slot)>,
    pub(crate) runs: Vec<Run>,
}

/// The last day by the minute and the last week by the half hour.
#[derive(Debug)]
pub(crate) struct Tiers {
    limits: TierLimits,
    endpoints: EndpointNames,
    minutes: BTreeMap<u32, Slot>,
    half_hours: BTreeMap<u32, Slot>,
    /// Lives of the service, oldest first, this one last.
    runs: Vec<Run>,
    slot_bytes: usize,
    /// What the windows took when the last minute ended.
    window_bytes: usize,
    requests: RequestSeries,
    /// The minute that is being summed.
    current: Option<u32>,
    sums: SlotSums,
    /// `None` where nobody asks.
    changes: Option<Changes>,
    /// Whether everything was forgotten before anybody asked.
    cleared: bool,
    /// When what changed was told last.
    #[cfg(feature = "archive")]
    told: Duration,
    /// Up to when the limits were held last.
    limits_at: Option<u32>,
}

impl Tiers {
    pub(crate) fn new(limits: TierLimits, run: Run) -> Self {
        Self {
            limits,
            endpoints: EndpointNames::default(),
            minutes: BTreeMap::new(),
            half_hours: BTreeMap::new(),
            runs: vec![run],
            slot_bytes: 0,
            window_bytes: 0,
            requests: RequestSeries::default(),
            current: None,
            sums: SlotSums::default(),
            changes: None,
            cleared: false,
            #[cfg(feature = "archive")]
            told: Duration::ZERO,
            limits_at: None,
        }
    }

    /// Enters what the latest tick of `history` found; `failed` tells which series count failures. Returns whether a
    /// minute ended.
    pub(crate) fn record(&mut self, history: &History, moment: Moment, failed: impl Fn(&SeriesMeta) -> bool) -> bool {
        let Some((delta, index)) = history.latest() else { return false };
        let took = delta.end.saturating_duration_since(delta.start);
        // A difference belongs to the minute in which the larger part of it lies.
        let minute = minute_of(moment.wall.saturating_sub(took / 2));
        if self.current != Some(minute) {
            self.window_bytes = history.bytes();
        }
        let ended = self.current.is_some_and(|current| current != minute) && self.finish();
        self.current = Some(minute);
        let Self { requests, endpoints, changes, sums, .. } = self;
        requests.follow(index, endpoints, failed, |number, name| {
            if let Some(changes) = changes {
                changes.endpoints.insert(number, name.into());
            }
        });
        requests.add(delta, sums);
        if moment.measuring {
            sums.add_time(took);
        }
        if let Some(bytes) = moment.resident_bytes {
            sums.add_memory(bytes);
        }
        ended
    }

    /// Ends the minute before its time: the process stops. Returns whether there was anything in it.
    pub(crate) fn finish(&mut self) -> bool {
        let Some(minute) = self.current.take().filter(|_| !self.sums.is_empty()) else { return false };
        let slot = self.sums.take();
        self.put(SlotKey::Minute(minute), slot);
        self.keep_limits(minute + 1);
        true
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.minutes.clear();
        self.half_hours.clear();
        self.slot_bytes = 0;
        self.current = None;
        self.sums.take();
        match &mut self.changes {
            Some(changes) => {
                changes.slots.clear();
                changes.cleared = true;
            }
            None => self.cleared = true,
        }
    }

    /// Returns the slots that lie between two times, oldest first.
    pub(crate) fn slots(&self, from: Duration, to: Duration) -> Vec<TimedSlot> {
        let timed = |start: u64, minutes: u64, slot: &Slot| TimedSlot {
            start: Duration::from_secs(start * MINUTE),
            length: Duration::from_secs(minutes * MINUTE),
            slot: slot.clone(),
        };
        let minutes = self.minutes.iter().map(|(minute, slot)| timed(u64::from(*minute), 1, slot));
        let half = u64::from(HALF_HOUR);
        let half_hours = self.half_hours.iter().map(|(at, slot)| timed(u64::from(*at) * half, half, slot));
        // By its middle: a half hour that reaches a little over an end belongs to one side only.
        let inside = |slot: &TimedSlot| (from..to).contains(&(slot.start + slot.length / 2));
        let mut slots: Vec<TimedSlot> = half_hours.chain(minutes).filter(inside).collect();
        slots.sort_by_key(|slot| slot.start);
        slots
    }

    pub(crate) fn endpoints(&self) -> &EndpointNames {
        &self.endpoints
    }

    /// Returns the lives of the service, oldest first, this one last.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns the heap it takes, nearly.
    pub(crate) fn bytes(&self) -> usize {
        self.slot_bytes + self.sums.bytes() + self.endpoints.bytes()
    }

    fn put(&mut self, key: SlotKey, slot: Slot) {
        let slot = match self.remove(key) {
            None => slot,
            // A restart within the minute, or a clock that was set back.
            Some(before) => merged([&before, &slot]),
        };
        self.slot_bytes += slot.as_bytes().len() + OVERHEAD;
        self.note(key, Some(slot.clone()));
        let (tier, at) = self.tier(key);
        tier.insert(at, slot);
    }

    fn remove(&mut self, key: SlotKey) -> Option<Slot> {
        let (tier, at) = self.tier(key);
        let removed = tier.remove(&at)?;
        self.slot_bytes -= removed.as_bytes().len() + OVERHEAD;
        self.note(key, None);
        Some(removed)
    }

    fn tier(&mut self, key: SlotKey) -> (&mut BTreeMap<u32, Slot>, u32) {
        match key {
            SlotKey::Minute(minute) => (&mut self.minutes, minute),
            SlotKey::HalfHour(at) => (&mut self.half_hours, at),
        }
    }

    fn note(&mut self, key: SlotKey, slot: Option<Slot>) {
        if let Some(changes) = &mut self.changes {
            changes.slots.insert(key, slot);
        }
    }

    /// Folds and drops what is too old or too much at the beginning of the minute `now`.
    ///
    /// A clock that jumps ahead may be wrong, and what is dropped is gone: the limits follow it an hour a minute.
    fn keep_limits(&mut self, now: u32) {
        let now = self.limits_at.map_or(now, |last| now.min(last.saturating_add(LEAP)));
        self.limits_at = Some(now);
        let retention = u32::try_from(self.limits.retention.as_secs() / MINUTE).unwrap_or(u32::MAX);
        while let Some((&minute, _)) = self.minutes.first_key_value() {
            let half_hour = minute / HALF_HOUR;
            if minute.saturating_add(retention) < now {
                self.remove(SlotKey::Minute(minute));
            } else if end_of(half_hour).saturating_add(FINE) <= now {
                self.fold(half_hour);
            } else {
                break;
            }
        }
        while let Some((&at, _)) = self.half_hours.first_key_value()
            && end_of(at).saturating_add(retention) <= now
        {
            self.remove(SlotKey::HalfHour(at));
        }
        let budget = self.budget();
        while self.bytes() > budget && self.shrink(now) {}
    }

    /// Returns what the windows leave. They shrink by no setting of their own: with too many series for the budget the
    /// trends keep a part of it all the same.
    fn budget(&self) -> usize {
        let all = self.limits.bytes;
        all.saturating_sub(self.window_bytes).max(all / SHARE_AT_LEAST)
    }

    /// Makes the oldest part smaller; returns whether there was any.
    fn shrink(&mut self, now: u32) -> bool {
        let oldest_minute = self.minutes.first_key_value().map(|(minute, _)| *minute);
        let oldest_half_hour = self.half_hours.first_key_value().map(|(at, _)| *at);
        match (oldest_minute, oldest_half_hour) {
            (Some(minute), _) if end_of(minute / HALF_HOUR).saturating_add(FINE_AT_LEAST) <= now => {
                self.fold(minute / HALF_HOUR);
            }
            (_, Some(at)) => drop(self.remove(SlotKey::HalfHour(at))),
            (Some(minute), None) => drop(self.remove(SlotKey::Minute(minute))),
            (None, None) => return false,
        }
        true
    }

    /// Turns the minutes of a half hour into one slot.
    fn fold(&mut self, half_hour: u32) {
        let range = half_hour * HALF_HOUR..end_of(half_hour);
        let minutes: Vec<u32> = self.minutes.range(range).map(|(minute, _)| *minute).collect();
        let slots: Vec<Slot> = minutes.iter().filter_map(|minute| self.remove(SlotKey::Minute(*minute))).collect();
        self.put(SlotKey::HalfHour(half_hour), merged(&slots));
    }
}

#[cfg(feature = "archive")]
impl Tiers {
    /// Takes in what an archive holds, and from now on tells what changes.
    ///
    /// What was recorded meanwhile stays; the archive's numbers of endpoints are the ones that count from here on. Slots
    /// and lives of a time that is still to come are of a clock that was wrong, and are dropped: they would else be taken
    /// for the truth when that time comes. But where there is nothing else, it is today's clock that is wrong.
    pub(crate) fn restore(&mut self, stored: Stored, wall: Duration) {
        let mine = std::mem::replace(&mut self.endpoints, stored.endpoints);
        let cleared = std::mem::take(&mut self.cleared);
        self.changes = Some(Changes { cleared, ..Changes::default() });
        let numbers: BTreeMap<u32, u32> = mine
            .iter()
            .map(|(number, name)| {
                let (new, is_new) = self.endpoints.number(name);
                if let (true, Some(changes)) = (is_new, &mut self.changes) {
                    changes.endpoints.insert(new, name.clone());
                }
                (number, new)
            })
            .collect();
        let number = |old: u32| numbers.get(&old).copied().unwrap_or(old);
        self.requests.renumber(number);
        let mut sums = SlotSums::default();
        if !self.sums.is_empty() {
            sums.add_slot(&self.sums.take(), number);
        }
        self.sums = sums;
        let own_minutes = std::mem::take(&mut self.minutes).into_iter().map(|(at, slot)| (SlotKey::Minute(at), slot));
        let own_half_hours = std::mem::take(&mut self.half_hours);
        let own_half_hours = own_half_hours.into_iter().map(|(at, slot)| (SlotKey::HalfHour(at), slot));
        self.slot_bytes = 0;
        let now = minute_of(wall);
        let (past, to_come): (Vec<_>, Vec<_>) = stored.slots.into_iter().partition(|(key, _)| key.start() <= now);
        let (mut runs, wrong_runs): (Vec<Run>, Vec<Run>) = stored.runs.into_iter().partition(|run| run.started <= wall);
        if let Some(changes) = self.changes.as_mut().filter(|_| !past.is_empty()) {
            changes.slots.extend(to_come.into_iter().map(|(key, _)| (key, None)));
            changes.lost_runs.extend(wrong_runs.into_iter().map(|run| run.started));
        }
        for (key, slot) in past.into_iter().filter(|_| !cleared) {
            self.slot_bytes += slot.as_bytes().len() + OVERHEAD;
            let (tier, at) = self.tier(key);
            tier.insert(at, slot);
        }
        for (key, slot) in own_minutes.chain(own_half_hours) {
            let mut renumbered = SlotSums::default();
            renumbered.add_slot(&slot, number);
            self.put(key, renumbered.take());
        }
        runs.append(&mut self.runs);
        runs.sort_by_key(|run| run.started);
        runs.dedup();
        self.runs = runs;
        self.limits_at = None;
        self.keep_limits(now);
    }

    /// Takes in another archive in the middle of a life. What is known here and there is as it is here: the other one is a
    /// copy, or of a life that ran at the same time.
    pub(crate) fn adopt(&mut self, mut stored: Stored, wall: Duration) {
        stored.slots.retain(|(key, _)| match key {
            SlotKey::Minute(at) => !self.minutes.contains_key(at),
            SlotKey::HalfHour(at) => !self.half_hours.contains_key(at),
        });
        self.restore(stored, wall);
    }

    /// Tells what the minute that goes on has so far, now and then. Returns whether it did.
    pub(crate) fn tell(&mut self, wall: Duration) -> bool {
        let Some(minute) = self.current.filter(|_| self.changes.is_some() && !self.sums.is_empty()) else {
            return false;
        };
        if wall.abs_diff(self.told) < TOLD_EVERY {
            return false;
        }
        self.told = wall;
        let slot = self.sums.slot();
        let slot = self.minutes.get(&minute).map_or_else(|| slot.clone(), |before| merged([before, &slot]));
        self.note(SlotKey::Minute(minute), Some(slot));
        true
    }

    /// Returns everything as if it were new, for an archive that lost what it had.
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

#[cfg(feature = "archive")]
impl Changes {
    /// Adds what came after these.
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

#[cfg(feature = "archive")]
impl SlotKey {
    /// Returns its first minute.
    fn start(self) -> u32 {
        match self {
            Self::Minute(minute) => minute,
            Self::HalfHour(at) => at.saturating_mul(HALF_HOUR),
        }
    }
}

fn minute_of(wall: Duration) -> u32 {
    u32::try_from(wall.as_secs() / MINUTE).unwrap_or(u32::MAX)
}

/// Returns the minute after a half hour.
fn end_of(half_hour: u32) -> u32 {
    half_hour.saturating_add(1).saturating_mul(HALF_HOUR)
}

fn merged<'a>(slots: impl IntoIterator<Item = &'a Slot>) -> Slot {
    let mut sums = SlotSums::default();
    slots.into_iter().for_each(|slot| sums.add_slot(slot, |endpoint| endpoint));
    sums.take()
}

#[cfg(test)]
mod tests;
