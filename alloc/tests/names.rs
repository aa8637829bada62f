//! More names than tags. A test binary of its own, since tags belong to the whole process and are never freed.

use pinchpoint_alloc::{CountingAllocator, Tag, is_installed};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn names_run_out_and_those_that_have_a_tag_keep_it() {
    let tags: Vec<Tag> = (0..).map_while(|at| Tag::named(&format!("GET /{at}"))).collect();
    assert!(tags.len() > 10_000, "{} tags", tags.len());
    assert_eq!(Tag::named("one more"), None);
    assert_eq!(Tag::named("GET /0"), Some(tags[0]));
    let last = tags[tags.len() - 1];
    assert_eq!(Tag::named(&format!("GET /{}", tags.len() - 1)), Some(last));

    let entered = last.enter();
    let kept = vec![0_u8; 1_000];
    assert_eq!(entered.leave(), 1_000);
    assert_eq!(tags.iter().map(|tag| tag.live_bytes()).sum::<u64>(), 1_000, "no two names share a tag");
    drop(kept);
    assert!(is_installed(), "no name has the tag of the check");
    assert_eq!(tags.iter().map(|tag| tag.allocated_bytes()).sum::<u64>(), 1_000);
}
