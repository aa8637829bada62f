//! Tests of what the archive keeps for other parts of the monitor, and of what usually runs.

use std::path::Path;

use super::{
    tests::{Life, MINUTE, NOON, place},
    *,
};
use crate::{
    analysis::Rhythm,
    store::{Regular, RhythmOf},
};

/// Returns what usually runs: tasks.
fn rhythms_of(tasks: &[&str]) -> KnownRhythms {
    let task = |name: &&str| {
        let of = RhythmOf::Task((*name).to_owned());
        Arc::new(Regular { of, rhythm: Rhythm::default(), is_current: true })
    };
    KnownRhythms { all: tasks.iter().map(task).collect(), ..KnownRhythms::default() }
}

fn tasks(rhythms: Option<KnownRhythms>) -> Vec<String> {
    let name = |regular: Arc<Regular>| match &regular.of {
        RhythmOf::Task(name) => name.clone(),
        of @ RhythmOf::Endpoint { .. } => panic!("a task: {of:?}"),
    };
    rhythms.expect("written").all.into_iter().map(name).collect()
}

/// Writes to a closed file what the archive does not.
fn write(path: &Path, write: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(path).expect("good");
    let writing = database.begin_write().expect("a transaction");
    write(&writing);
    writing.commit().expect("committed");
}

#[tokio::test]
async fn what_usually_ran_is_not_read_from_the_text_of_an_earlier_build() {
    let (_directory, path) = place();
    Life::begin(&path, NOON, "1").end().await;
    let text = serde_json::to_vec(&rhythms_of(&[]).service).expect("JSON");
    write(&path, |writing| {
        writing.open_table(tables::RHYTHMS).expect("a table").insert("latest", &*text).expect("written");
    });
    let next = Life::begin(&path, NOON + MINUTE, "1");
    assert!(next.archive.take_rhythms().is_none());
    assert_eq!(next.archive.status().lost_entries, 0);
}

#[tokio::test]
async fn what_usually_runs_replaces_what_was_written_before_but_for_what_cannot_be_read() {
    let (_directory, path) = place();
    for known in [&["nightly", "hourly", "old"][..], &["nightly", "hourly"]] {
        let mut life = Life::begin(&path, NOON, "1");
        drop(life.archive.take_rhythms());
        life.archive.write_rhythms(rhythms_of(known));
        life.end().await;
        let mut next = Life::begin(&path, NOON + MINUTE, "1");
        assert_eq!(tasks(next.archive.take_rhythms()), known);
        next.end().await;
    }
    write(&path, |writing| {
        writing.open_table(tables::REGULAR).expect("a table").insert(0, &b"{"[..]).expect("written");
    });
    let next = Life::begin(&path, NOON + 2 * MINUTE, "1");
    assert_eq!(tasks(next.archive.take_rhythms()), ["hourly"]);
    assert_eq!(next.archive.status().lost_entries, 1);
}

#[tokio::test]
async fn what_was_kept_is_there_although_the_file_opens_late_and_stays_until_it_is_taken() {
    let rhythms = |task: &str| rhythms_of(&[task]);
    for is_taken in [false, true] {
        let (_directory, path) = place();
        let mut old = Life::begin(&path, NOON, "1");
        old.archive.keep("said", b"before"[..].into());
        old.archive.write_rhythms(rhythms("before"));
        let mut new = Life::begin(&path, NOON + 3 * MINUTE, "2");
        new.fails_with("locked", "in use by another process");
        new.archive.keep("said", b"since"[..].into());
        new.archive.write_rhythms(rhythms("since"));
        assert_eq!(new.archive.take_restored("said"), None);
        old.end().await;
        new.archive.wake();
        new.becomes(|status| status.state == ArchiveState::Open).await;
        if is_taken {
            assert_eq!(new.archive.take_restored("said").as_deref(), Some(&b"before"[..]));
            new.archive.keep("said", b"both"[..].into());
            assert_eq!(tasks(new.archive.take_rhythms()), ["before"]);
            new.archive.write_rhythms(rhythms("both"));
        }
        new.end().await;
        let next = Life::begin(&path, NOON + 8 * MINUTE, "2");
        let expected = if is_taken { "both" } else { "before" };
        assert_eq!(next.archive.take_restored("said").as_deref(), Some(expected.as_bytes()));
        assert_eq!(tasks(next.archive.take_rhythms()), [expected]);
        assert_eq!(next.archive.take_restored("said"), None, "once");
    }
}
