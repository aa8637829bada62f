//! [`Polls`]: the watched polls that run now, for a thread that looks at them from outside.
//!
//! A poll that blocks says nothing itself while it does. So its thread and its begin are written down here, a watchdog looks
//! at the threads whose poll lasts, and notes what each was seen in; the poll takes these notes with it when it ends.
//!
//! A fixed number of places, each an entry of atomics: no lock, and nothing to free. The invariant that a change could break: a
//! note reaches the poll that was looked at or none, which is why notes and the number of the poll are one atomic word.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::Thread,
    time::{Duration, Instant},
};

use super::thread_time::thread_id;
use crate::names;

/// Places. More threads than this are rarely inside a poll; a poll that finds none is measured without being looked at.
const PLACES: usize = 128;
/// Places that a poll tries.
const TRIES: usize = 4;
/// Bits of a note's counter, so that thirteen counters and the poll's number fit into one word.
const BITS: u32 = 4;
const MOST: u64 = (1 << BITS) - 1;
const NUMBER_SHIFT: u32 = BITS * KINDS as u32;

/// What a thread was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sight {
    /// Running, or ready to run.
    Running,
    /// Waiting for a lock, a channel or another thread.
    Lock,
    Sleep,
    /// Reading a file, opening one or listing a directory.
    ReadFile,
    WriteFile,
    /// Waiting for one or for any of some.
    ReadSocket,
    WriteSocket,
    Connecting,
    Pipe,
    Child,
    /// Having a file written to the disk.
    Sync,
    /// In memory that has to be read from the disk first.
    PageFault,
    Other,
}

/// Number of variants of [`Sight`].
const KINDS: usize = 13;

impl Sight {
    /// All of them, in the order of their counters.
    pub(crate) const ALL: [Self; KINDS] = [
        Self::Running,
        Self::Lock,
        Self::Sleep,
        Self::ReadFile,
        Self::WriteFile,
        Self::ReadSocket,
        Self::WriteSocket,
        Self::Connecting,
        Self::Pipe,
        Self::Child,
        Self::Sync,
        Self::PageFault,
        Self::Other,
    ];

    /// The words of findings for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Running => names::RUNNING,
            Self::Lock => "a lock (futex)",
            Self::Sleep => "sleep",
            Self::ReadFile => "reading a file",
            Self::WriteFile => "writing a file",
            Self::ReadSocket => "reading a socket",
            Self::WriteSocket => "writing a socket",
            Self::Connecting => "connecting",
            Self::Pipe => "reading a pipe",
            Self::Child => "waiting for a child process",
            Self::Sync => "disk (sync)",
            Self::PageFault => "disk (page fault)",
            Self::Other => "another system call",
        }
    }
}

/// How often a poll was seen in what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sights(u64);

impl Sights {
    /// Returns the kinds that were seen, with their number.
    pub(crate) fn each(self) -> impl Iterator<Item = (Sight, u64)> {
        let count = move |sight: Sight| self.0 >> (BITS * sight as u32) & MOST;
        Sight::ALL.into_iter().map(move |sight| (sight, count(sight))).filter(|(_, count)| *count > 0)
    }
}

/// One place. On a line of its own: each thread writes its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    is_taken: AtomicBool,
    /// The thread; 0 while no poll is published.
    thread: AtomicU32,
    /// Nanoseconds from the registry's begin.
    began: AtomicU64,
    /// Number of the poll and its notes.
    notes: AtomicU64,
}

/// A poll that lasts, as the watchdog sees it.
#[derive(Debug)]
pub(crate) struct LastingPoll<'a> {
    place: &'a Place,
    notes: u64,
    pub(crate) thread: u32,
    pub(crate) age: Duration,
}

impl LastingPoll<'_> {
    /// Returns how often it was looked at.
    pub(crate) fn looks(&self) -> u64 {
        Sights(self.notes).each().map(|(_, count)| count).sum()
    }

    /// Notes what its thread was seen in, unless the poll has ended meanwhile.
    pub(crate) fn note(&self, sight: Sight) {
        if self.looks() >= MOST || self.place.thread.load(Ordering::Acquire) != self.thread {
            return;
        }
        let noted = self.notes + (1 << (BITS * sight as u32));
        let _ = self.place.notes.compare_exchange(self.notes, noted, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The watched polls that run now.
#[derive(Debug)]
pub(crate) struct Polls {
    places: Box<[Place]>,
    base: Instant,
    /// Whether the watchdog waits for a poll to be published.
    is_asleep: AtomicBool,
    watchdog: OnceLock<Thread>,
    /// When a poll that blocked a worker last ended, in nanoseconds from the begin. Relaxed: it is read for its own value.
    blocked_until: AtomicU64,
}

impl Default for Polls {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            base: Instant::now(),
            is_asleep: AtomicBool::new(false),
            watchdog: OnceLock::new(),
            blocked_until: AtomicU64::new(0),
        }
    }
}

/// A poll that is published. Its place is free again when it is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct PublishedPoll {
    polls: Arc<Polls>,
    place: usize,
}

