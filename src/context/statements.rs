//! [`Statements`]: the fingerprints of statements, as long as these are in use.
//!
//! A statement with its literals inside comes once, one with parameters over and over, and the first time both look the
//! same. So every statement is remembered, in a table that never grows: a new one takes the place of one that was not
//! used again. Neither a lookup nor an insertion locks or allocates. The invariant that a change could break: a lookup
//! returns the number that was remembered for that statement, or nothing, whatever other threads write meanwhile.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Places that a statement may take: two cache lines.
const WAYS: usize = 8;
/// Largest number of places, 4 MiB of them.
const MOST: usize = 1 << 18;
/// Set in an entry that was found since it was written or last aged.
const USED: u64 = 1 << 63;

/// Where one statement is remembered.
///
/// The two words are written one after the other, Relaxed, so another thread may see only one of two writes. It then
/// finds no statement, because the first word is the statement's hash mixed with the second ("lockless hashing", as
/// chess programs share their tables: <https://craftychess.com/hyatt/hashing.html>).
#[derive(Debug, Default)]
struct Place {
    check: AtomicU64,
    /// One more than the remembered number, and [`USED`]; 0 in an empty place.
    entry: AtomicU64,
}

impl Place {
    fn get(&self, hash: u64) -> Option<u32> {
        let entry = self.entry.load(Relaxed);
        let number = (entry & !USED).checked_sub(1)?;
        if self.check.load(Relaxed) ^ (number + 1) != hash {
            return None;
        }
        // Usually it is set already, and a line that is only read stays in the caches of all cores.
        if entry & USED == 0 {
            self.entry.fetch_or(USED, Relaxed);
        }
        u32::try_from(number).ok()
    }

    fn put(&self, hash: u64, number: u32) {
        let entry = u64::from(number) + 1;
        self.check.store(hash ^ entry, Relaxed);
        self.entry.store(entry, Relaxed);
    }

    /// Returns what replacing it would lose: 0 for nothing, 1 for a statement that was not used again, 2 for one that
    /// was.
    fn worth(&self) -> u8 {
        match self.entry.load(Relaxed) {
            0 => 0,
            entry if entry & USED == 0 => 1,
            _ => 2,
        }
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([Place; WAYS]);

/// Remembers a number for each statement, by the statement's hash.
pub(super) struct Statements {
    /// A power of two of them.
    sets: Box<[Set]>,
}

impl Statements {
    /// Returns a table for `statements` statements. It has twice as many places, at most [`MOST`], because chance
    /// decides how many statements share a set.
    pub(super) fn new(statements: usize) -> Self {
        let places = statements.saturating_mul(2).min(MOST);
        let sets = places.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: std::iter::repeat_with(Set::default).take(sets).collect() }
    }

    /// Returns the number of a statement; `None` if it is not remembered.
    pub(super) fn get(&self, hash: u64) -> Option<u32> {
        self.set(hash).iter().find_map(|place| place.get(hash))
    }

    /// Remembers a statement. If all its places were used again, it is not remembered this time; the places are aged,
    /// and those that are not used until the next attempt can be taken.
    pub(super) fn remember(&self, hash: u64, number: u32) {
        let places = self.set(hash);
        // Begins at another place for each statement, or all new ones would replace each other in the first place.
        let (before, after) = places.split_at((hash >> 32) as usize % WAYS);
        match after.iter().chain(before).min_by_key(|place| place.worth()) {
            Some(place) if place.worth() < 2 => place.put(hash, number),
            _ => places.iter().for_each(|place| {
                place.entry.fetch_and(!USED, Relaxed);
            }),
        }
    }

    /// Forgets all statements.
    pub(super) fn clear(&self) {
        self.sets.iter().flat_map(|set| &set.0).for_each(|place| place.entry.store(0, Relaxed));
    }

    fn set(&self, hash: u64) -> &[Place] {
        &self.sets[hash as usize & (self.sets.len() - 1)].0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;

    /// Some hash of a statement; the same each time.
    fn hash(number: usize) -> u64 {
        (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_remembered_statement_is_found() {
        let statements = Statements::new(100);
        assert_eq!(statements.get(hash(1)), None);
        statements.remember(hash(1), 0);
        statements.remember(hash(2), u32::MAX);
        assert_eq!((statements.get(hash(1)), statements.get(hash(2))), (Some(0), Some(u32::MAX)));
        assert_eq!(statements.get(0), None, "an empty place is no statement");
    }

    #[test]
    fn statements_in_use_are_kept_among_many_that_come_once() {
        // Not a random one: by chance a set may have many more statements than its share.
        let hasher = foldhash::fast::FixedState::default();
        let statements = Statements::new(4_000);
        assert_eq!(statements.sets.len() * WAYS, 8_192);
        let used: Vec<u64> = (0..1_000).map(|id| hasher.hash_one(format!("SELECT a{id} FROM t WHERE b = ?"))).collect();
        let mut missed = 0;
        for round in 0..100_u32 {
            for (&hash, id) in used.iter().zip(0..) {
                match statements.get(hash) {
                    Some(found) => assert_eq!(found, id),
                    None => {
                        missed += usize::from(round > 1);
                        statements.remember(hash, id);
                    }
                }
            }
            for literal in 0..1_000 {
                statements.remember(hasher.hash_one(format!("SELECT a FROM t WHERE b = {round}{literal}")), 7);
            }
        }
        // Of a hundred thousand: some few sets have more than their share.
        assert!(missed < 500, "{missed} statements in use were forgotten");
    }

    #[test]
    fn a_statement_that_is_no_longer_used_is_replaced() {
        let statements = Statements::new(WAYS / 2);
        for old in 0..8 {
            statements.remember(old, 1);
            assert_eq!(statements.get(old), Some(1));
        }
        statements.remember(100, 2);
        assert_eq!(statements.get(100), None, "all were used");
        statements.remember(100, 2);
        assert_eq!(statements.get(100), Some(2), "and none since");
    }

    #[test]
    fn a_cleared_table_remembers_nothing_and_takes_new_statements() {
        let statements = Statements::new(100);
        (0..100).for_each(|at| statements.remember(hash(at), 5));
        statements.clear();
        assert!((0..100).all(|at| statements.get(hash(at)).is_none()));
        statements.remember(hash(3), 9);
        assert_eq!(statements.get(hash(3)), Some(9));
    }

    #[test]
    fn any_limit_makes_a_table_of_bounded_size() {
        for limit in [0, 1, 7, 8, 9, usize::MAX] {
            let statements = Statements::new(limit);
            statements.remember(hash(limit), 3);
            assert_eq!(statements.get(hash(limit)), Some(3));
            assert!(statements.sets.len() * WAYS <= MOST);
        }
    }

    #[test]
    fn concurrent_writes_never_return_another_statements_number() {
        let statements = Statements::new(WAYS / 2);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let statements = &statements;
                scope.spawn(move || {
                    for round in 0..200_000_u64 {
                        // Many statements for few places, so that they are written at the same time.
                        let id = (round * (thread + 3)) % 64;
                        let hash = hash(id as usize);
                        match statements.get(hash) {
                            Some(found) => assert_eq!(u64::from(found), id),
                            None => statements.remember(hash, id as u32),
                        }
                    }
                });
            }
        });
    }
}
