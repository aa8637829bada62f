//! Tests of the archive, with real files.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use metrics::{Histogram, Recorder};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{file::ArchiveFile, tables::Forget, *};
use crate::{
    analysis::{LatencyHistogram, RouteLatency},
    context::labelled,
    names,
    store::{Changes, FORMAT, History, Moment, MonitorRecorder, Slot, SlotKey, TierLimits},
};

pub(super) const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const LIMITS: TierLimits = TierLimits { retention: WEEK, bytes: 64_000_000 };
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const NOON: Duration = Duration::from_secs(1_700_000_000 / 1800 * 1800);

/// A run of a service whose history is kept in a file.
pub(super) struct Life {
    pub(super) recorder: MonitorRecorder,
    pub(super) history: History,
    pub(super) tiers: Arc<Mutex<Tiers>>,
    pub(super) archive: Archive,
    pub(super) start: Instant,
    started: Duration,
    minutes: Arc<AtomicU32>,
}

impl Life {
    pub(super) fn begin(path: &Path, started: Duration, version: &str) -> Self {
        let recorder = MonitorRecorder::new(10_000, Vec::new());
        let run = Run { started, version: version.into() };
        let tiers = Arc::new(Mutex::new(Tiers::new(LIMITS, run.clone())));
        let minutes = Arc::new(AtomicU32::new(0));
        let passed = minutes.clone();
        let archive = Archive::start(ArchiveParts {
            path: path.to_owned(),
            recorder: Arc::new(recorder.clone()),
            tiers: tiers.clone(),
            retention: WEEK,
            run,
            service: Some("shop".into()),
            now: Box::new(move || started + MINUTE * passed.load(Relaxed)),
        });
        let start = Instant::now();
        let history = History::new(start, [Duration::from_secs(300)]);
        Self { recorder, history, tiers, archive, start, started, minutes }
    }

    /// Lets minutes pass, with one request in each, and has them written.
    pub(super) fn minutes(&mut self, minutes: u32) {
        let requests = requests(&self.recorder);
        for _ in 0..minutes {
            requests.record(0.25);
            let passed = MINUTE * (self.minutes.fetch_add(1, Relaxed) + 1);
            self.history.tick(&self.recorder.index(), self.start + passed);
            let moment = Moment { wall: self.started + passed, measuring: true, resident_bytes: None };
            let mut tiers = lock(&self.tiers);
            if tiers.record(&self.history, moment) | tiers.report_current_minute(moment.wall) {
                self.archive.wake();
            }
        }
    }

    pub(super) fn requests(&self) -> u64 {
        let slots = lock(&self.tiers).slots(Duration::ZERO, Duration::MAX);
        slots.iter().filter_map(|slot| slot.slot.all()).map(|all| all.count).sum()
    }

    pub(super) async fn end(&mut self) {
        lock(&self.tiers).finish();
        self.archive.close().await;
    }

    /// Waits until the archive is as `wanted`.
    pub(super) async fn becomes(&self, wanted: impl Fn(&ArchiveStatus) -> bool) {
        for _ in 0..1000 {
            if wanted(&self.archive.status()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.archive.status());
    }

    pub(super) fn errors(&self, kind: &str) -> f64 {
        let line = format!("pinchpoint_archive_errors_total{{error_type=\"{kind}\"}} ");
        let text = self.recorder.render();
        let value = text.lines().find_map(|text| text.strip_prefix(&line)).expect("there from the start");
        value.parse().expect("a number")
    }

    pub(super) fn counter(&self, name: &str) -> f64 {
        let text = self.recorder.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("there from the start");
        value.trim().parse().expect("a number")
    }

    #[track_caller]
    pub(super) fn fails_with(&self, kind: &str, words: &str) {
        let ArchiveState::Failing(error) = self.archive.status().state.clone() else { panic!("it works") };
        assert!(error.contains(words), "{error}");
        assert!(self.errors(kind) >= 1.0);
    }
}

pub(super) fn requests(recorder: &MonitorRecorder) -> Histogram {
    let labels = [(names::METHOD, "GET".into()), (names::ROUTE, "/a".into()), (names::STATUS, "200".into())];
    labelled::histogram(recorder as &dyn Recorder, &names::HTTP_DURATION, &labels)
}

pub(super) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    (directory, path)
}

/// Writes a file with some minutes in it.
pub(super) async fn written(path: &Path, minutes: u32) {
    let mut life = Life::begin(path, NOON, "1");
    life.minutes(minutes);
    life.end().await;
    assert_eq!(life.archive.status().state, ArchiveState::Open);
}

