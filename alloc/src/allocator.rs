//! [`CountingAllocator`]: the allocator, and the only unsafe code of the workspace.
//!
//! A block is laid out as `[padding][tag: u16][the caller's bytes]`: the header is as long as the block's alignment, at
//! least [`HEADER`], so that the caller's bytes are aligned where the block is, and its last two bytes hold the tag.
//! The invariant: the block's layout is computed from the caller's layout alone, so a block is freed with the layout
//! that it was allocated with.

#![expect(unsafe_code, reason = "implementing GlobalAlloc is unsafe; everything else of this crate is not")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
};

use crate::account;

/// The shortest header. Half of the 16 bytes that malloc aligns to on 64-bit systems: with 16, every small block would
/// move to the next size class.
const HEADER: usize = 8;

/// A global allocator that counts, around another one; around the system's by default.
///
/// ```
/// # use pinchpoint_alloc::CountingAllocator;
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
/// # assert!(pinchpoint_alloc::is_installed());
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator<A = System>(A);

impl CountingAllocator {
    /// Returns an allocator around the system's.
    #[must_use]
    pub const fn new() -> Self {
        Self(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Returns an allocator around another one, say jemalloc's.
    #[must_use]
    pub const fn around(allocator: A) -> Self {
        Self(allocator)
    }
}

/// Returns the layout of a block with its header, and the header's length; `None` where the size overflows.
fn whole(layout: Layout) -> Option<(Layout, usize)> {
    let header = layout.align().max(HEADER);
    let size = layout.size().checked_add(header)?;
    Some((Layout::from_size_align(size, header).ok()?, header))
}

/// Writes the tag of a block and returns a pointer to the caller's bytes.
///
/// # Safety
///
/// `base` must be valid for writes of `header` bytes, and `header` at least [`HEADER`].
unsafe fn seal(base: *mut u8, header: usize, tag: u16) -> *mut u8 {
    // SAFETY: the header is inside the block and longer than a tag. The tag may be unaligned, hence `write_unaligned`.
    unsafe {
        let block = base.add(header);
        block.sub(size_of::<u16>()).cast::<u16>().write_unaligned(tag);
        block
    }
}

/// Reads the tag of a block.
///
/// # Safety
///
/// `block` must come from [`seal`].
unsafe fn tag_of(block: *mut u8) -> u16 {
    // SAFETY: `seal` wrote it there, and no caller may write to the header.
    unsafe { block.sub(size_of::<u16>()).cast::<u16>().read_unaligned() }
}

// SAFETY: every block comes from the inner allocator with the layout that `whole` makes of the caller's, lies inside it
// at the caller's alignment with the caller's size, and goes back with the same layout. Counting neither allocates nor
// unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, header)) = whole(layout) else { return ptr::null_mut() };
        // SAFETY: the size of `whole` is above zero, since it includes the header.
        let base = unsafe { self.0.alloc(whole) };
        if base.is_null() {
            return base;
        }
        // SAFETY: `base` is a block of `whole`, which begins with the header.
        unsafe { seal(base, header, account::allocated(layout.size())) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((whole, header)) = whole(layout) else { return ptr::null_mut() };
        // SAFETY: as in `alloc`.
        let base = unsafe { self.0.alloc_zeroed(whole) };
        if base.is_null() {
            return base;
        }
        // SAFETY: as in `alloc`; the caller's bytes stay zero, the tag is before them.
        unsafe { seal(base, header, account::allocated(layout.size())) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, header)) = whole(layout) else { return };
        // SAFETY: the caller gives back a block of ours with the layout that it asked for.
        account::freed(unsafe { tag_of(block) }, layout.size());
        // SAFETY: the block lies `header` bytes into one that the inner allocator made with `whole`.
        unsafe { self.0.dealloc(block.sub(header), whole) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some((old, header)) = whole(layout) else { return ptr::null_mut() };
        let fits = Layout::from_size_align(new_size, layout.align()).ok().and_then(whole);
        let Some((new, _)) = fits else { return ptr::null_mut() };
        // SAFETY: as in `dealloc`.
        let tag = unsafe { tag_of(block) };
        // SAFETY: as in `dealloc`; the new size is above zero and no overflow, since `new` is a layout.
        let base = unsafe { self.0.realloc(block.sub(header), old, new.size()) };
        if base.is_null() {
            // The old block stays as it was, on the same account.
            return base;
        }
        account::freed(tag, layout.size());
        // SAFETY: `base` is a block of `new`, whose header is as long as before: it follows from the alignment.
        unsafe { seal(base, header, account::allocated(new_size)) }
    }
}
