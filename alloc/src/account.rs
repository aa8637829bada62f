//! Tags, and the counters of the bytes allocated and freed for each.
//!
//! [`allocated`] and [`freed`] run inside the allocator, so they must not allocate. The invariant: once all work has
//! ended, a tag's allocated bytes less its freed bytes are the bytes still in use, whatever thread freed the others.
//!
//! The counters are independent numbers that no other data depends on, hence `Relaxed` everywhere.

use std::{
    cell::Cell,
    collections::HashMap,
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many tags there are. The first stands for untagged work, the last is for [`is_installed`]. Enough for some
/// thousands of routes with several methods each: a megabyte of counters, of which the system backs only the pages in
/// use.
const TAGS: usize = 16 * 1024;

/// Counters of one tag, on a cache line of their own: threads that serve different routes do not contend.
#[repr(align(64))]
struct Counters {
    allocated: AtomicU64,
    freed: AtomicU64,
}

static COUNTERS: [Counters; TAGS] =
    [const { Counters { allocated: AtomicU64::new(0), freed: AtomicU64::new(0) } }; TAGS];

static NAMES: Mutex<Option<HashMap<Box<str>, Tag>>> = Mutex::new(None);

/// The tag that this thread works for, and its bytes since [`Tag::enter`].
struct ThreadAccount {
    tag: Cell<u16>,
    allocated: Cell<u64>,
    freed: Cell<u64>,
}

thread_local! {
    // Initialised at compile time and without a destructor: reading it neither allocates nor fails while a thread ends.
    static ACCOUNT: ThreadAccount = const { ThreadAccount { tag: Cell::new(0), allocated: Cell::new(0), freed: Cell::new(0) } };
}

/// Counts an allocation and returns the tag for the block's header; 0 for untagged work.
pub(crate) fn allocated(bytes: usize) -> u16 {
    let noted = ACCOUNT.try_with(|account| {
        let tag = account.tag.get();
        if tag != 0 {
            account.allocated.set(account.allocated.get().wrapping_add(bytes as u64));
        }
        tag
    });
    noted.unwrap_or(0)
}

/// Counts that a block of `tag` is freed: in the thread's cells where the thread works for that tag, else in the shared
/// counters.
pub(crate) fn freed(tag: u16, bytes: usize) {
    if tag == 0 {
        return;
    }
    let noted = ACCOUNT.try_with(|account| {
        let is_own = account.tag.get() == tag;
        if is_own {
            account.freed.set(account.freed.get().wrapping_add(bytes as u64));
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
    /// Returns the tag of a name, the same each time. `None` when all of some sixteen thousand tags have names.
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

    /// Counts this thread's allocations for the tag until the returned guard is dropped or [left](Entered::leave); then
    /// for the tag of before.
    #[must_use = "the work ends with it"]
    pub fn enter(self) -> Entered {
        let before = ACCOUNT.try_with(|account| OuterAccount {
            tag: account.tag.replace(self.0),
            allocated: account.allocated.replace(0),
            freed: account.freed.replace(0),
        });
        Entered { before: before.ok(), of_this_thread: PhantomData }
    }

    /// Returns how many bytes were allocated for the tag, in all work that has ended.
    #[must_use]
    pub fn allocated_bytes(self) -> u64 {
        COUNTERS[usize::from(self.0)].allocated.load(Relaxed)
    }

    /// Returns how many bytes of the tag's blocks were freed.
    #[must_use]
    pub fn freed_bytes(self) -> u64 {
        COUNTERS[usize::from(self.0)].freed.load(Relaxed)
    }

    /// Returns how many bytes of the tag's blocks are in use. Leaves out what work that has not ended allocated or
    /// freed on its own thread.
    #[must_use]
    pub fn live_bytes(self) -> u64 {
        self.allocated_bytes().saturating_sub(self.freed_bytes())
    }
}

/// The thread's account from before the guard, which goes on after it.
#[derive(Debug)]
struct OuterAccount {
    tag: u16,
    allocated: u64,
    freed: u64,
}

/// The guard of [`Tag::enter`]: while it lives, this thread's allocations count for the tag.
///
/// It belongs to its thread, so a task that may move to another one cannot hold it across an `.await`:
/// ```compile_fail
/// fn moves(_: impl Send) {}
/// moves(pinchpoint_alloc::Tag::named("GET /").map(|tag| tag.enter()));
/// ```
#[derive(Debug)]
pub struct Entered {
    /// `None` after [`leave`](Self::leave), or when the thread is ending.
    before: Option<OuterAccount>,
    of_this_thread: PhantomData<*const ()>,
}

impl Entered {
    /// Ends the work and returns how many bytes it allocated.
    pub fn leave(mut self) -> u64 {
        self.end()
    }

    fn end(&mut self) -> u64 {
        let Some(before) = self.before.take() else { return 0 };
        let ended = ACCOUNT.try_with(|account| {
            let tag = account.tag.replace(before.tag);
            (tag, account.allocated.replace(before.allocated), account.freed.replace(before.freed))
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
    // `Tag::named` never returns the last tag, so no work but this counts for it.
    let entered = Tag(TAGS as u16 - 1).enter();
    drop(std::hint::black_box(Box::new(1_u8)));
    entered.leave() > 0
}
