//! [`Use`]: all that one request did under one name, and the atomics that it is counted in.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{Part, Place, division::OwnTime};

/// All calls of one query, task, wait or service by a request, with those past the end of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) part: Part,
    pub(crate) id: u32,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// Calls that were the very same as one of the [`LAST`] different ones before.
    pub(crate) repeats: u64,
    pub(crate) nanos: u64,
    /// Time that what it waited for was held afterwards, and how often it was.
    pub(crate) held_nanos: u64,
    pub(crate) holds: u64,
    /// Time in which nothing else of the request ran.
    pub(crate) alone_nanos: u64,
    /// How many of the calls ran at once, at most.
    pub(crate) most_at_once: u8,
    pub(crate) place: Place,
}

/// So many different calls of a statement are remembered: parts of a page that each read the same few things.
pub(super) const LAST: usize = 4;

#[derive(Debug, Default)]
pub(super) struct UseSlot {
    /// One more than the part in the lowest four bits and the id above; zero while the slot is free.
    pub(super) tag: AtomicU64,
    pub(super) calls: AtomicU32,
    pub(super) failed: AtomicU32,
    /// See [`Did::exact`](super::Did): of the last calls that differ, and how many had one of these.
    pub(super) last: [AtomicU64; LAST],
    pub(super) repeats: AtomicU32,
    pub(super) holds: AtomicU32,
    pub(super) nanos: AtomicU64,
    pub(super) held_nanos: AtomicU64,
    pub(super) place: AtomicU32,
}

pub(super) fn use_tag(part: Part, id: u32) -> u64 {
    (u64::from(id) << 4 | part as u64) + 1
}

impl UseSlot {
    /// Frees the slot. Nobody may record in it at the same time.
    pub(super) fn clear(&self) {
        let Self { tag, calls, failed, last, repeats, holds, nanos, held_nanos, place } = self;
        [calls, failed, repeats, holds, place].into_iter().for_each(|count| count.store(0, Relaxed));
        [tag, nanos, held_nanos].into_iter().chain(last).for_each(|number| number.store(0, Relaxed));
    }

    /// Counts a call that is the very same as one before. Relaxed: of calls at the same time one may be missed.
    /// `calls` is how many were before it.
    pub(super) fn note_exact(&self, exact: u64, calls: u32) {
        if self.last.iter().any(|last| last.load(Relaxed) == exact) {
            self.repeats.fetch_add(1, Relaxed);
        } else {
            let different = calls.wrapping_sub(self.repeats.load(Relaxed));
            self.last[different as usize % LAST].store(exact, Relaxed);
        }
    }

    pub(super) fn read(&self, own: OwnTime) -> Option<Use> {
        let tag = self.tag.load(Relaxed).checked_sub(1)?;
        let nanos = self.nanos.load(Relaxed);
        Some(Use {
            part: Part::ALL[(tag & 0xF) as usize],
            id: u32::try_from(tag >> 4).expect("a tag is a 32-bit id above four bits"),
            calls: self.calls.load(Relaxed).into(),
            failed: self.failed.load(Relaxed).into(),
            repeats: self.repeats.load(Relaxed).into(),
            nanos,
            held_nanos: self.held_nanos.load(Relaxed),
            holds: self.holds.load(Relaxed).into(),
            alone_nanos: scaled(own.alone, own.sum, nanos),
            most_at_once: own.most_at_once,
            place: Place::from_number(self.place.load(Relaxed) as u16),
        })
    }
}

/// Returns what `part` of `sum`, in microseconds, is of `total` nanoseconds: what is past the end of the timeline is assumed
/// to overlap as much as what is on it.
pub(super) fn scaled(part: u64, sum: u64, total: u64) -> u64 {
    // Without overlap the total is exact to the nanosecond, and the spans to the microsecond.
    if part == sum { total } else { (total as f64 * (part as f64 / sum as f64)) as u64 }
}
