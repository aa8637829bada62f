//! Tests of the archive that need real processes: `kill -9`, and a disk that is full.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{file::ArchiveFile, tables::Forget, tests::*, *};
use crate::store::{Changes, Moment, Slot, SlotKey};

/// The variable with the file that a child process writes; a test is a child where it is set.
const CHILD_FILE: &str = "PINCHPOINT_TEST_HISTORY_FILE";

/// Returns this program as a child that runs one test only.
fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    let this = std::env::current_exe().expect("a running program");
    // What a process ignores, its child ignores too: past the limit of a file's size a write then fails instead.
    command.args(["-c", "trap '' XFSZ; [ -z \"$LIMIT\" ] || ulimit -f \"$LIMIT\"; exec \"$@\"", "sh"]);
    command.arg(this).args([
        "--exact",
        &format!("monitor::archive::process_tests::{test}"),
        "--ignored",
        "--nocapture",
        // With one thread, which is what one core gives, the harness writes a test's name in front of its first line.
        "--test-threads=2",
    ]);
    command.env(CHILD_FILE, path).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn print(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{words}").and_then(|()| out.flush()).expect("a parent listens");
}

/// What the child writes as minute `at`.
fn slot_of(slots: &[Slot], at: u32) -> &Slot {
    &slots[at as usize % slots.len()]
}

#[test]
#[ignore = "a child of `kill_9_loses_nothing_that_was_written`"]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let run = Run { started: NOON, version: "".into() };
    let (file, found) = ArchiveFile::open(Path::new(&path), &run, WEEK, Forget::Nothing).expect("never broken");
    let slots = slots();
    let first = found.stored.slots.len() as u32;
    print(&format!("found {first} unreadable {}", found.unreadable));
    for at in first.. {
        let slots = BTreeMap::from([(SlotKey::Minute(at), Some(slot_of(&slots, at).clone()))]);
        let endpoints = BTreeMap::from([(0, "GET /a".into())]);
        file.write(&Changes { slots, endpoints, ..Changes::default() }).expect("written");
        print(&format!("wrote {at}"));
    }
}

#[test]
fn kill_9_loses_nothing_that_was_written() {
    let (_directory, path) = place();
    let mut written: u32 = 0;
    for round in 0..12 {
        let mut process = child("child_that_writes_until_it_is_killed", &path).spawn().expect("sh");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let found = lines.find_map(|line| line.strip_prefix("found ").map(str::to_owned)).expect("the child begins");
        let (found, unreadable) = found.split_once(" unreadable ").expect("the line that the child prints");
        let found: u32 = found.parse().expect("a number");
        assert_eq!(unreadable, "0");
        // The last write may have been on the disk before it was printed, and no earlier one may be missing.
        assert!(found == written || found == written + 1, "round {round}: {found} of {written}");
        written = found;
        for line in lines.by_ref().take(3 + round * 5) {
            let at: u32 = line.strip_prefix("wrote ").expect("a line that the child prints").parse().expect("a number");
            written = at + 1;
        }
        // Right away, so that it hits the child at any point of a write. Every line that was printed still counts.
        process.kill().expect("a child of ours");
        process.wait().expect("it ends");
        for line in lines {
            let at = line.strip_prefix("wrote ").and_then(|at| at.parse::<u32>().ok());
            written = at.map_or(written, |at| at + 1);
        }
    }
    assert!(written > 100, "{written}");
    let run = Run { started: NOON, version: "".into() };
    let (_, found) = ArchiveFile::open(&path, &run, WEEK, Forget::Nothing).expect("never broken");
    let slots = slots();
    for (key, slot) in &found.stored.slots {
        let SlotKey::Minute(at) = key else { panic!("{key:?}") };
        assert_eq!(slot, slot_of(&slots, *at));
    }
}

#[tokio::test]
#[ignore = "a child of `a_full_disk_is_reported_and_the_service_runs_on`"]
async fn child_whose_disk_is_full() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let mut life = Life::begin(Path::new(&path), NOON + 5 * MINUTE, "1");
    let before = life.requests();
    // A snapshot that no small disk takes.
    let mut large = snapshot("1", "2026-01-01T00:00:00Z", 1);
    large.routes = vec![large.routes[0].clone(); 50_000];
    life.archive.write_version(large);
    life.minutes(3);
    life.end().await;
    let failing = matches!(&life.archive.status().state, ArchiveState::Failing(_));
    print(&format!("before {before} after {} failing {failing} errors {}", life.requests(), life.errors("io") > 0.0));
}