#[tokio::test]
async fn the_next_run_begins_with_the_minutes_of_this_one() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let mut second = Life::begin(&path, NOON + 5 * MINUTE, "1");
    assert_eq!(second.requests(), 5);
    assert_eq!(lock(&second.tiers).runs().len(), 2);
    second.minutes(3);
    second.end().await;
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "1").requests(), 8);
}

#[tokio::test]
async fn cleared_minutes_stay_cleared() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let mut second = Life::begin(&path, NOON + 5 * MINUTE, "1");
    lock(&second.tiers).clear();
    second.minutes(1);
    second.end().await;
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "1").requests(), 1);
}

/// Returns the slots and the runs in a file.
fn contents(path: &Path, now: Duration) -> (usize, usize) {
    let run = Run { started: now, version: "".into() };
    let (_, found) = ArchiveFile::open(path, &run, WEEK, Forget::Nothing).expect("open");
    (found.stored.slots.len(), found.stored.runs.len())
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_far_ahead_deletes_nothing() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let far = NOON + 200 * 24 * 60 * MINUTE;
    for start in [far, far + 30 * MINUTE] {
        let mut ahead = Life::begin(&path, start, "2");
        ahead.minutes(10);
        ahead.end().await;
    }
    let mut back = Life::begin(&path, NOON + 5 * MINUTE, "1");
    assert_eq!(back.requests(), 5, "what was measured before is still there, and what was measured ahead is not shown");
    back.end().await;
    let (slots, runs) = contents(&path, NOON + 6 * MINUTE);
    assert!(slots >= 5 && runs >= 2, "{slots} {runs}");
}

#[tokio::test]
async fn minutes_older_than_the_retention_are_dropped_after_a_day() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let later = NOON + WEEK + 10 * MINUTE;
    let mut second = Life::begin(&path, later, "2");
    assert_eq!(lock(&second.tiers).slots(later - WEEK, Duration::MAX).len(), 0, "too old to be shown");
    second.minutes(25 * 60);
    second.end().await;
    let run = Run { started: later + 26 * 60 * MINUTE, version: "".into() };
    let (_, found) = ArchiveFile::open(&path, &run, WEEK, Forget::Nothing).expect("open");
    let oldest = found
        .stored
        .slots
        .iter()
        .map(|(key, _)| match key {
            SlotKey::Minute(at) => u64::from(*at) * 60,
            SlotKey::HalfHour(at) => u64::from(*at) * 1800,
        })
        .min();
    assert!(oldest >= Some((later - 30 * MINUTE).as_secs()), "{oldest:?}");
    assert_eq!(found.stored.runs.len(), 1, "the run of that time is gone with it");
}

#[tokio::test]
async fn a_file_in_use_is_reported_and_opened_once_it_is_free() {
    let (_directory, path) = place();
    let mut old = Life::begin(&path, NOON, "1");
    old.minutes(3);
    let mut new = Life::begin(&path, NOON + 3 * MINUTE, "2");
    new.fails_with("locked", "in use by another process");
    new.minutes(2);
    assert_eq!(new.requests(), 1, "the service runs on, and the last minute has not ended");
    old.end().await;
    new.end().await;
    assert_eq!((new.archive.status().state.clone(), new.requests()), (ArchiveState::Open, 5));
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "2").requests(), 5);
}

#[test]
fn a_file_that_is_opened_again_keeps_the_names_that_the_memory_goes_on_using() {
    let (_directory, path) = place();
    let run = Run { started: NOON, version: "".into() };
    let open = |forget| ArchiveFile::open(&path, &run, Duration::ZERO, forget).expect("open");
    let changes = Changes { endpoints: BTreeMap::from([(0, "GET /a".into())]), ..Changes::default() };
    open(Forget::UnusedNames).0.write(&changes).expect("written");
    let (file, _) = open(Forget::Nothing);
    let slot = slots().remove(0);
    let changes = Changes { slots: BTreeMap::from([(SlotKey::Minute(1), Some(slot))]), ..Changes::default() };
    file.write(&changes).expect("written");
    drop(file);
    let (file, found) = open(Forget::UnusedNames);
    assert_eq!((found.unreadable, found.stored.slots.len()), (0, 1), "its name is still there");
    // A slot of an endpoint without a name is never read as another's.
    let changes = Changes { cleared: true, ..Changes::default() };
    file.write(&changes).expect("written");
    drop(file);
    drop(open(Forget::UnusedNames));
    let slots = BTreeMap::from([(SlotKey::Minute(1), Some(slots().remove(0)))]);
    open(Forget::Nothing).0.write(&Changes { slots, ..Changes::default() }).expect("written");
    assert_eq!(open(Forget::UnusedNames).1.unreadable, 1);
    assert_eq!(open(Forget::UnusedNames).1.unreadable, 0, "it is gone");
}

