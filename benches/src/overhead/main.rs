//! The cost of a monitoring layer per request: nanoseconds above the bare router, and allocations, on one thread and on
//! two. The contestants take turns in one run, so that a change of the machine's speed meets all of them.
//!
//! With `ONLY=2 REQUESTS=20000` it sends so many requests to the contestant in that place, on one thread, and prints nothing:
//! for a profiler that counts instructions, which other programs do not change.

mod contestants;
mod rounds;
mod uses;

use std::io::Write as _;

use contestants::Contestant;
use rounds::{Threads, Times};
use uses::Use;

const ROUNDS: usize = 31;
const REQUESTS: usize = 20_000;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let contestants = {
        let _entered = runtime.enter();
        contestants::all()
    };
    if let Some(place) = number("ONLY") {
        rounds::one(&contestants[place], number("REQUESTS").unwrap_or(REQUESTS));
        return Ok(());
    }
    let (routers, uses) = {
        let _entered = runtime.enter();
        uses::all()
    };
    let rounds = number("ROUNDS").unwrap_or(ROUNDS);
    let times = rounds::times(&contestants, rounds, REQUESTS, &[Threads::One, Threads::Shared, Threads::Apart]);
    let [one, shared, apart] = &times[..] else { unreachable!("as many as were asked for") };
    let median = |times: &Times| rounds::median(times.iter().copied());
    let allocations = contestants.iter().map(rounds::allocations).collect::<Vec<_>>();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", note(rounds))?;
    writeln!(
        out,
        "| layer | ns/request | above bare | of axum-prometheus | allocations | two threads, one route | two threads, nothing shared | slowed by sharing |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
    let peer = contestants.iter().position(|contestant| contestant.name == contestants::AXUM_PROMETHEUS);
    // Of the differences and ratios within each round, in which the contestants took turns at the same speed of the machine.
    let above = |at: usize| rounds::median(one[at].iter().zip(&one[0]).map(|(layer, bare)| layer - bare));
    let ratio = |at: usize| {
        let rounds = one[at].iter().zip(&one[0]).zip(&one[peer?]);
        rounds::median(rounds.map(|((layer, bare), peer)| (layer - bare) / (peer - bare)))
    };
    let nanos = |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.0}"));
    for (at, Contestant { name, .. }) in contestants.iter().enumerate() {
        let sharing = median(&shared[at])
            .zip(median(&apart[at]))
            .map_or("–".to_owned(), |(shared, apart)| format!("{:.2} times", shared / apart));
        writeln!(
            out,
            "| {name} | {} | {} | {:.1} % | {:.2} | {} | {} | {sharing} |",
            nanos(median(&one[at])),
            nanos(above(at)),
            100.0 * ratio(at).unwrap_or(f64::NAN),
            allocations[at],
            nanos(median(&shared[at])),
            nanos(median(&apart[at])),
        )?;
    }
    writeln!(out, "\n| what a request does | ns each | allocations each |\n|---|--:|--:|")?;
    let times = rounds::times(&routers, rounds, REQUESTS / uses::TIMES, &[Threads::One]);
    let time = |at: usize| median(&times[0][at]).unwrap_or(f64::NAN);
    let allocations: Vec<f64> = routers.iter().map(rounds::allocations).collect();
    for Use { name, tracked, untracked, unmonitored } in uses {
        let each = |of: &dyn Fn(usize) -> f64| {
            let without = unmonitored.map_or(0.0, |(doing, nothing)| of(doing) - of(nothing));
            (of(tracked) - of(untracked) - without) / uses::TIMES as f64
        };
        writeln!(out, "| {name} | {:.0} | {:.2} |", each(&time), each(&|at| allocations[at]))?;
    }
    Ok(())
}

/// Returns the number in an environment variable.
fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

fn note(rounds: usize) -> String {
    format!("Medians of {rounds} rounds of {REQUESTS} requests each, the layers alternated in one run; 50 routes.")
}
