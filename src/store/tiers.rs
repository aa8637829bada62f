//! [`Tiers`]: the last day by the minute and the last week by the half hour.
//!
//! They reach further back than the windows, are coarser, and run on the wall clock, since they outlive the process. A
//! slot holds mergeable sums and histograms, never a percentile. The invariants that a change could break: every
//! request is in exactly one slot, and all slots together fit into the bytes that the windows leave of the budget,
//! whatever the number of routes.

#[cfg(feature = "archive")]
mod archive;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

#[cfg(feature = "archive")]
pub(crate) use archive::{ArchiveContents, Reference};

use super::{
    History,
    endpoint_names::EndpointNames,
    requests::{RequestSeries, TickRequests},
    slot::Slot,
    slot_sums::SlotSums,
};

/// Seconds in a minute, and minutes in a half hour.
const MINUTE: u64 = 60;
const HALF_HOUR: u32 = 30;
/// Minutes before older ones are folded into half hours: a day.
const MINUTES_KEPT: u32 = 24 * 60;
/// Minutes that are not folded even when the budget is short: a view of the last hour needs them.
const MINUTES_KEPT_AT_LEAST: u32 = 2 * 60;
/// The tiers may always use the budget divided by this, however much the windows take.
const MIN_SHARE: usize = 4;
/// Minutes by which the limits move at most when a minute ends; see [`Tiers::keep_limits`].
const MAX_STEP: u32 = 60;
/// Minutes by which a clock may be ahead of the limits and is followed at once; beyond, it may be wrong by days.
const BELIEVED: u32 = 6 * 60;
/// Minutes for which a clock must be further ahead, or behind slots that are there, before it is believed: a day.
const SECOND_OPINION: u32 = 24 * 60;
/// Bytes that a slot takes beside its own: the entry in the map and the allocator's rounding, about.
const OVERHEAD: usize = 64;

/// How long slots are kept, and how many bytes they may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TierLimits {
    pub(crate) retention: Duration,
    /// For the windows and the tiers together.
    pub(crate) bytes: usize,
}

/// The time of a slot: a count of minutes, or of half hours, since the Unix epoch.
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

/// One run of the service's process. Trends show where runs and versions begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// When it started, since the Unix epoch.
    pub(crate) started: Duration,
    /// Version of the service; empty if none was set.
    pub(crate) version: Arc<str>,
}

/// The clock and the process's state at a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The wall clock at the tick, since the Unix epoch.
    pub(crate) wall: Duration,
    /// Whether requests are measured.
    pub(crate) measuring: bool,
    /// Resident memory in bytes, on platforms that report it.
    pub(crate) resident_bytes: Option<f64>,
}

/// What an archive has to write: the changes since it last took them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Delete everything older than these changes.
    pub(crate) cleared: bool,
    /// New and changed slots; `None` for deleted ones.
    pub(crate) slots: BTreeMap<SlotKey, Option<Slot>>,
    /// New names of endpoints.
    pub(crate) endpoints: BTreeMap<u32, Arc<str>>,
    /// Starts of the runs that were dropped.
    #[cfg(feature = "archive")]
    pub(crate) lost_runs: Vec<Duration>,
}

/// The last day by the minute and the last week by the half hour.
#[derive(Debug)]
pub(crate) struct Tiers {
    limits: TierLimits,
    endpoints: EndpointNames,
    minutes: BTreeMap<u32, Slot>,
    half_hours: BTreeMap<u32, Slot>,
    /// Runs of the service, oldest first, this one last.
    runs: Vec<Run>,
    slot_bytes: usize,
    /// Bytes of the windows when the last minute ended.
    window_bytes: usize,
    requests: RequestSeries,
    /// The minute that is being summed.
    current: Option<u32>,
    sums: SlotSums,
    /// `None` until an archive opens.
    changes: Option<Changes>,
    /// Whether everything was cleared before an archive opened.
    cleared: bool,
    /// How often the slots were replaced as a whole.
    generation: u64,
    /// When the current minute was last reported, since the Unix epoch.
    #[cfg(feature = "archive")]
    reported_at: Duration,
    /// The minute at which the limits were last applied.
    limits_at: Option<u32>,
    /// Minutes for which the clock has been further ahead of the limits than [`BELIEVED`].
    ahead_for: u32,
    /// What the archive has of times that have not come.
    #[cfg(feature = "archive")]
    doubtful: Doubtful,
}

