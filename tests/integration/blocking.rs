//! Polls that keep a worker: whether they compute, wait or want for a CPU, against a known truth.
//!
//! On real clocks and real threads: what is measured is the kernel's. Other tests run at the same time, so what is asserted
//! leaves room for what they take.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use pinchpoint::{Monitor, track_async_task};
use serde_json::Value;

use crate::support::{built, get as fetch};

const MS: Duration = Duration::from_millis(1);

/// A rule that finds every endpoint and every task of these tests.
const RULES: &str = "rules:\n  - id: polls\n    scope: endpoint\n    measure: max_duration\n    min_samples: 1\n    \
                     for: 0s\n    thresholds: { low: '>= 1ms' }\n    description: '{subject}'\n  - id: runs\n    \
                     scope: task\n    measure: max_duration\n    min_samples: 1\n    for: 0s\n    \
                     thresholds: { low: '>= 1ms' }\n    description: '{subject}'\n  - id: lag\n    scope: process\n    \
                     measure: resident_memory\n    for: 0s\n    thresholds: { low: '> 1KB' }\n    description: all\n";
const REQUESTS: usize = 6;

/// Returns what is found about `handler`, called some times by a worker of its runtime, one call after the other.
fn found<F>(rule: &'static str, handler: impl Fn() -> F + Clone + Send + Sync + 'static) -> Value
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let served = async move {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("rules.yaml"), RULES).expect("writable");
        let monitor = built(Monitor::builder().rules_dir(directory.path()).evaluation_interval(100 * MS));
        let app = Router::new().route("/it", get(handler)).layer(monitor.layer()).merge(monitor.router());
        for _ in 0..REQUESTS {
            // A task for each, as a connection has.
            let app = app.clone();
            tokio::spawn(async move { fetch(&app, "/it").await }).await.expect("no panic");
        }
        loop {
            let (_, text) = fetch(&app, "/performance/bottlenecks?evidence=full").await;
            let all: Value = serde_json::from_str(&text).expect("JSON");
            let list = all["bottlenecks"].as_array().expect("a list");
            let of = |rule: &str| list.iter().find(|one| one["type"] == rule);
            let requests = of("polls").and_then(|found| found.pointer("/evidence/numbers/requests")?.as_f64());
            if let Some(found) = of(rule).filter(|_| requests == Some(REQUESTS as f64)) {
                break found.clone();
            }
            tokio::time::sleep(20 * MS).await;
        }
    };
    // As a task: the thread of `block_on` is no worker.
    runtime.block_on(async { tokio::spawn(served).await.expect("no panic") })
}