impl Polls {
    /// Publishes a poll of this thread; returns `None` where threads have no number, or no place is free.
    pub(crate) fn publish(self: &Arc<Self>) -> Option<PublishedPoll> {
        let thread = thread_id()?;
        let place = (0..TRIES).map(|offset| (thread as usize).wrapping_add(offset) % PLACES).find(|place| {
            let taken = &self.places[*place].is_taken;
            taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        let published = &self.places[place];
        published.began.store(self.nanos(), Ordering::Relaxed);
        let number = (published.notes.load(Ordering::Relaxed) >> NUMBER_SHIFT) + 1;
        published.notes.store(number << NUMBER_SHIFT, Ordering::Relaxed);
        // Sequentially consistent here and in `sleep`: either this thread sees the watchdog asleep, or that one sees the poll.
        published.thread.store(thread, Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst) && self.is_asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        Some(PublishedPoll { polls: self.clone(), place })
    }

    #[expect(clippy::cast_possible_truncation, reason = "2^64 ns are five hundred years")]
    fn nanos(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// Notes that a poll of a request or a tracked task ends now that blocked a worker.
    pub(crate) fn blocked(&self) {
        self.blocked_until.fetch_max(self.nanos(), Ordering::Relaxed);
    }

    /// Returns whether such a poll ended during the last `time`, or runs now.
    pub(crate) fn blocked_within(&self, time: Duration) -> bool {
        let ended = Duration::from_nanos(self.blocked_until.load(Ordering::Relaxed));
        let has_ended = !ended.is_zero() && ended + time >= self.base.elapsed();
        let mut runs = false;
        self.each_lasting(names::BLOCKING, |_| runs = true);
        has_ended || runs
    }

    /// Wakes the watchdog.
    #[cold]
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.watchdog.get() {
            thread.unpark();
        }
    }

    /// Calls `visit` with every poll that has lasted for `least` or longer; returns whether any poll is published.
    pub(crate) fn each_lasting(&self, least: Duration, mut visit: impl FnMut(&LastingPoll<'_>)) -> bool {
        let now = self.nanos();
        let mut any = false;
        for place in &self.places {
            let thread = place.thread.load(Ordering::SeqCst);
            if thread == 0 {
                continue;
            }
            any = true;
            let notes = place.notes.load(Ordering::Acquire);
            let age = Duration::from_nanos(now.saturating_sub(place.began.load(Ordering::Relaxed)));
            // The same poll was there when all of it was read.
            let is_one = place.notes.load(Ordering::Acquire) == notes && place.thread.load(Ordering::Acquire) == thread;
            if is_one && age >= least {
                visit(&LastingPoll { place, notes, thread, age });
            }
        }
        any
    }

    /// Makes this thread the watchdog, which [`sleep`](Self::sleep) may park.
    pub(crate) fn attend(&self) {
        let _ = self.watchdog.set(std::thread::current());
    }

    /// Parks the watchdog until a poll is published or [`wake`](Self::wake) is called; may return earlier.
    pub(crate) fn sleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        if self.places.iter().all(|place| place.thread.load(Ordering::SeqCst) == 0) {
            std::thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

impl PublishedPoll {
    /// Ends the poll, and returns what it was seen in.
    pub(crate) fn end(self) -> Sights {
        Sights(self.place().notes.load(Ordering::Acquire))
    }

    fn place(&self) -> &Place {
        &self.polls.places[self.place]
    }
}

impl Drop for PublishedPoll {
    fn drop(&mut self) {
        let place = self.place();
        place.thread.store(0, Ordering::Release);
        place.is_taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sights: Sights) -> Vec<(Sight, u64)> {
        sights.each().collect()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_poll_takes_its_own_notes_along() {
        let polls = Arc::<Polls>::default();
        let poll = polls.publish().expect("a place");
        let look = |sight| polls.each_lasting(Duration::ZERO, |poll| poll.note(sight));
        assert!(look(Sight::Sleep) && look(Sight::Sleep) && look(Sight::Other));
        assert_eq!(seen(poll.end()), [(Sight::Sleep, 2), (Sight::Other, 1)]);
        assert!(!look(Sight::Sleep), "none runs");
        assert_eq!(seen(polls.publish().expect("a place").end()), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_note_about_a_poll_that_ended_reaches_no_other() {
        let polls = Arc::<Polls>::default();
        let mut poll = polls.publish();
        let mut next = None;
        polls.each_lasting(Duration::ZERO, |lasting| {
            // The next poll of the same thread takes the same place.
            drop(poll.take());
            next = polls.publish();
            lasting.note(Sight::Lock);
        });
        assert_eq!(seen(next.expect("a place").end()), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_poll_is_looked_at_only_once_it_lasts_and_only_some_times() {
        let polls = Arc::<Polls>::default();
        let poll = polls.publish().expect("a place");
        assert!(polls.each_lasting(Duration::MAX, |poll| panic!("{poll:?}")), "it runs");
        for _ in 0..100 {
            polls.each_lasting(Duration::ZERO, |poll| poll.note(Sight::Running));
        }
        assert_eq!(seen(poll.end()), [(Sight::Running, MOST)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whether_a_poll_blocked_a_worker_is_known_of_the_last_moments() {
        let polls = Arc::<Polls>::default();
        assert!(!polls.blocked_within(Duration::from_secs(3600)));
        let poll = polls.publish().expect("a place");
        polls.places[poll.place].began.store(0, Ordering::Relaxed);
        let lasts = || polls.each_lasting(names::BLOCKING, |_| ());
        while polls.base.elapsed() < names::BLOCKING && lasts() {}
        assert!(polls.blocked_within(Duration::ZERO), "it runs");
        drop(poll);
        assert!(!polls.blocked_within(Duration::from_secs(3600)), "it ended without a word");
        polls.blocked();
        assert!(polls.blocked_within(Duration::from_secs(3600)));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1) {}
        assert!(!polls.blocked_within(Duration::from_micros(1)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_poll_without_a_place_is_no_error() {
        let polls = Arc::<Polls>::default();
        let held: Vec<_> = std::iter::from_fn(|| polls.publish()).collect();
        assert_eq!(held.len(), TRIES, "one thread has so many places");
        drop(held);
        assert!(polls.publish().is_some());
    }
}
