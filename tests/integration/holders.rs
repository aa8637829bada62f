//! Who holds what others wait for: said in the finding about those that wait, as far as it was measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use pinchpoint::{Monitor, in_current_request, track_async_task, track_hold, track_wait};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Semaphore},
    time::sleep,
};

use crate::support::{get as fetch, monitor};

const MS: Duration = Duration::from_millis(1);

fn app(monitor: &Monitor, routes: Router) -> Router {
    routes.layer(monitor.layer()).merge(monitor.router())
}

/// Sends requests to both paths at once, ten times, and returns the finding about the slowness of `GET /buy`.
async fn slow_purchases(app: &Router, other: &str) -> Value {
    for _ in 0..10 {
        tokio::join!(fetch(app, other), async {
            sleep(10 * MS).await;
            fetch(app, "/buy").await
        });
    }
    sleep(Duration::from_secs(40)).await;
    let (_, body) = fetch(app, "/performance/bottlenecks?evidence=full").await;
    let found: Value = serde_json::from_str(&body).expect("JSON");
    let list = found["bottlenecks"].as_array().expect("a list");
    let is_it = |one: &&Value| one["type"] == "slow_endpoint" && one["subject"] == "GET /buy";
    list.iter().find(is_it).unwrap_or_else(|| panic!("no slow GET /buy in {found:#}")).clone()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// Buys under a lock or a permit, which takes 20 ms.
async fn buy(lock: &Mutex<()>) {
    let guard = track_hold("lock", "inventory", lock.lock()).await;
    sleep(20 * MS).await;
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_queue_names_the_endpoint_that_holds_the_lock_longest() {
    let monitor = monitor();
    let lock = Arc::new(Mutex::new(()));
    let count = {
        let lock = lock.clone();
        move || async move {
            let guard = track_hold("lock", "inventory", lock.lock()).await;
            sleep(1980 * MS).await;
            drop(guard);
        }
    };
    let line = line!() - 5;
    let buy = move || async move { buy(&lock).await };
    let app = app(&monitor, Router::new().route("/count", get(count)).route("/buy", get(buy)));
    let finding = slow_purchases(&app, "/count").await;
    assert_eq!(text(&finding, "/cause/kind"), "lock_queue");
    let held =
        format!("; held longest by GET /count at {}:{line}: 1.98s each time, 99% of the time that it is held", file!());
    let because = text(&finding, "/cause/because");
    assert!(because.ends_with(&held), "{because}");
    let advice = text(&finding, "/recommendations/0");
    assert!(advice.starts_with("Hold lock inventory for shorter in GET /count at "), "{advice}");
    assert_eq!(text(&finding, "/evidence/words/longest_holder"), "GET /count");
    let holder = &finding["evidence"]["uses"][0]["longest_holder"];
    assert_eq!((&holder["kind"], holder["avg_ms"].as_f64()), (&Value::from("endpoint"), Some(1980.0)), "{finding:#}");
    let ratio = holder["ratio"].as_f64().expect("a ratio");
    assert!((ratio - 0.99).abs() < 1e-3, "{ratio}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_never_ends_is_named_while_it_runs() {
    let monitor = monitor();
    let permits = Arc::new(Semaphore::new(1));
    let export = {
        let permits = permits.clone();
        move || {
            let permits = permits.clone();
            async move {
                let work = async move {
                    // After the end of the request that began it.
                    sleep(MS).await;
                    loop {
                        let permit = track_hold("semaphore", "pages", permits.acquire()).await;
                        sleep(3000 * MS).await;
                        drop(permit);
                        sleep(MS).await;
                    }
                };
                let never = async {
                    work.await;
                    Ok::<(), std::io::Error>(())
                };
                tokio::spawn(in_current_request(track_async_task("export", never)));
            }
        }
    };
    let started = Arc::new(AtomicU32::new(0));
    let once = move || async move {
        if started.fetch_add(1, Relaxed) == 0 {
            export().await;
        }
    };
    let buy = move || async move {
        let permit = track_hold("semaphore", "pages", permits.acquire()).await;
        sleep(20 * MS).await;
        drop(permit);
    };
    let app = app(&monitor, Router::new().route("/export", get(once)).route("/buy", get(buy)));
    let finding = slow_purchases(&app, "/export").await;
    assert_eq!(text(&finding, "/cause/kind"), "semaphore_queue");
    let because = text(&finding, "/cause/because");
    assert!(because.contains("; held longest by the task export at "), "{because}");
    assert!(because.contains(": 3s each time, "), "{because}");
    assert_eq!(text(&finding, "/evidence/words/longest_holder"), "export");
}

#[tokio::test(start_paused = true)]
async fn work_that_is_not_tracked_is_not_blamed_on_another() {
    let monitor = monitor();
    let lock = Arc::new(Mutex::new(()));
    let count = {
        let lock = lock.clone();
        move || async move {
            let hold = async move {
                sleep(MS).await;
                let guard = track_hold("lock", "inventory", lock.lock()).await;
                sleep(1980 * MS).await;
                drop(guard);
            };
            tokio::spawn(in_current_request(hold));
        }
    };
    let buy = move || async move { buy(&lock).await };
    let app = app(&monitor, Router::new().route("/count", get(count)).route("/buy", get(buy)));
    let finding = slow_purchases(&app, "/count").await;
    let because = text(&finding, "/cause/because");
    let held = "; held longest by work that counts for no request and no tracked task: 1.98s each time, 99% of the time that it is held";
    assert!(because.ends_with(held), "{because}");
    assert_eq!(finding.pointer("/evidence/words/longest_holder"), None);
    assert!(text(&finding, "/recommendations/0").starts_with("Hold lock inventory for shorter: "));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_named_where_no_hold_was_measured() {
    let monitor = monitor();
    let lock = Arc::new(Mutex::new(()));
    let count = {
        let lock = lock.clone();
        move || async move {
            let guard = lock.lock().await;
            sleep(1980 * MS).await;
            drop(guard);
        }
    };
    let buy = move || async move { drop(track_wait("lock", "inventory", lock.lock()).await) };
    let app = app(&monitor, Router::new().route("/count", get(count)).route("/buy", get(buy)));
    let finding = slow_purchases(&app, "/count").await;
    assert_eq!(text(&finding, "/cause/kind"), "lock_queue");
    let because = text(&finding, "/cause/because");
    assert!(!because.contains("held"), "{because}");
    assert_eq!(finding["evidence"]["uses"][0]["longest_holder"], Value::Null);
}