#[track_caller]
fn fact(found: &Value, name: &str) -> f64 {
    found["evidence"]["numbers"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {found:#}"))
}

#[track_caller]
fn is_near(found: &Value, name: &str, expected: f64, within: f64) {
    let value = fact(found, name);
    assert!((value - expected).abs() <= within, "{name} is {value}, expected {expected}: {found:#}");
}

/// Computes until this thread was on a CPU for so long.
fn compute(time: Duration) {
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("linux");
        Duration::from_nanos(stat.split(' ').next().expect("a field").parse().expect("a number"))
    };
    let until = cpu() + time;
    while cpu() < until {
        let began = Instant::now();
        while began.elapsed() < MS {}
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_handler_that_computes_is_told_from_one_that_blocks() {
    let computes = found("polls", || async { compute(50 * MS) });
    assert!(fact(&computes, "blocking_polls") >= REQUESTS as f64);
    // Of what other tests leave: they may take the CPU, but that is no blocking.
    is_near(&computes, "blocking_blocked_ratio", 0.0, 0.1);
    assert!(fact(&computes, "blocking_computing_ratio") + fact(&computes, "blocking_cpu_wait_ratio") > 0.9);

    let sleeps = found("polls", || async { std::thread::sleep(50 * MS) });
    is_near(&sleeps, "blocking_blocked_ratio", 1.0, 0.3);
    is_near(&sleeps, "blocking_computing_ratio", 0.0, 0.1);
    assert_eq!(sleeps["evidence"]["words"]["blocked_in"], "sleep", "{sleeps:#}");
    assert!(fact(&sleeps, "blocked_in_ratio") > 0.5, "{sleeps:#}");
    let parts = ["computing_ratio", "blocked_ratio", "cpu_wait_ratio"].map(|name| fact(&sleeps, name));
    assert!(
        (parts.iter().sum::<f64>() - fact(&sleeps, "busy_ratio")).abs() < 0.01,
        "they are what busy is: {sleeps:#}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_handler_that_waits_for_a_std_lock_is_seen_in_it() {
    let lock = Arc::new(Mutex::new(()));
    let waits = move || {
        let lock = lock.clone();
        async move {
            let (say, held) = mpsc::channel();
            let holder = std::thread::spawn({
                let lock = lock.clone();
                move || {
                    let _held = lock.lock();
                    say.send(()).expect("the handler waits");
                    std::thread::sleep(50 * MS);
                }
            });
            held.recv().expect("sent");
            drop(lock.lock());
            holder.join().expect("no panic");
        }
    };
    let waits = found("polls", waits);
    is_near(&waits, "blocking_blocked_ratio", 1.0, 0.3);
    assert_eq!(waits["evidence"]["words"]["blocked_in"], "a lock (futex)", "{waits:#}");
}

/// Threads that keep every core busy until they are dropped.
struct Neighbours(Arc<AtomicBool>);

impl Neighbours {
    fn start() -> Self {
        let over = Arc::<AtomicBool>::default();
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) * 3 {
            let over = over.clone();
            std::thread::spawn(move || while !over.load(Ordering::Relaxed) {});
        }
        Self(over)
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_busy_machine_a_handler_that_computes_waits_for_a_cpu_and_does_not_block() {
    let neighbours = Neighbours::start();
    let computes = found("polls", || async { compute(50 * MS) });
    let sleeps = found("polls", || async { std::thread::sleep(50 * MS) });
    drop(neighbours);
    assert!(fact(&computes, "blocking_cpu_wait_ratio") > 0.3, "{computes:#}");
    is_near(&computes, "blocking_blocked_ratio", 0.0, 0.1);
    assert!(fact(&sleeps, "blocking_blocked_ratio") > 0.5, "{sleeps:#}");
    is_near(&sleeps, "blocking_computing_ratio", 0.0, 0.1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what it does to a worker is what is tested")]
fn a_handler_that_blocks_in_place_keeps_no_worker() {
    let in_place = found("polls", || async { tokio::task::block_in_place(|| std::thread::sleep(100 * MS)) });
    assert_eq!(in_place.pointer("/evidence/numbers/blocking_polls"), None, "{in_place:#}");
    is_near(&in_place, "in_place_ratio", 1.0, 0.1);
    assert!(fact(&in_place, "longest_poll") < 0.1, "{in_place:#}");
    let plain = found("polls", || async { std::thread::sleep(100 * MS) });
    assert_eq!(plain.pointer("/evidence/numbers/in_place_ratio"), None, "{plain:#}");
    assert_eq!(fact(&plain, "blocking_polls"), REQUESTS as f64);
    assert!(fact(&plain, "longest_poll") >= 0.1, "{plain:#}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_tracked_task_that_blocks_is_named() {
    let handler = || async {
        let blocks = async {
            std::thread::sleep(50 * MS);
            Ok::<_, std::io::Error>(())
        };
        track_async_task("index", blocks).await.expect("it never fails");
    };
    let task = found("runs", handler);
    assert_eq!(task["subject"], "index");
    assert_eq!(fact(&task, "blocking_polls"), REQUESTS as f64);
    is_near(&task, "blocked_ratio", 1.0, 0.3);
    assert_eq!(task["evidence"]["words"]["blocked_in"], "sleep", "{task:#}");
    let process = found("lag", handler);
    assert_eq!(process["evidence"]["words"]["top_blocking_task"], "index", "{process:#}");
    assert!(fact(&process, "top_blocking_task_poll") >= 0.045, "{process:#}");
}

/// Keeps the workers of this runtime busy for 60 ms at a time, half of the time, in tasks that nothing tracks.
fn block_untracked() {
    for _ in 0..2 {
        tokio::spawn(async {
            for _ in 0..100 {
                std::thread::sleep(60 * MS);
                tokio::time::sleep(60 * MS).await;
            }
        });
    }
}

#[test]
fn lag_that_no_request_causes_is_said_to_be_untracked() {
    let started = Arc::<AtomicBool>::default();
    let untracked = found("lag", move || {
        if !started.swap(true, Ordering::Relaxed) {
            block_untracked();
        }
        async { tokio::time::sleep(200 * MS).await }
    });
    assert!(fact(&untracked, "untracked_lag_ratio") > 0.5, "{untracked:#}");
    assert!(fact(&untracked, "max_scheduling_lag") > 0.01, "{untracked:#}");
    assert_eq!(untracked.pointer("/evidence/words/top_blocking_task"), None);
}
