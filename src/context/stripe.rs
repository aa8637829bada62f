//! Which of a few copies of a hot value this thread writes.
//!
//! Two cores that add to one cache line slow each other by several times; a few copies, summed by whoever reads, keep
//! them apart. More copies would cost memory in every series.

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

/// Returns this thread's stripe, below [`COUNT`]. Threads take stripes in turn, in the order of their first call.
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
