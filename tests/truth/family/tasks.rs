//! Tracked tasks: slow, failing, stuck, one after another.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, http::StatusCode, routing::post as on_post};
use pinchpoint::track_async_task;

use crate::{
    client::post,
    service::{Host, compute, pause, task},
    truth::Truth,
};

const SLOW: &[&str] = &["slow_endpoint"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![slow_task(), tasks_in_sequence(), failing_task(), stuck_task(), computing_task(), background_mail()]
}

fn slow_task() -> Truth {
    Truth::new("slow_task", "a request waits for the mail that it sends, a task of 1.4 s")
        .app(async |host: Host| {
            let order = async || {
                pause(20).await;
                task("send_mail", pause(1_400)).await;
                "ordered"
            };
            host.watch(Router::new().route("/order", on_post(order)))
        })
        .traffic(async |client| client.visits([post("/order").users(4)]).await)
        .finds(SLOW, "POST /order", &["slow_task"])
        .naming(&["send_mail"])
        .also("slow_task", "send_mail")
        .never(&["it computes", "in the database", "split the work into smaller"])
}

fn tasks_in_sequence() -> Truth {
    Truth::new("tasks_in_sequence", "three tasks of 450 ms that could run at once run one after another")
        .app(async |host: Host| {
            let publish = async || {
                task("notify_readers", pause(450)).await;
                task("update_feed", pause(450)).await;
                task("warm_cache", pause(450)).await;
                "published"
            };
            host.watch(Router::new().route("/publish", on_post(publish)))
        })
        .traffic(async |client| client.visits([post("/publish").users(4)]).await)
        .finds(SLOW, "POST /publish", &["sequential_tasks"])
        .never(&["it computes", "in the database"])
}

fn failing_task() -> Truth {
    Truth::new("failing_task", "an endpoint fails because its task fails in a third of the runs")
        .app(async |host: Host| {
            let number = Arc::new(AtomicU64::new(0));
            let charge = async move || {
                let fails = number.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
                let work = async {
                    pause(30).await;
                    if fails { Err("card refused") } else { Ok(()) }
                };
                match track_async_task("charge_card", work).await {
                    Ok(()) => StatusCode::OK,
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
                }
            };
            host.watch(Router::new().route("/charge", on_post(charge)))
        })
        .traffic(async |client| client.visits([post("/charge").users(3)]).await)
        .finds(&["high_error_rate"], "POST /charge", &["failing_task"])
        .naming(&["charge_card"])
        .also("task_failures", "charge_card")
        .never(&["panics", "in the database"])
}

fn stuck_task() -> Truth {
    Truth::new("stuck_task", "runs of a task wait for an answer that never comes, one more every second")
        .app(async |host: Host| {
            let sync = async || {
                tokio::spawn(task("sync_stock", std::future::pending()));
                StatusCode::ACCEPTED
            };
            host.watch(Router::new().route("/sync", on_post(sync)))
        })
        .traffic(async |client| client.visits([post("/sync").pause(1_000)]).await)
        .finds(&["stuck_task"], "sync_stock", &["never_ends"])
        .lasts(14)
}

fn computing_task() -> Truth {
    Truth::new("computing_task", "a tracked task computes 700 ms on a worker, for each request")
        .app(async |host: Host| {
            let render = async || {
                task("render_report", async {
                    pause(5).await;
                    compute(700);
                })
                .await;
                "rendered"
            };
            host.watch(Router::new().route("/render", on_post(render)))
        })
        .traffic(async |client| client.visits([post("/render").pause(300)]).await)
        .finds(&["slow_task"], "render_report", &["computing", "blocking_task"])
        .also("*", "POST /render")
        .also("scheduling_lag", "process")
        .never(&["std mutex", "thread::sleep", "of the time it waits"])
        .alone()
}

fn background_mail() -> Truth {
    Truth::new("background_mail", "mails are sent in the background, 300 ms each, some of them at once")
        .app(async |host: Host| {
            let order = async || {
                tokio::spawn(pinchpoint::in_current_request(task("send_mail", pause(300))));
                "ordered"
            };
            host.watch(Router::new().route("/order", on_post(order)))
        })
        .traffic(async |client| client.visits([post("/order").users(3).pause(100)]).await)
}
