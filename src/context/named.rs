//! [`NamedTable`]: a bounded number of names, each with its series, and places that unused names give back.
//!
//! Names are made by programs, and some make up a new one each time they run: savepoints, temporary tables, prepared
//! statements. Such names must neither grow the memory nor take the places of those that come later. So
//!
//! - past `limit` names, further ones share the entry `other`;
//! - the last quarter of the places is for names that come a second time: names that are used once, and were they
//!   thousands, leave it free;
//! - when all places are taken, names that were not used for some minutes give theirs back ([`NamedTable::give_back`]).
//!
//! A lookup reads an immutable map behind an atomic pointer. A new entry copies the map under a lock, which is
//! expensive and rare. The invariant that a change could break: a number is never used for a second name, because
//! requests and [`Statements`] remember
//! numbers.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::Counter;
use tokio::time::Instant;

use super::statements::Statements;
use crate::{lock::lock, names};

/// The part of the places that is for names which come a second time.
const RESERVED: usize = 4;
/// The part of the places that is freed at most when unused names give theirs back: more than the reserved part, so that
/// new names get one at once.
const FREED: usize = 2;

/// A name's series, and when the name was last used.
#[derive(Debug)]
struct Entry<S> {
    id: u32,
    series: Arc<S>,
    /// Seconds on the table's clock. Relaxed: it is read for its own value.
    used: AtomicU32,
}

struct Entries<S> {
    by_name: HashMap<Arc<str>, Arc<Entry<S>>, foldhash::fast::RandomState>,
    by_id: HashMap<u32, Arc<Entry<S>>, foldhash::fast::FixedState>,
    /// The entry of names that have no place, from the first of them on.
    other: Option<Arc<Entry<S>>>,
}

impl<S> Default for Entries<S> {
    fn default() -> Self {
        Self { by_name: HashMap::default(), by_id: HashMap::default(), other: None }
    }
}

impl<S> Clone for Entries<S> {
    fn clone(&self) -> Self {
        Self { by_name: self.by_name.clone(), by_id: self.by_id.clone(), other: self.other.clone() }
    }
}

/// What a lookup found.
pub(super) struct Found<S> {
    pub(super) series: Arc<S>,
    /// Whether the name finds the same series until a place is given back. It does not if it came for the first time and
    /// may get a place when it comes again.
    pub(super) is_settled: bool,
}

pub(super) struct Writing {
    next_id: u32,
}

/// A bounded table of series by name, each with a number of its own.
pub(super) struct NamedTable<S> {
    limit: usize,
    /// Counts the lookups that were folded into `other`.
    dropped: Counter,
    entries: ArcSwap<Entries<S>>,
    /// Names that came once and have no place yet.
    once: Statements,
    hasher: foldhash::fast::RandomState,
    began: Instant,
    /// Seconds from `began` to the last tick.
    clock: AtomicU32,
    writing: Mutex<Writing>,
}

impl<S> NamedTable<S> {
    pub(super) fn new(limit: usize, dropped: Counter) -> Self {
        Self {
            limit,
            dropped,
            entries: ArcSwap::default(),
            once: Statements::new(limit),
            hasher: foldhash::fast::RandomState::default(),
            began: Instant::now(),
            clock: AtomicU32::new(0),
            writing: Mutex::new(Writing { next_id: 0 }),
        }
    }

    /// Returns the series of a name: its own, or that of `other` if no place is free for it. `make` makes it from its
    /// number and the name that it got.
    pub(super) fn resolve(&self, name: &str, make: impl FnOnce(u32, Arc<str>) -> S) -> Found<S> {
        if let Some(known) = self.known_or_other(&self.entries.load(), name) {
            return known;
        }
        let mut writing = lock(&self.writing);
        let entries = self.entries.load();
        // Another thread may have made it while this one waited for the lock.
        if let Some(known) = self.known_or_other(&entries, name) {
            return known;
        }
        let has_place = self.has_place(&entries, name);
        if !has_place {
            self.dropped.increment(1);
            if let Some(other) = &entries.other {
                return Found { series: other.series.clone(), is_settled: false };
            }
        }
        let name: Arc<str> = if has_place { name.into() } else { names::OTHER.into() };
        let id = writing.next_id;
        // After four thousand million names, numbers begin again. Whoever remembers the first ones is long gone.
        writing.next_id = writing.next_id.wrapping_add(1);
        let series = Arc::new(make(id, name.clone()));
        let entry = Arc::new(Entry { id, series: series.clone(), used: AtomicU32::new(self.clock.load(Relaxed)) });
        let mut next = Entries::clone(&entries);
        next.by_id.insert(id, entry.clone());
        if has_place {
            next.by_name.insert(name, entry);
        } else {
            next.other = Some(entry);
        }
        self.entries.store(Arc::new(next));
        Found { series, is_settled: has_place || self.is_full(&entries) }
    }

    fn known_or_other(&self, entries: &Entries<S>, name: &str) -> Option<Found<S>> {
        if let Some(known) = entries.by_name.get(name) {
            return Some(Found { series: self.touch(known), is_settled: true });
        }
        let other = entries.other.as_ref().filter(|_| self.is_full(entries))?;
        self.dropped.increment(1);
        Some(Found { series: other.series.clone(), is_settled: true })
    }

    fn is_full(&self, entries: &Entries<S>) -> bool {
        entries.by_name.len() >= self.limit
    }

    /// Returns whether a place is free for a new name. One of the last places is, if the name came before.
    fn has_place(&self, entries: &Entries<S>, name: &str) -> bool {
        if self.is_full(entries) {
            return false;
        }
        if entries.by_name.len() < self.limit - self.limit / RESERVED {
            return true;
        }
        let hash = self.hasher.hash_one(name);
        let came_before = self.once.get(hash).is_some();
        if !came_before {
            self.once.remember(hash, 0);
        }
        came_before
    }

