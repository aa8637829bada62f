//! A global allocator that knows for which work a block was allocated, and what of it is still there.
//!
//! pinchpoint's feature `alloc` uses it to tell how many bytes a request allocates and which route's memory is never
//! freed. It is a crate of its own because an allocator needs `unsafe`, which pinchpoint forbids: all of it is in one
//! module of this one.
//!
//! Each block has a small header with the [`Tag`] of the work that allocated it, so that what is freed later, elsewhere
//! and by somebody else is still taken off the right account. Counting is done in a thread-local of plain cells while the
//! work runs, and reaches the shared counters once at its end.
//!
//! The cost: 8 bytes a block (more where its alignment is larger) and some nanoseconds.
//!
//! ```
//! use pinchpoint_alloc::{CountingAllocator, Tag};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator::new();
//!
//! let tag = Tag::named("GET /orders").expect("one of the first");
//! let entered = tag.enter();
//! let kept = vec![0_u8; 1000];
//! drop(vec![0_u8; 5000]);
//! assert_eq!(entered.leave(), 6000);
//! assert_eq!(tag.live_bytes(), 1000);
//! drop(kept);
//! assert_eq!(tag.live_bytes(), 0);
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod allocator;

pub use account::{Entered, Tag, is_installed};
pub use allocator::CountingAllocator;