#[tokio::test]
async fn minutes_of_two_runs_at_the_same_time_add_up() {
    let (_directory, path) = place();
    let mut old = Life::begin(&path, NOON, "1");
    old.minutes(3);
    let mut new = Life::begin(&path, NOON + 3 * MINUTE, "2");
    old.minutes(2);
    new.minutes(2);
    old.end().await;
    new.end().await;
    assert_eq!((new.archive.status().state.clone(), new.requests()), (ArchiveState::Open, 7));
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "2").requests(), 7);
}

#[tokio::test]
async fn minutes_cleared_before_the_file_opened_stay_cleared() {
    let (_directory, path) = place();
    let mut old = Life::begin(&path, NOON, "1");
    old.minutes(3);
    let mut new = Life::begin(&path, NOON + 3 * MINUTE, "2");
    lock(&new.tiers).clear();
    new.minutes(2);
    old.end().await;
    new.end().await;
    assert_eq!((new.archive.status().state.clone(), new.requests()), (ArchiveState::Open, 2));
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "2").requests(), 2);
}

#[tokio::test]
async fn a_file_of_another_program_is_left_alone() {
    let (_directory, path) = place();
    std::fs::write(&path, "dear diary").expect("writable");
    let mut life = Life::begin(&path, NOON, "1");
    life.fails_with("refused", "is not a history file");
    life.minutes(3);
    life.end().await;
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), "dear diary");
    assert_eq!(life.requests(), 3, "the service runs on");
}

#[tokio::test]
async fn a_store_of_another_program_is_left_alone() {
    let (_directory, path) = place();
    let other = redb::TableDefinition::<u32, u32>::new("other");
    {
        let database = redb::Database::create(&path).expect("a new file");
        let writing = database.begin_write().expect("a transaction");
        writing.open_table(other).expect("a table").insert(1, 2).expect("written");
        writing.commit().expect("committed");
    }
    Life::begin(&path, NOON, "1").fails_with("refused", "is not a history file");
}

#[tokio::test]
async fn a_file_of_a_later_release_is_refused_by_its_schema() {
    let (_directory, path) = place();
    written(&path, 2).await;
    {
        let database = redb::Database::open(&path).expect("good");
        let writing = database.begin_write().expect("a transaction");
        let meta = redb::TableDefinition::<&str, u64>::new("pinchpoint");
        writing.open_table(meta).expect("a table").insert("schema", FORMAT + 1).expect("written");
        writing.commit().expect("committed");
    }
    Life::begin(&path, NOON, "1").fails_with("refused", "has schema 2, and this release reads schema 1");
}

#[tokio::test]
async fn a_store_of_an_older_or_a_later_format_is_left_alone() {
    for format in [1, 2, 4, 9] {
        let (directory, path) = place();
        written(&path, 2).await;
        let mut bytes = std::fs::read(&path).expect("readable");
        (bytes[64], bytes[192]) = (format, format);
        std::fs::write(&path, &bytes).expect("writable");
        Life::begin(&path, NOON, "1").fails_with("refused", &format!("a store of format {format}"));
        assert_eq!(std::fs::read(&path).expect("readable"), bytes);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing beside it");
    }
}

#[tokio::test]
async fn a_copy_in_the_place_of_the_file_gets_everything_too() {
    let (directory, path) = place();
    let copy = directory.path().join("copy");
    written(&path, 3).await;
    std::fs::copy(&path, &copy).expect("copied");
    let mut life = Life::begin(&path, NOON + 3 * MINUTE, "1");
    life.minutes(3);
    life.becomes(|status| status.written.is_some()).await;
    // As a tool does that restores a copy: another file of that name.
    std::fs::rename(&copy, &path).expect("replaced");
    life.minutes(2);
    life.end().await;
    assert_eq!((life.archive.status().state.clone(), life.requests()), (ArchiveState::Open, 8));
    assert_eq!(Life::begin(&path, NOON + 8 * MINUTE, "1").requests(), 8, "none lost, and none of the copy's twice");
}

#[tokio::test]
async fn a_directory_that_is_made_late_gets_everything() {
    let (directory, _) = place();
    let path = directory.path().join("not/yet/history.redb");
    let mut life = Life::begin(&path, NOON, "1");
    life.fails_with("io", "cannot be read or written");
    life.minutes(4);
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
    life.minutes(2);
    life.end().await;
    assert_eq!(life.archive.status().state, ArchiveState::Open);
    assert_eq!(Life::begin(&path, NOON + 6 * MINUTE, "1").requests(), 6);
}

