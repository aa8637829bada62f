//! What a request pays for what it tracks: each thing ten times in a handler, with and without tracking it.

use std::future::{Future, ready};

use axum::{Router, routing::get};
use pinchpoint::{Monitor, track_async_task, track_db_query, track_hold, track_http_call, track_wait};
use tokio::task::yield_now;

use crate::contestants::{Contestant, ROUTES};

/// How often a handler does it.
pub(crate) const TIMES: usize = 10;

/// One thing that a request may do: the handler that tracks it, and the one that it is compared with.
pub(crate) struct Use {
    pub(crate) name: &'static str,
    /// Places in the contestants.
    pub(crate) tracked: usize,
    pub(crate) untracked: usize,
    /// The same two without a monitor, if what is compared is the monitor and not the tracking.
    pub(crate) unmonitored: Option<(usize, usize)>,
}

/// Returns the routers and what is read from them. Must run inside a tokio runtime.
pub(crate) fn all() -> (Vec<Contestant>, Vec<Use>) {
    let mut routers = vec![monitored(|| ready(())), bare(|| ready(())), monitored(yield_now), bare(yield_now)];
    let mut uses =
        vec![Use { name: "a poll that waits and is woken", tracked: 2, untracked: 0, unmonitored: Some((3, 1)) }];
    let mut add = |name, router| {
        routers.push(router);
        uses.push(Use { name, tracked: routers.len() - 1, untracked: 0, unmonitored: None });
    };
    let ok = || ready(Ok::<_, std::io::Error>(()));
    add(
        "`track_db_query`",
        monitored(move || async move { _ = track_db_query("SELECT a FROM b WHERE c = $1", ok()).await }),
    );
    add(
        "`track_http_call`",
        monitored(move || async move { _ = track_http_call("GET", "http://rates.example/a", ok()).await }),
    );
    add("`track_wait`", monitored(|| track_wait("lock", "inventory", ready(()))));
    add(
        "`track_hold`, until it is given back",
        monitored(|| async { drop(track_hold("lock", "stock", ready(())).await) }),
    );
    add("`track_async_task`", monitored(move || async move { _ = track_async_task("mail", ok()).await }));
    (routers, uses)
}

/// A handler that does something ten times.
fn router<F: Future<Output = ()> + Send + 'static>(each: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router {
    let handler = move || {
        let each = each.clone();
        async move {
            for _ in 0..TIMES {
                each().await;
            }
            "ok"
        }
    };
    (0..ROUTES).fold(Router::new(), |router, route| router.route(&format!("/r{route}/{{id}}"), get(handler.clone())))
}

fn bare<F: Future<Output = ()> + Send + 'static>(each: impl Fn() -> F + Clone + Send + Sync + 'static) -> Contestant {
    Contestant::new("bare", router(each), Box::new(()))
}

fn monitored<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Contestant {
    let monitor = Monitor::builder().build().expect("inside a runtime, with the defaults");
    let app = router(each).layer(monitor.layer());
    Contestant::new("monitored", app, Box::new(monitor))
}
