//! [`Event`]: something that a request did or waited for, and the atomics that it is written in.

use std::{
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Part, Place};

/// What a request did or waited for, when it is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Did {
    /// Its name's number in the table of its part.
    pub(crate) id: u32,
    pub(crate) began: Instant,
    pub(crate) duration: Duration,
    pub(crate) failed: bool,
    pub(crate) place: Place,
    /// A number that only calls of the very same statement have; 0 where the statement's text is not all of it.
    pub(crate) exact: u64,
}

impl Did {
    /// Returns a wait without a name.
    pub(crate) fn waited(began: Instant, duration: Duration) -> Self {
        Self { id: 0, began, duration, failed: false, place: Place::NONE, exact: 0 }
    }
}

/// Something that a request did or waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) part: Part,
    /// Its name's number in the table of its part; 0 of what has no name.
    pub(crate) id: u32,
    /// Where in the host's code it was tracked.
    pub(crate) place: Place,
    /// From the start of the request to its own.
    pub(crate) start: Duration,
    pub(crate) duration: Duration,
}

#[derive(Debug, Default)]
pub(super) struct EventSlot {
    /// One more than the part in the lowest four bits, the place in the sixteen above it, and the id above these; zero until
    /// the event is written.
    pub(super) tag: AtomicU64,
    start_micros: AtomicU32,
    duration_micros: AtomicU32,
}

impl EventSlot {
    /// Frees the slot. Nobody may write it at the same time.
    pub(super) fn clear(&self) {
        self.tag.store(0, Relaxed);
    }

    pub(super) fn write(&self, part: Part, id: u32, place: Place, start: Duration, duration: Duration) {
        self.start_micros.store(micros(start), Relaxed);
        self.duration_micros.store(micros(duration), Relaxed);
        let tag = u64::from(id) << 20 | u64::from(place.number()) << 4 | part as u64;
        // Release: a reader that sees the tag (Acquire in `read`) sees the times that were stored before it.
        self.tag.store(tag + 1, Release);
    }

    pub(super) fn read(&self) -> Option<Event> {
        let tag = self.tag.load(Acquire).checked_sub(1)?;
        Some(Event {
            part: Part::ALL[(tag & 0xF) as usize],
            id: u32::try_from(tag >> 20).expect("a tag holds a 32-bit id above its lowest 20 bits"),
            place: Place::from_number((tag >> 4 & 0xFFFF) as u16),
            start: Duration::from_micros(self.start_micros.load(Relaxed).into()),
            duration: Duration::from_micros(self.duration_micros.load(Relaxed).into()),
        })
    }
}

/// Returns microseconds in 32 bits, which last 71 minutes; longer durations stay at the limit.
pub(super) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
