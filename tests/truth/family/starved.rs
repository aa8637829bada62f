//! Services on a machine whose processor others use: more CPU, not other code.

use axum::{Router, routing::get as on_get};

use crate::{
    client::get,
    service::{Host, compute, pause},
    truth::{ANY, Truth},
};

/// Advice that changes the code, which is not what is wrong.
const CODE: &[&str] = &["move the computation", "std mutex", "thread::sleep", "synchronous i/o"];

pub(crate) fn truths() -> Vec<Truth> {
    vec![starved_pages(), starved_lock(), busy_machine_idle_service()]
}

fn starved_pages() -> Truth {
    Truth::new("starved_pages", "pages take 30 ms of processor time, on a core that four other processes use")
        .app(async |host: Host| {
            let page = async || {
                compute(30);
                "page"
            };
            host.watch(Router::new().route("/page", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/page").users(2).pause(100)]).await)
        .starved(4)
        .finds(
            &["blocked_runtime", "blocked_runtime_at_times", "slow_endpoint", "scheduling_lag"],
            ANY,
            &["cpu_starved"],
        )
        .never(CODE)
        .lasts(12)
}

fn starved_lock() -> Truth {
    Truth::new("starved_wait", "handlers wait 20 ms for a service and compute 25 ms, on a core that six others use")
        .app(async |host: Host| {
            let page = async || {
                pause(20).await;
                compute(25);
                "page"
            };
            host.watch(Router::new().route("/account", on_get(page)))
        })
        .traffic(async |client| client.visits([get("/account").users(2).pause(50)]).await)
        .starved(6)
        .finds(
            &["blocked_runtime", "blocked_runtime_at_times", "slow_endpoint", "scheduling_lag"],
            ANY,
            &["cpu_starved"],
        )
        .never(CODE)
        .lasts(12)
}

fn busy_machine_idle_service() -> Truth {
    Truth::new("busy_machine_idle_service", "the machine is busy; the service answers some light requests")
        .app(async |host: Host| host.watch(Router::new().route("/ping", on_get(async || "pong"))))
        .traffic(async |client| client.visits([get("/ping").pause(200)]).await)
        .starved(4)
        .may_find(&["scheduling_lag"], "process", &["cpu_starved"])
        .never(CODE)
}