/// Slots and runs of times that have not come: this clock is wrong, or the one they were written by was. They are not shown,
/// and deleted once this clock has stood for [`SECOND_OPINION`].
#[cfg(feature = "archive")]
#[derive(Debug, Default)]
struct Doubtful {
    slots: Vec<SlotKey>,
    runs: Vec<Duration>,
    /// Minutes that have ended since they were found.
    minutes: u32,
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
            generation: 0,
            #[cfg(feature = "archive")]
            reported_at: Duration::ZERO,
            limits_at: None,
            ahead_for: 0,
            #[cfg(feature = "archive")]
            doubtful: Doubtful::default(),
        }
    }

    /// Adds the requests of the latest tick of `history`. Returns whether a minute ended.
    pub(crate) fn record(&mut self, history: &History, moment: Moment) -> bool {
        let Some((delta, index)) = history.latest() else { return false };
        let took = delta.end.saturating_duration_since(delta.start);
        // A difference belongs to the minute of its middle.
        let minute = minute_of(moment.wall.saturating_sub(took / 2));
        if self.current != Some(minute) {
            self.window_bytes = history.bytes();
        }
        let ended = self.current.is_some_and(|current| current != minute) && self.finish();
        self.current = Some(minute);
        let Self { requests, endpoints, changes, sums, .. } = self;
        requests.follow(index, endpoints, |number, name| {
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

    /// Ends the current minute, also before it is over when the process stops. Returns whether it was not empty.
    pub(crate) fn finish(&mut self) -> bool {
        let Some(minute) = self.current.take().filter(|_| !self.sums.is_empty()) else { return false };
        let slot = self.sums.take();
        self.put(SlotKey::Minute(minute), slot);
        self.keep_limits(minute + 1);
        #[cfg(feature = "archive")]
        self.judge_doubtful(minute);
        true
    }

    /// Drops all slots. The endpoints keep their numbers, and the runs stay.
    pub(crate) fn clear(&mut self) {
        self.minutes.clear();
        self.half_hours.clear();
        self.slot_bytes = 0;
        self.current = None;
        self.generation += 1;
        self.sums.take();
        match &mut self.changes {
            Some(changes) => {
                changes.slots.clear();
                changes.cleared = true;
            }
            None => self.cleared = true,
        }
    }

    /// Returns the slots whose middle lies between two times, oldest first.
    pub(crate) fn slots(&self, from: Duration, to: Duration) -> Vec<TimedSlot> {
        let timed = |start: u64, minutes: u64, slot: &Slot| TimedSlot {
            start: Duration::from_secs(start * MINUTE),
            length: Duration::from_secs(minutes * MINUTE),
            slot: slot.clone(),
        };
        let minutes = self.minutes.iter().map(|(minute, slot)| timed(u64::from(*minute), 1, slot));
        let half = u64::from(HALF_HOUR);
        let half_hours = self.half_hours.iter().map(|(at, slot)| timed(u64::from(*at) * half, half, slot));
        // By its middle, so that a half hour across a boundary counts on one side of it only.
        let inside = |slot: &TimedSlot| (from..to).contains(&(slot.start + slot.length / 2));
        let mut slots: Vec<TimedSlot> = half_hours.chain(minutes).filter(inside).collect();
        slots.sort_by_key(|slot| slot.start);
        slots
    }

    /// Returns the current minute as far as it got.
    pub(crate) fn current(&self) -> Option<TimedSlot> {
        let minute = self.current.filter(|_| !self.sums.is_empty())?;
        let (start, length) = (Duration::from_secs(u64::from(minute) * MINUTE), Duration::from_secs(MINUTE));
        Some(TimedSlot { start, length, slot: self.sums.slot() })
    }

    /// Calls `visit` with the requests of the latest tick of `history`, which was [recorded](Self::record).
    pub(crate) fn visit_latest(&self, history: &History, visit: impl FnMut(TickRequests)) {
        if let Some((delta, _)) = history.latest() {
            self.requests.visit(delta, visit);
        }
    }

    /// Returns how often the slots and the numbers of the endpoints were replaced as a whole: by a clear, or by an archive's.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn endpoints(&self) -> &EndpointNames {
        &self.endpoints
    }

    /// Returns the runs of the service, oldest first, this one last.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns about how many heap bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.slot_bytes + self.sums.bytes() + self.endpoints.bytes()
    }

    fn put(&mut self, key: SlotKey, slot: Slot) {
        let slot = match self.remove(key) {
            None => slot,
            // The service restarted within the minute, or its clock was set back.
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

    /// Returns from when ages are counted at the minute `now`, and moves it on.
    ///
    /// A clock that jumps ahead may be wrong, and dropped slots do not come back. So the limits follow it by at most an hour
    /// each minute, and a jump past [`BELIEVED`] at the pace of a clock, until it has lasted for [`SECOND_OPINION`].
    fn move_limits(&mut self, now: u32) -> u32 {
        let Some(last) = self.limits_at else { return *self.limits_at.insert(now) };
        let is_far_ahead = now.saturating_sub(last) > BELIEVED;
        self.ahead_for = if is_far_ahead { self.ahead_for + 1 } else { 0 };
        let at = match is_far_ahead {
            true if self.ahead_for >= SECOND_OPINION => now,
            true => last + 1,
            false => now.min(last.saturating_add(MAX_STEP)),
        };
        *self.limits_at.insert(at)
    }

    /// Folds and drops slots that are too old, or too many for the budget, at the beginning of the minute `now`.
    fn keep_limits(&mut self, now: u32) {
        let now = self.move_limits(now);
        let retention = u32::try_from(self.limits.retention.as_secs() / MINUTE).unwrap_or(u32::MAX);
        while let Some((&minute, _)) = self.minutes.first_key_value() {
            let half_hour = minute / HALF_HOUR;
            if minute.saturating_add(retention) < now {
                self.remove(SlotKey::Minute(minute));
            } else if end_of(half_hour).saturating_add(MINUTES_KEPT) <= now {
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

    /// Returns the bytes that the windows leave. The windows have no limit in bytes themselves, so with very many
    /// series the tiers may use a quarter of the budget beside them.
    fn budget(&self) -> usize {
        let all = self.limits.bytes;
        all.saturating_sub(self.window_bytes).max(all / MIN_SHARE)
    }

    /// Folds or drops the oldest slots; returns whether there were any.
    fn shrink(&mut self, now: u32) -> bool {
        let oldest_minute = self.minutes.first_key_value().map(|(minute, _)| *minute);
        let oldest_half_hour = self.half_hours.first_key_value().map(|(at, _)| *at);
        match (oldest_minute, oldest_half_hour) {
            (Some(minute), _) if end_of(minute / HALF_HOUR).saturating_add(MINUTES_KEPT_AT_LEAST) <= now => {
                self.fold(minute / HALF_HOUR);
            }
            (_, Some(at)) => drop(self.remove(SlotKey::HalfHour(at))),
            (Some(minute), None) => drop(self.remove(SlotKey::Minute(minute))),
            (None, None) => return false,
        }
        true
    }

    /// Merges the minutes of a half hour into one slot.
    fn fold(&mut self, half_hour: u32) {
        let range = half_hour * HALF_HOUR..end_of(half_hour);
        let minutes: Vec<u32> = self.minutes.range(range).map(|(minute, _)| *minute).collect();
        let slots: Vec<Slot> = minutes.iter().filter_map(|minute| self.remove(SlotKey::Minute(*minute))).collect();
        self.put(SlotKey::HalfHour(half_hour), merged(&slots));
    }
}

fn minute_of(wall: Duration) -> u32 {
    u32::try_from(wall.as_secs() / MINUTE).unwrap_or(u32::MAX)
}

/// Returns the first minute after a half hour.
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
