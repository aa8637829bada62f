//! Tests of the archive with damaged files.

use super::{
    identity::{Identity, set_aside},
    tests::*,
    *,
};

#[test]
fn only_the_file_that_was_broken_is_set_aside_and_never_over_another() {
    let (directory, path) = place();
    std::fs::write(&path, "broken").expect("writable");
    let broken = Identity::at(&path);
    // Another process has it in hand, and then has begun a new one.
    let other = std::fs::File::open(&path).expect("there");
    assert!(other.lock().is_ok());
    assert!(matches!(set_aside(&path, broken), Err(ArchiveError::Locked)));
    std::fs::rename(&path, directory.path().join("history.redb.broken")).expect("moved");
    drop(other);
    std::fs::write(&path, "new").expect("writable");
    assert!(matches!(set_aside(&path, broken), Err(ArchiveError::Locked)));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "new");
    let aside = set_aside(&path, Identity::at(&path)).expect("its own");
    assert_eq!(aside, directory.path().join("history.redb.broken-2"));
    assert_eq!(std::fs::read_to_string(directory.path().join("history.redb.broken")).expect("there"), "broken");
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_a_new_one_begun() {
    let wounds: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[4096..].fill(0xAB),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[..4096].fill(0),
        |bytes| bytes[9..320].fill(0xFF),
    ];
    for (number, wound) in wounds.into_iter().enumerate() {
        let (directory, path) = place();
        written(&path, 200).await;
        let mut bytes = std::fs::read(&path).expect("readable");
        wound(&mut bytes);
        std::fs::write(&path, &bytes).expect("writable");
        let mut life = Life::begin(&path, NOON, "1");
        let status = life.archive.status();
        assert_eq!(status.state, ArchiveState::Open, "wound {number}");
        assert_eq!(status.set_aside.as_deref(), Some(&*directory.path().join("history.redb.broken")));
        assert_eq!((life.errors("broken"), life.counter("pinchpoint_archive_set_aside_total")), (1.0, 1.0));
        assert!(status.lost_history, "nothing of it was in memory");
        let kept = std::fs::read(directory.path().join("history.redb.broken")).expect("it is there");
        assert_eq!(kept.len(), bytes.len(), "nothing of it is lost");
        life.minutes(3);
        life.end().await;
        assert_eq!(Life::begin(&path, NOON + 3 * MINUTE, "1").requests(), 3);
    }
}

/// Where a file is cut: at the sizes of pages and beside them, within the head, and in between.
fn cuts(length: usize) -> Vec<usize> {
    let pages = (0..=length / 4096).flat_map(|page| {
        let at = page * 4096;
        [at.saturating_sub(1), at, at + 1, at + 2, at + 2048]
    });
    let mut cuts: Vec<usize> = (0..=12)
        .chain([63, 64, 65, 127, 128, 192, 193, 255, 256, 319, 320, 321])
        .chain(pages)
        .filter(|at| *at < length)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

#[tokio::test]
async fn a_file_that_is_cut_anywhere_is_set_aside_and_a_new_one_begun() {
    let (_directory, path) = place();
    written(&path, 60).await;
    let whole = std::fs::read(&path).expect("readable");
    let cuts = cuts(whole.len());
    assert!(cuts.len() > 50, "{} of {}", cuts.len(), whole.len());
    for cut in cuts {
        let (_directory, path) = place();
        std::fs::write(&path, &whole[..cut]).expect("writable");
        let mut life = Life::begin(&path, NOON + 60 * MINUTE, "1");
        let status = life.archive.status();
        assert_eq!(status.state, ArchiveState::Open, "cut at {cut}");
        assert!(status.set_aside.is_some() || cut == 0 || life.requests() == 60, "cut at {cut}");
        life.minutes(2);
        life.end().await;
        let kept = Life::begin(&path, NOON + 62 * MINUTE, "1").requests();
        assert!(kept == 2 || kept == 62, "cut at {cut}: {kept}");
    }
}

#[test]
fn a_second_broken_file_gets_a_name_of_its_own() {
    let (directory, path) = place();
    for expected in ["history.redb.broken", "history.redb.broken-2", "history.redb.broken-3"] {
        std::fs::write(&path, "broken").expect("writable");
        assert_eq!(set_aside(&path, Identity::at(&path)).expect("a free name"), directory.path().join(expected));
    }
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_counted() {
    let (_directory, path) = place();
    written(&path, 5).await;
    {
        let database = redb::Database::open(&path).expect("good");
        let writing = database.begin_write().expect("a transaction");
        let minutes = redb::TableDefinition::<u32, &[u8]>::new("minutes");
        writing.open_table(minutes).expect("a table").insert(7, &b"no slot"[..]).expect("written");
        writing.commit().expect("committed");
    }
    let mut life = Life::begin(&path, NOON + 5 * MINUTE, "1");
    assert_eq!((life.archive.status().lost_entries, life.requests()), (1, 5));
    assert_eq!(life.counter("pinchpoint_archive_lost_entries_total"), 1.0);
    life.end().await;
    let again = Life::begin(&path, NOON + 6 * MINUTE, "1");
    assert_eq!((again.archive.status().lost_entries, again.archive.status().lost_history), (0, false));
}

#[tokio::test]
async fn a_write_that_does_not_come_back_is_seen_from_its_beginning() {
    let (_directory, path) = place();
    let mut life = Life::begin(&path, NOON, "1");
    life.minutes(1);
    life.becomes(|status| status.written.is_some()).await;
    let tiers = life.tiers.clone();
    // The thread waits for what is held here as it would for a file system.
    let blocked = lock(&tiers);
    let before = Instant::now();
    life.archive.wake();
    let since = life.archive.writing_since().expect("under way");
    assert!(since >= before, "it begins now");
    std::thread::sleep(Duration::from_millis(20));
    life.archive.wake();
    assert_eq!(life.archive.writing_since(), Some(since), "it is the same write, though more has come since");
    drop(blocked);
    life.becomes(|_| life.archive.writing_since().is_none()).await;
    life.end().await;
    assert_eq!(life.archive.writing_since(), None);
}

#[tokio::test]
async fn a_file_that_was_emptied_is_reported_and_a_missing_one_is_not() {
    let (_directory, path) = place();
    let mut life = Life::begin(&path, NOON, "1");
    assert!(!life.archive.status().was_empty);
    life.minutes(3);
    life.end().await;
    std::fs::write(&path, "").expect("writable");
    let mut life = Life::begin(&path, NOON + 5 * MINUTE, "1");
    let status = life.archive.status();
    assert_eq!((status.state.clone(), status.was_empty, status.lost_history), (ArchiveState::Open, true, true));
    assert_eq!(life.requests(), 0);
    life.end().await;
    assert!(!Life::begin(&path, NOON + 6 * MINUTE, "1").archive.status().was_empty);
}
