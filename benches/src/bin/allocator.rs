//! The cost of the counting allocator per block and per request, beside the system's allocator.
//!
//! A process has one allocator, so each run measures one: run it with and without `--features counting`, in turn.
//! ```sh
//! for round in 1 2 3; do
//!   cargo run --release -p pinchpoint-benches --bin allocator
//!   cargo run --release -p pinchpoint-benches --bin allocator --features counting
//! done
//! ```

use std::{
    hint::black_box,
    io::Write as _,
    time::{Duration, Instant},
};

use axum::{Json, Router, body::Body, http::Request, routing::get};
use http_body_util::BodyExt as _;
use pinchpoint::Monitor;
use tower::ServiceExt as _;

#[cfg(feature = "counting")]
#[global_allocator]
static ALLOCATOR: pinchpoint::CountingAllocator = pinchpoint::CountingAllocator::new();

const ROUNDS: usize = 31;
const BLOCKS: usize = 100_000;
const REQUESTS: usize = 20_000;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = std::io::stdout().lock();
    let name = if cfg!(feature = "counting") { "counting allocator" } else { "system's allocator" };
    for bytes in [16, 64, 1024] {
        let nanos = median(BLOCKS, || {
            for _ in 0..BLOCKS {
                drop(black_box(Vec::<u8>::with_capacity(black_box(bytes))));
            }
        });
        writeln!(out, "{name}: a block of {bytes} bytes, made and freed: {nanos:.1} ns")?;
    }
    let monitor = runtime.block_on(async { Monitor::builder().build() }).expect("the defaults are good");
    for (what, app) in [("bare", router()), ("measured", router().layer(monitor.layer()))] {
        runtime.block_on(send(&app, REQUESTS));
        let nanos = median(REQUESTS, || runtime.block_on(send(&app, REQUESTS)));
        writeln!(out, "{name}: a {what} request of some fifty blocks: {nanos:.0} ns")?;
    }
    Ok(())
}

/// A handler with typical allocations: strings, a list, and the JSON of both.
fn router() -> Router {
    let list = || async { Json((0..20).map(|number| format!("item number {number}")).collect::<Vec<_>>()) };
    Router::new().route("/items", get(list))
}

async fn send(app: &Router, requests: usize) {
    for _ in 0..requests {
        let request = Request::get("/items").body(Body::empty()).expect("a good path");
        let response = app.clone().oneshot(request).await.expect("a router never fails");
        let body = response.into_body().collect().await.expect("a whole body");
        assert!(!body.to_bytes().is_empty());
    }
}

/// Returns the median of [`ROUNDS`] rounds, in nanoseconds a piece; the first round warms up and does not count.
fn median(pieces: usize, mut round: impl FnMut()) -> f64 {
    round();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2].as_nanos() as f64 / pieces as f64
}
