//! [`Spread`]: a shared value that many threads own for a moment each.
//!
//! An `Arc` that every request clones and drops is one cache line that every core writes, twice a request, and whatever
//! lies beside its counts must then be read from another core's cache. Here each stripe counts its owners on lines of
//! its own. The invariant that a change could break: the value lives as long as any owner, on whichever stripe it
//! counts.

use std::{ops::Deref, sync::Arc};

use super::stripe;

/// A value with one handle for each stripe.
#[derive(Debug)]
pub(crate) struct Spread<T>([Local<T>; stripe::COUNT]);

/// An owner of the value, counted on one stripe. Cheap to clone for the threads of that stripe.
#[derive(Debug)]
pub(crate) struct Local<T>(Arc<CountedLine<T>>);

/// Two cache lines long, so that no two stripes count on the same one. Not aligned to a line: an `Arc` stores its
/// counts before the value, and alignment would put them and the pointer on different lines.
#[derive(Debug)]
struct CountedLine<T> {
    value: Arc<T>,
    _apart: [u64; 13],
}

impl<T> Spread<T> {
    pub(crate) fn new(value: T) -> Self {
        let value = Arc::new(value);
        Self(std::array::from_fn(|_| Local(Arc::new(CountedLine { value: value.clone(), _apart: [0; 13] }))))
    }

    /// Returns the value.
    pub(crate) fn get(&self) -> &T {
        &self.0[0]
    }

    /// Returns an owner that counts on this thread's stripe.
    pub(crate) fn local(&self) -> Local<T> {
        self.0[stripe::index()].clone()
    }
}

impl<T> Local<T> {
    /// Returns the value for an owner that lives longer, without stripes.
    pub(crate) fn shared(&self) -> &Arc<T> {
        &self.0.value
    }
}

impl<T> Clone for Local<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Local<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_lives_as_long_as_its_last_owner() {
        let value = Arc::new(7);
        let spread = Spread::new(value.clone());
        let local = spread.local();
        drop(spread);
        assert_eq!((**local, Arc::strong_count(&value)), (7, 2));
        let shared = local.shared().clone();
        drop(local);
        assert_eq!((**shared, Arc::strong_count(&value)), (7, 2));
        drop(shared);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn threads_of_different_stripes_count_on_different_lines() {
        let spread = Spread::new(0_u8);
        let line = |local: &Local<u8>| Arc::as_ptr(&local.0) as usize / 64;
        let lines: std::collections::BTreeSet<_> = spread.0.iter().map(line).collect();
        assert_eq!(lines.len(), stripe::COUNT);
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| (stripe::index(), line(&spread.local()))).join());
        let (stripe, elsewhere) = elsewhere.expect("no panic");
        assert_eq!(elsewhere, line(&spread.0[stripe]));
    }
}
