//! [`query_id`]: the id of a statement, the same on every machine and in every version.
//!
//! Series name a statement by it, so that the line of a counter costs tens of bytes instead of hundreds, and so that the series of a fleet can
//! be joined. It is part of the interface: the XXH64 hash, with seed 0, of the fingerprint's UTF-8 bytes, as 16 lower-case
//! hexadecimal digits. XXH64 has a published specification and an implementation in every language, so that others can compute
//! it too: `xxhsum -H64` does.
//!
//! Of 64 bits, two of `n` statements share an id with a probability of about `n² / 2⁶⁵`: 3 in 10¹⁴ for the 1,000 statements
//! that a process keeps, 3 in 10¹⁰ for 100,000 in a fleet. Should it happen in a process, the later statement gets the hash with
//! the next seed ([`QueryTable`](super::table::QueryTable) sees to it), so that two statements are never one series.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

/// Returns the id of a statement with this fingerprint; `seed` is 0 unless the id is another statement's already.
pub(super) fn query_id(text: &str, seed: u64) -> Arc<str> {
    format!("{:016x}", xxh64(text.as_bytes(), seed)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(&*query_id(text, 0), expected, "{text}");
    }

    /// The first are the specification's own vectors. A change of any would part the series of old and new versions.
    #[test]
    fn an_id_is_the_published_hash() {
        check("", "ef46db3751d8e999");
        check("a", "d24ec4f1a98c6e5b");
        check("abc", "44bc2cf5ad770999");
        check("SELECT a FROM t WHERE b = ?", "b8fd05101f7dc465");
        check("SELECT … FROM \"cake\" WHERE \"cake\".\"id\" = ? LIMIT ?", "416aa93233610964");
    }

    #[test]
    fn another_seed_gives_another_id() {
        assert_ne!(query_id("COMMIT", 0), query_id("COMMIT", 1));
    }
}
