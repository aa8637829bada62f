//! Who allocated what: tags and their counters.
//!
//! Runs inside the allocator, so nothing that an allocation calls may allocate itself. The invariant: what a tag
//! allocated less what was freed of it is what is still there, whoever frees it and on whichever thread.

use std::{
    cell::Cell,
    collections::HashMap,
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Tags that there can be; the first is nobody's. Enough for some thousands of routes with several methods each: a
/// megabyte of counters, of which the system makes only those pages real that are used.
const TAGS: usize = 16 * 1024;

/// Counters of one tag, on a cache line of their own.
#[repr(align(64))]
struct Counters {
    allocated: AtomicU64,
    freed: AtomicU64,
}

static COUNTERS: [Counters; TAGS] =
    [const { Counters { allocated: AtomicU64::new(0), freed: AtomicU64::new(0) } }; TAGS];

static NAMES: Mutex<Option<HashMap<Box<str>, Tag>>> = Mutex::new(None);

/// What this thread works for, and its account since it began.
struct Working {
    tag: Cell<u16>,
    allocated: Cell<u64>,
    freed: Cell<u64>,
}

thread_local! {
    // Made at compile time and without a destructor: reading it neither allocates nor fails late in a thread's life.
    static WORKING: Working = const { Working { tag: Cell::new(0), allocated: Cell::new(0), freed: Cell::new(0) } };
}

/// Notes an allocation and returns whose it is.
pub(crate) fn allocated(bytes: usize) -> u16 {
    let noted = WORKING.try_with(|working| {
        let tag = working.tag.get();
        if tag != 0 {
            working.allocated.set(working.allocated.get().wrapping_add(bytes as u64));
        }
        tag
    });
    noted.unwrap_or(0)
}

/// Notes that a block of `tag` is freed.
pub(crate) fn freed(tag: u16, bytes: usize) {
    if tag == 0 {
        return;
    }
    let noted = WORKING.try_with(|working| {
        let is_own = working.tag.get() == tag;
        if is_own {
            working.freed.set(working.freed.get().wrapping_add(bytes as u64));
        }
        is_own
    });
    if !noted.unwrap_or(false)
        && let Some(counters) = COUNTERS.get(usize::from(tag))
    {
        counters.freed.fetch_add(bytes as u64, Relaxed);
    }
}

/// A kind of work that memory is allocated for, such as a route. Cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u16);

impl Tag {
    /// Returns the tag of a name, the same each time. `None` when all of some sixteen thousand are taken.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.get_or_insert_default();
        if let Some(known) = names.get(name) {
            return Some(*known);
        }
        let next = u16::try_from(names.len() + 1).ok().filter(|next| usize::from(*next) < TAGS - 1)?;
        names.insert(name.into(), Self(next));
        Some(Self(next))
    }

    /// Lets this thread work for the tag until the returned guard is dropped or [left](Entered::leave); then for
    /// whatever it worked for before.
    #[must_use = "the work ends with it"]
    pub fn enter(self) -> Entered {
        let before = WORKING.try_with(|working| Before {
            tag: working.tag.replace(self.0),
            allocated: working.allocated.replace(0),
            freed: working.freed.replace(0),
        });
        Entered { before: before.ok(), of_this_thread: PhantomData }
    }

    /// Returns how many bytes were allocated for the tag, in all finished work.
    #[must_use]
    pub fn allocated_bytes(self) -> u64 {
        COUNTERS[usize::from(self.0)].allocated.load(Relaxed)
    }

    /// Returns how many bytes of it were freed.
    #[must_use]
    pub fn freed_bytes(self) -> u64 {
        COUNTERS[usize::from(self.0)].freed.load(Relaxed)
    }

    /// Returns how many bytes of it are still there. Read while others work, it may lack what they have not finished.
    #[must_use]
    pub fn live_bytes(self) -> u64 {
        self.allocated_bytes().saturating_sub(self.freed_bytes())
    }
}

/// What a thread worked for before.
#[derive(Debug)]
struct Before {
    tag: u16,
    allocated: u64,
    freed: u64,
}

/// While it lives, this thread works for a tag; from [`Tag::enter`].
///
/// It is of its thread, so it cannot be held across an `.await` of a task that may move:
/// ```compile_fail
/// fn moves(_: impl Send) {}
/// moves(pinchpoint_alloc::Tag::named("GET /").map(|tag| tag.enter()));
/// ```
#[derive(Debug)]
pub struct Entered {
    /// `None` when it has been left, or the thread is ending.
    before: Option<Before>,
    of_this_thread: PhantomData<*const ()>,
}

impl Entered {
    /// Ends the work and returns how many bytes it allocated.
    pub fn leave(mut self) -> u64 {
        self.end()
    }

    fn end(&mut self) -> u64 {
        let Some(before) = self.before.take() else { return 0 };
        let ended = WORKING.try_with(|working| {
            let tag = working.tag.replace(before.tag);
            (tag, working.allocated.replace(before.allocated), working.freed.replace(before.freed))
        });
        let Ok((tag, allocated, freed)) = ended else { return 0 };
        if let Some(counters) = COUNTERS.get(usize::from(tag)) {
            counters.allocated.fetch_add(allocated, Relaxed);
            if freed > 0 {
                counters.freed.fetch_add(freed, Relaxed);
            }
        }
        allocated
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns whether [`CountingAllocator`](crate::CountingAllocator) is the process's allocator.
#[must_use]
pub fn is_installed() -> bool {
    // The last tag is never given to anybody by name: `named` is full before it.
    let entered = Tag(TAGS as u16 - 1).enter();
    drop(std::hint::black_box(Box::new(1_u8)));
    entered.leave() > 0
}
