//! Rounds of requests, the contestants taking turns.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::contestants::{Contestant, ROUTES};

/// How the requests of a round are sent.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    /// One thread, over all routes.
    One,
    /// Two threads to the same single route, where cache lines are contended.
    Shared,
    /// Two threads to a router each. The routers share nothing, so a slowdown here is the machine's and not the
    /// layer's.
    Apart,
}

/// The ns/request of one contestant in each round; empty where it has no second router.
pub(crate) type Times = Vec<f64>;

/// Returns the times of each contestant for each of `threads`.
pub(crate) fn times(
    contestants: &[Contestant],
    rounds: usize,
    requests: usize,
    threads: &[Threads],
) -> Vec<Vec<Times>> {
    let mut times = vec![vec![Vec::with_capacity(rounds); contestants.len()]; threads.len()];
    for round in 0..=rounds {
        for (threads, times) in threads.iter().zip(&mut times) {
            for (contestant, times) in contestants.iter().zip(times) {
                // The first round warms up.
                if let Some(time) = round_of(contestant, requests, *threads).filter(|_| round > 0) {
                    times.push(time.as_nanos() as f64 / requests as f64);
                }
            }
        }
    }
    times
}

/// Returns the median; `None` of nothing.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

fn round_of(contestant: &Contestant, requests: usize, threads: Threads) -> Option<Duration> {
    let app = &contestant.app;
    let (apps, routes) = match threads {
        Threads::One => (vec![app], ROUTES),
        Threads::Shared => (vec![app, app], 1),
        Threads::Apart => (vec![app, contestant.twin.as_ref()?], 1),
    };
    let barrier = Barrier::new(apps.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = apps
            .into_iter()
            .map(|app| {
                let (app, barrier) = (app.clone(), &barrier);
                scope.spawn(move || {
                    let runtime = runtime();
                    runtime.block_on(send(&app, 1000, routes));
                    barrier.wait();
                    let started = Instant::now();
                    runtime.block_on(send(&app, requests, routes));
                    started.elapsed()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no request panics")).max()
    })
}

/// Sends requests to one contestant on this thread.
pub(crate) fn one(contestant: &Contestant, requests: usize) {
    runtime().block_on(send(&contestant.app, requests, ROUTES));
}

/// Returns the allocations of one request whose series exist already.
pub(crate) fn allocations(contestant: &Contestant) -> f64 {
    const REQUESTS: usize = 1000;
    let runtime = runtime();
    runtime.block_on(send(&contestant.app, REQUESTS, ROUTES));
    let counted = allocation_counter::measure(|| runtime.block_on(send(&contestant.app, REQUESTS, ROUTES)));
    counted.count_total as f64 / REQUESTS as f64
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O always builds")
}

async fn send(app: &Router, requests: usize, routes: usize) {
    for number in 0..requests {
        let request = Request::get(PATHS[number % routes]).body(Body::empty()).expect("a valid path");
        let response = app.clone().oneshot(request).await.expect("a router never fails");
        let body = response.into_body().collect().await.expect("a whole body");
        assert_eq!(body.to_bytes().len(), 2);
    }
}

/// Paths of the routes; static, so that the measurement does not include formatting them.
static PATHS: [&str; ROUTES] = [
    "/r0/7", "/r1/7", "/r2/7", "/r3/7", "/r4/7", "/r5/7", "/r6/7", "/r7/7", "/r8/7", "/r9/7", "/r10/7", "/r11/7",
    "/r12/7", "/r13/7", "/r14/7", "/r15/7", "/r16/7", "/r17/7", "/r18/7", "/r19/7", "/r20/7", "/r21/7", "/r22/7",
    "/r23/7", "/r24/7", "/r25/7", "/r26/7", "/r27/7", "/r28/7", "/r29/7", "/r30/7", "/r31/7", "/r32/7", "/r33/7",
    "/r34/7", "/r35/7", "/r36/7", "/r37/7", "/r38/7", "/r39/7", "/r40/7", "/r41/7", "/r42/7", "/r43/7", "/r44/7",
    "/r45/7", "/r46/7", "/r47/7", "/r48/7", "/r49/7",
];
