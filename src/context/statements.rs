//! Which statements were seen, for as long as they are used.
//!
//! A statement with its literals inside comes once, one with parameters over and over, and nothing tells which is which
//! when it comes. So every statement is remembered, in a table that never grows: a new one takes the place of one that
//! was not used again. Looking and remembering neither lock nor allocate. The invariant: whatever threads do at once,
//! what is found for a statement is what was remembered of that statement, or nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Places that a statement may take: two cache lines.
const WAYS: usize = 8;
/// The most places that there are, 4 MiB of them.
const MOST: usize = 1 << 18;
/// Bit of an entry that was found since it was written.
const USED: u64 = 1 << 63;

/// Where one statement is remembered.
///
/// The two words are written one after the other, so another thread may see one of them alone. It then sees no
/// statement: the first is the statement's hash mixed with the second ("lockless hashing", as chess programs share
/// their tables: <https://craftychess.com/hyatt/hashing.html>).
#[derive(Debug, Default)]
struct Place {
    check: AtomicU64,
    /// One more than the number that is remembered, and [`USED`]; 0 when nothing is.
    entry: AtomicU64,
}

impl Place {
    fn get(&self, hash: u64) -> Option<u32> {
        let entry = self.entry.load(Relaxed);
        let number = (entry & !USED).checked_sub(1)?;
        if self.check.load(Relaxed) ^ (number + 1) != hash {
            return None;
        }
        // Most find it set: what is only read stays in the caches of all cores.
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

    /// How much would be lost with it: nothing, a statement that was not used again, or one that was.
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

/// Remembers a number of each statement, by the statement's hash.
pub(super) struct Statements {
    /// A power of two of them.
    sets: Box<[Set]>,
}

impl Statements {
    /// Returns a table of twice as many places as `statements`, within reason: which of them compete for the same ones
    /// is chance.
    pub(super) fn new(statements: usize) -> Self {
        let places = statements.saturating_mul(2).min(MOST);
        let sets = places.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: std::iter::repeat_with(Set::default).take(sets).collect() }
    }

    /// Returns what is remembered of a statement.
    pub(super) fn get(&self, hash: u64) -> Option<u32> {
        self.set(hash).iter().find_map(|place| place.get(hash))
    }

    /// Remembers a statement; where all places that it may take are used, they have to be used again to keep it out.
    pub(super) fn remember(&self, hash: u64, number: u32) {
        let places = self.set(hash);
        // Not the same place each time: a new statement has as long to be used again as any other.
        let (before, after) = places.split_at((hash >> 32) as usize % WAYS);
        match after.iter().chain(before).min_by_key(|place| place.worth()) {
            Some(place) if place.worth() < 2 => place.put(hash, number),
            _ => places.iter().for_each(|place| {
                place.entry.fetch_and(!USED, Relaxed);
            }),
        }
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
    fn what_was_remembered_is_found() {
        let statements = Statements::new(100);
        assert_eq!(statements.get(hash(1)), None);
        statements.remember(hash(1), 0);
        statements.remember(hash(2), u32::MAX);
        assert_eq!((statements.get(hash(1)), statements.get(hash(2))), (Some(0), Some(u32::MAX)));
        assert_eq!(statements.get(0), None, "an empty place is no statement");
    }

    #[test]
    fn it_has_room_for_what_is_used_and_never_grows() {
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
    fn a_statement_that_is_no_longer_used_makes_room() {
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
    fn any_limit_is_a_table() {
        for limit in [0, 1, 7, 8, 9, usize::MAX] {
            let statements = Statements::new(limit);
            statements.remember(hash(limit), 3);
            assert_eq!(statements.get(hash(limit)), Some(3));
            assert!(statements.sets.len() * WAYS <= MOST);
        }
    }

    #[test]
    fn threads_never_find_what_was_remembered_of_another_statement() {
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
