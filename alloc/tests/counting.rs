//! The allocator as the process's own: every test of this binary runs on it.

use std::thread;

use pinchpoint_alloc::{CountingAllocator, Tag, is_installed};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn tag(name: &str) -> Tag {
    Tag::named(name).expect("there is room for the tests")
}

#[test]
fn a_name_has_one_tag() {
    assert_eq!(Tag::named("one"), Tag::named("one"));
    assert_ne!(Tag::named("one"), Tag::named("another"));
}

#[test]
fn the_installed_allocator_is_detected() {
    assert!(is_installed());
}

#[test]
fn a_kept_block_is_live_until_any_thread_frees_it() {
    let tag = tag("kept");
    let entered = tag.enter();
    let kept = vec![1_u8; 10_000];
    drop(vec![2_u8; 3_000]);
    assert_eq!(entered.leave(), 13_000);
    assert_eq!((tag.allocated_bytes(), tag.live_bytes()), (13_000, 10_000));
    thread::spawn(move || assert!(kept.iter().all(|byte| *byte == 1))).join().expect("it frees elsewhere");
    assert_eq!(tag.live_bytes(), 0);
}

#[test]
fn a_block_that_grows_counts_for_the_tag_that_made_it_grow() {
    let (first, second) = (tag("first"), tag("second"));
    let entered = first.enter();
    let mut list = Vec::<u64>::with_capacity(100);
    list.extend(0..100);
    entered.leave();
    let entered = second.enter();
    list.reserve_exact(900);
    entered.leave();
    assert_eq!((first.live_bytes(), second.live_bytes()), (0, 8_000));
    assert!(list.iter().copied().eq(0..100), "what was in it is still there");
    drop(list);
    assert_eq!(second.live_bytes(), 0);
}

#[test]
fn nested_work_counts_for_its_own_tag() {
    let (outer, inner) = (tag("outer"), tag("inner"));
    let entered = outer.enter();
    let a = vec![0_u8; 100];
    let within = inner.enter();
    let b = vec![0_u8; 70];
    assert_eq!(within.leave(), 70);
    let c = vec![0_u8; 10];
    assert_eq!(entered.leave(), 110);
    assert_eq!((outer.live_bytes(), inner.live_bytes()), (110, 70));
    drop((a, b, c));
    assert_eq!((outer.live_bytes(), inner.live_bytes()), (0, 0));
}

#[test]
fn work_that_panics_is_counted_and_ends() {
    let tag = tag("panics");
    let panicked = std::panic::catch_unwind(|| {
        let _entered = tag.enter();
        let _kept = vec![0_u8; 500];
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.is_err());
    assert!(tag.allocated_bytes() >= 500);
    let before = tag.allocated_bytes();
    drop(vec![0_u8; 100]);
    assert_eq!(tag.allocated_bytes(), before, "the thread works for no tag now");
}

#[test]
fn blocks_of_every_size_and_alignment_are_whole() {
    #[repr(align(64))]
    #[derive(Clone)]
    struct Line([u8; 64]);
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let line = vec![Line([7; 64]); 33];
    assert!(line.iter().all(|line| line.0 == [7; 64]));
    assert_eq!(line.as_ptr().addr() % 64, 0);
    let page = Box::new(Page([9; 4096]));
    assert_eq!(std::ptr::from_ref(&*page).addr() % 4096, 0);
    assert!(page.0.iter().all(|byte| *byte == 9));
    for size in (0..2000).chain([1 << 20]) {
        let zeroed = vec![0_u8; size];
        assert!(zeroed.iter().all(|byte| *byte == 0));
        let mut grown: Vec<u8> = (0..size).map(|at| at as u8).collect();
        grown.resize(size * 2 + 1, 1);
        grown.shrink_to(size);
        assert!(grown[..size].iter().enumerate().all(|(at, byte)| *byte == at as u8));
    }
    let text: String = "é".repeat(1000);
    assert_eq!(text.chars().count(), 1000);
}

#[test]
fn no_count_is_lost_between_threads() {
    let tag = tag("threads");
    let kept: Vec<Vec<Vec<u8>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let one = || {
                        let entered = tag.enter();
                        let kept = vec![0_u8; 100];
                        drop(vec![0_u8; 1000]);
                        entered.leave();
                        kept
                    };
                    (0..500).map(|_| one()).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!((tag.allocated_bytes(), tag.live_bytes()), (8 * 500 * 1100, 8 * 500 * 100));
    thread::scope(|scope| kept.into_iter().for_each(|kept| drop(scope.spawn(move || drop(kept)))));
    assert_eq!(tag.live_bytes(), 0);
}
