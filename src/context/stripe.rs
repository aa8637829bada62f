//! Stripes: which of a few copies of a hot value this thread writes.
//!
//! Two cores that add to one cache line slow each other down several times. A few copies, which a reader sums, keep
//! them apart; more copies would cost memory in every series.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Copies of every striped value. A power of two.
pub(crate) const COUNT: usize = 4;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Returns this thread's stripe, below [`COUNT`]. Threads take stripes in turn, in the order of their first call. While
/// a thread's locals are being destroyed it is stripe 0, which is as right as any other: a stripe is shared anyway.
pub(crate) fn index() -> usize {
    INDEX
        .try_with(|index| {
            if index.get() == usize::MAX {
                index.set(NEXT.fetch_add(1, Relaxed) & (COUNT - 1));
            }
            index.get()
        })
        .unwrap_or(0)
}
