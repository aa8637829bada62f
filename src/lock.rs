//! Locks without poisoning: the only file that decides what a panic under a lock means.
//!
//! A panic while a lock is held poisons it, and every later `lock()` would return an error. The monitor ignores that: no
//! code under its locks leaves a value half changed that a later reader could not use (a list gets an item, a map an
//! entry, a counter a sum), so the worst that a panic leaves behind is one observation too few. Passing the panic on
//! would instead let one faulty sampler or recorder of the host's stop every request that records through the same lock.
//! `tests/integration/tidy.rs` keeps every other file of the library from taking a lock without these functions.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(feature = "archive")]
use std::{sync::Condvar, time::Duration};

/// Locks `mutex`, poisoned or not.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for reading, poisoned or not.
pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for writing, poisoned or not.
pub(crate) fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on `condvar` for as long as `condition` holds, at most `longest`, and returns the lock again, poisoned or not.
#[cfg(feature = "archive")]
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    longest: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout_while(guard, longest, condition).unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{Mutex, RwLock},
    };

    use super::*;

    #[test]
    fn a_panic_under_a_lock_leaves_it_usable() {
        let (mutex, rw_lock) = (Mutex::new(1), RwLock::new(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let (mut one, mut other) = (lock(&mutex), write(&rw_lock));
            (*one, *other) = (2, 2);
            panic!("while both are held");
        }));
        assert!(panicked.is_err() && mutex.is_poisoned() && rw_lock.is_poisoned());
        assert_eq!((*lock(&mutex), *read(&rw_lock)), (2, 2));
        *write(&rw_lock) = 3;
        assert_eq!(*read(&rw_lock), 3);
    }
}