#[tokio::test]
async fn a_file_that_was_removed_is_written_anew_with_everything() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let mut life = Life::begin(&path, NOON + 5 * MINUTE, "1");
    std::fs::remove_file(&path).expect("removed");
    life.minutes(2);
    life.end().await;
    assert_eq!(Life::begin(&path, NOON + 7 * MINUTE, "1").requests(), 7);
}

pub(super) fn snapshot(version: &str, written_at: &str, requests: u64) -> VersionSnapshot {
    let latency = LatencyHistogram {
        sum_seconds: 0.1,
        min_seconds: 0.1,
        max_seconds: 0.1,
        buckets: vec![(0.05, 0.1, requests).into()],
    };
    let route = RouteLatency { method: "GET".into(), route: "/a".into(), latency, failed: 0, refused: 0 };
    VersionSnapshot::new("shop", version, written_at, vec![route]).expect("a sound histogram")
}

/// Returns version and requests of what a next run of `version` is compared with.
pub(super) async fn previous_count(path: &Path, version: &str) -> Option<(String, u64)> {
    let mut life = Life::begin(path, NOON, version);
    life.end().await;
    life.archive.previous().map(|before| (before.version.clone(), before.routes[0].latency.count()))
}

/// Runs a version after the other, each with the time and the requests of its snapshot.
async fn ran(path: &Path, runs: impl IntoIterator<Item = (&str, &str, u64)>) {
    for (version, at, requests) in runs {
        let mut life = Life::begin(path, NOON, version);
        life.archive.write_version(snapshot(version, at, requests));
        life.end().await;
    }
}

#[tokio::test]
async fn a_version_leaves_its_longest_run_to_the_next() {
    let (_directory, path) = place();
    let runs = [
        ("1", "2026-01-01T00:00:00Z", 1000),
        // It crashes a few times after a start.
        ("1", "2026-01-02T00:00:00Z", 3),
        ("0.9", "2025-01-01T00:00:00Z", 5000),
    ];
    ran(&path, runs).await;
    assert_eq!(previous_count(&path, "2").await, Some(("1".to_owned(), 1000)));
    let mut next = Life::begin(&path, NOON, "2");
    for (at, requests) in [("2026-02-01T00:00:00Z", 10), ("2026-02-01T01:00:00Z", 7)] {
        next.archive.write_version(snapshot("2", at, requests));
    }
    next.end().await;
    assert_eq!(previous_count(&path, "3").await, Some(("2".to_owned(), 7)), "the newest of its own run");
    assert_eq!(previous_count(&path, "2").await, Some(("1".to_owned(), 1000)), "rolled back");
}

#[tokio::test]
async fn after_a_rollback_the_version_that_ran_last_is_the_one_before() {
    let (_directory, path) = place();
    let runs = [
        ("1.0", "2026-01-01T00:00:00Z", 1000),
        ("1.1", "2026-01-02T00:00:00Z", 500),
        // Shorter than its first run.
        ("1.0", "2026-01-03T00:00:00Z", 100),
    ];
    ran(&path, runs).await;
    assert_eq!(previous_count(&path, "1.2").await, Some(("1.0".to_owned(), 1000)));
    assert_eq!(previous_count(&path, "1.0").await, Some(("1.1".to_owned(), 500)));
}

#[tokio::test]
async fn versions_are_kept_ten_at_most() {
    let (_directory, path) = place();
    for version in 0..15 {
        let mut life = Life::begin(&path, NOON, &version.to_string());
        life.archive.write_version(snapshot(&version.to_string(), &format!("2026-01-{:02}T00:00:00Z", version + 1), 5));
        life.end().await;
    }
    let run = Run { started: NOON, version: "".into() };
    let mut kept: Vec<u32> = ArchiveFile::open(&path, &run, WEEK, Forget::Nothing)
        .expect("good")
        .1
        .versions
        .iter()
        .map(|snapshot| snapshot.version.parse().expect("a number"))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, (5..15).collect::<Vec<_>>());
}

pub(super) fn slots() -> Vec<Slot> {
    let (_directory, path) = place();
    let mut life = Life::begin(&path, NOON, "1");
    life.minutes(12);
    let slots = lock(&life.tiers).slots(Duration::ZERO, Duration::MAX);
    slots.into_iter().map(|slot| slot.slot).collect()
}