#[tokio::test]
async fn a_full_disk_is_reported_and_the_service_runs_on() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let kilobytes = std::fs::metadata(&path).expect("written").len() / 1024;
    // The shell counts in blocks of 512 bytes.
    let limit = ((kilobytes + 64) * 2).to_string();
    let output = child("child_whose_disk_is_full", &path).env("LIMIT", limit).output().expect("sh");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("before 5 after 8 failing true errors true"), "{printed}");
    // The commit that failed left nothing, and kept no minute out of the file.
    let mut next = Life::begin(&path, NOON + 8 * MINUTE, "2");
    assert_eq!((next.requests(), next.archive.previous().is_none()), (8, true));
    next.end().await;
}

/// Limits how large a file this process may write, like a disk that is full, and lifts the limit, like one that is freed.
fn limit_files(bytes: &str) {
    let this = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &this, &format!("--fsize={bytes}:")]).status();
    assert!(status.expect("prlimit, of util-linux").success());
}

#[tokio::test]
#[ignore = "a child of `a_disk_that_is_freed_again_gets_everything`"]
async fn child_whose_disk_is_full_for_a_while() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let mut life = Life::begin(Path::new(&path), NOON + 5 * MINUTE, "1");
    life.archive.write_version(snapshot("1", "2026-01-01T00:00:00Z", 7));
    life.minutes(2);
    life.becomes(|status| status.written.is_some()).await;
    limit_files("4096");
    for _ in 0..3 {
        life.minutes(1);
        life.becomes(|status| matches!(status.state, ArchiveState::Failing(_))).await;
    }
    let errors = life.errors("io");
    limit_files("unlimited");
    life.minutes(1);
    life.becomes(|status| status.state == ArchiveState::Open).await;
    life.end().await;
    print(&format!("after {} errors {}", life.requests(), errors >= 1.0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_is_freed_again_gets_everything() {
    let (_directory, path) = place();
    written(&path, 5).await;
    let output = child("child_whose_disk_is_full_for_a_while", &path).output().expect("sh");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("after 11 errors true"), "{printed}");
    let mut next = Life::begin(&path, NOON + 11 * MINUTE, "2");
    assert_eq!(next.requests(), 11);
    next.end().await;
    assert_eq!(previous_count(&path, "2").await, Some(("1".to_owned(), 7)));
}

/// The variable with the seconds between two ticks of a child.
const CHILD_TICK: &str = "PINCHPOINT_TEST_TICK";

#[tokio::test]
#[ignore = "a child of `kill_9_loses_the_last_minute_at_most`"]
async fn child_that_measures_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let seconds = std::env::var(CHILD_TICK).ok().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    let tick = Duration::from_secs(seconds);
    let started = NOON + MINUTE * 60 * std::env::var("LIFE").ok().and_then(|life| life.parse().ok()).expect("a number");
    let mut life = Life::begin(Path::new(&path), started, "1");
    let found = life.requests();
    let requests = requests(&life.recorder);
    for number in 1.. {
        requests.record(0.25);
        // It may also be killed before the tick that would see the request.
        print(&format!("measured {}", found + number));
        let passed = tick * u32::try_from(number).expect("killed long before");
        life.history.tick(&life.recorder.index(), life.start + passed);
        let moment = Moment { wall: started + passed, measuring: true, resident_bytes: None };
        let before = life.archive.status();
        let is_due = {
            let mut tiers = lock(&life.tiers);
            tiers.record(&life.history, moment) | tiers.report_current_minute(moment.wall)
        };
        if is_due {
            life.archive.wake();
            // Ticks are seconds apart elsewhere.
            life.becomes(|status| status.written != before.written).await;
        }
    }
}

#[tokio::test]
async fn kill_9_loses_the_last_minute_at_most() {
    for tick in [5_u64, 60] {
        let (_directory, path) = place();
        let mut kept = 0;
        for round in 0..6_u64 {
            let mut command = child("child_that_measures_until_it_is_killed", &path);
            command.env(CHILD_TICK, tick.to_string()).env("LIFE", round.to_string());
            let mut process = command.spawn().expect("sh");
            let lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
            let mut numbers = lines.filter_map(|line| line.strip_prefix("measured ")?.parse::<u64>().ok());
            let mut measured = numbers.by_ref().take(20 + 3 * round as usize).last().expect("it measures");
            process.kill().expect("a child of ours");
            process.wait().expect("it ends");
            measured = numbers.last().unwrap_or(measured);
            let mut next = Life::begin(&path, NOON + MINUTE * 60 * 24, "1");
            kept = next.requests();
            next.end().await;
            assert!(kept <= measured && (measured - kept) * tick <= 60, "tick {tick} s: {kept} of {measured}");
        }
        assert!(kept > 100, "{kept}");
    }
}