    /// Notes that an entry is used now. Writes only once between two ticks: a line that is only read stays in the
    /// caches of all cores.
    fn touch(&self, entry: &Entry<S>) -> Arc<S> {
        let now = self.clock.load(Relaxed);
        if entry.used.load(Relaxed) != now {
            entry.used.store(now, Relaxed);
        }
        entry.series.clone()
    }

    /// Returns the series of a name that has a place.
    pub(super) fn get(&self, name: &str) -> Option<Arc<S>> {
        self.entries.load().by_name.get(name).map(|entry| entry.series.clone())
    }

    /// Returns the series with a number, and notes that it is used.
    pub(super) fn use_by_id(&self, id: u32) -> Option<Arc<S>> {
        self.entries.load().by_id.get(&id).map(|entry| self.touch(entry))
    }

    /// Returns the series with a number.
    pub(super) fn by_id(&self, id: u32) -> Option<Arc<S>> {
        self.entries.load().by_id.get(&id).map(|entry| entry.series.clone())
    }

    /// Calls `visit` with every series, that of `other` too.
    pub(super) fn each(&self, mut visit: impl FnMut(&Arc<S>)) {
        self.entries.load().by_id.values().for_each(|entry| visit(&entry.series));
    }

    #[cfg(test)]
    pub(super) fn writing(&self) -> &Mutex<Writing> {
        &self.writing
    }

    /// Takes the time of a tick. If all places are taken, drops names that were not used for `unused`, the longest
    /// unused first, until half of the places are free. A name whose series somebody holds, such as a running
    /// task's, stays. Returns whether any was dropped.
    pub(super) fn give_back(&self, now: Instant, unused: Duration) -> bool {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let now = seconds(now.saturating_duration_since(self.began));
        self.clock.store(now, Relaxed);
        if !self.is_full(&self.entries.load()) {
            return false;
        }
        let _writing = lock(&self.writing);
        let entries = self.entries.load();
        let is_idle = |used: u32, entry: &Entry<S>| {
            now.saturating_sub(used) > seconds(unused) && Arc::strong_count(&entry.series) == 1
        };
        let all = entries.by_name.iter().map(|(name, entry)| (entry.used.load(Relaxed), name, entry.id, entry));
        let mut idle: Vec<_> = all.filter(|(used, _, _, entry)| is_idle(*used, entry)).collect();
        idle.sort_unstable_by_key(|(used, ..)| *used);
        idle.truncate((self.limit / FREED).max(1));
        if idle.is_empty() {
            return false;
        }
        let mut next = Entries::clone(&entries);
        for (_, name, id, _) in idle {
            next.by_name.remove(name);
            next.by_id.remove(&id);
        }
        self.entries.store(Arc::new(next));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn table(limit: usize) -> NamedTable<(u32, Arc<str>)> {
        NamedTable::new(limit, Counter::noop())
    }

    fn name(table: &NamedTable<(u32, Arc<str>)>, name: &str) -> Arc<str> {
        table.resolve(name, |id, name| (id, name)).series.1.clone()
    }

    #[test]
    fn a_thousand_names_that_come_once_leave_places_for_names_that_come_again() {
        let table = table(100);
        (0..1_000).for_each(|at| drop(name(&table, &format!("savepoint {at}"))));
        assert_eq!(&*name(&table, "slow"), names::OTHER, "it may be another that comes once");
        assert_eq!(&*name(&table, "slow"), "slow");
        assert_eq!(&*name(&table, "savepoint 0"), "savepoint 0");
    }

    #[test]
    fn names_that_no_window_contains_give_their_places_back() {
        let table = table(100);
        for _ in 0..2 {
            (0..1_000).for_each(|at| drop(name(&table, &format!("savepoint {at}"))));
        }
        assert_eq!([&*name(&table, "slow"), &*name(&table, "slow")], [names::OTHER; 2], "full");
        let used = WINDOW / 2;
        assert!(!table.give_back(table.began + used, WINDOW));
        assert_eq!(&*name(&table, "savepoint 7"), "savepoint 7");
        assert!(!table.give_back(table.began + WINDOW, WINDOW), "the window still contains them");
        assert!(table.give_back(table.began + WINDOW + Duration::from_secs(1), WINDOW));
        assert_eq!(table.entries.load().by_name.len(), 50);
        assert_eq!(&*name(&table, "savepoint 7"), "savepoint 7", "used since");
        name(&table, "slow");
        assert_eq!(&*name(&table, "slow"), "slow");
    }

    #[test]
    fn a_number_is_never_that_of_a_second_name() {
        let table = table(2);
        let number = |name: &str| table.resolve(name, |id, name| (id, name)).series.0;
        let (first, second) = (number("first"), number("second"));
        let other = number("third");
        assert!(table.give_back(table.began + WINDOW * 2, WINDOW));
        assert_eq!(table.by_id(first).or(table.by_id(second)).map(|_| ()), Some(()), "half of them is one");
        assert!(number("fourth") > other);
    }

    #[test]
    fn a_name_whose_series_is_held_keeps_its_place() {
        let table = table(2);
        let running = table.resolve("running", |id, name| (id, name)).series;
        name(&table, "over");
        assert!(table.give_back(table.began + WINDOW * 2, WINDOW));
        assert!(!table.give_back(table.began + WINDOW * 2, WINDOW), "not full");
        assert_eq!(table.get("running"), Some(running));
        assert_eq!(table.get("over"), None);
    }

    #[test]
    fn a_table_without_places_folds_everything() {
        let table = table(0);
        assert_eq!(&*name(&table, "a"), names::OTHER);
        assert!(!table.give_back(table.began + WINDOW * 2, WINDOW));
    }
}
