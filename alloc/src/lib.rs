//! A global allocator that counts, for each kind of work, the bytes allocated and the bytes not freed yet.
//!
//! pinchpoint's feature `alloc` uses it to measure how many bytes a request allocates and which route's memory is never
//! freed. It is a crate of its own because an allocator needs `unsafe`, which pinchpoint forbids: all of it is in one
//! module of this one.
//!
//! Each block has a small header with the [`Tag`] of the work that allocated it, so that freeing it later, on another
//! thread or by other work, is still subtracted from the right tag. While the work runs it counts in plain thread-local
//! cells, and adds them to the shared atomic counters once, at its end, so that threads that serve one route do not
//! contend for a counter at every block.
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
