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
use rounds::Threads;
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
    let times = rounds::medians(&contestants, rounds, REQUESTS, &[Threads::One, Threads::Shared, Threads::Apart]);
    let [one, shared, apart] = &times[..] else { unreachable!("as many as were asked for") };
    let allocations = contestants.iter().map(rounds::allocations).collect::<Vec<_>>();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", note(rounds))?;
    writeln!(
        out,
        "| layer | ns/request | above bare | of axum-prometheus | allocations | two threads, one route | two threads, nothing shared | slowed by sharing |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
    let one: Vec<f64> = one.iter().map(|time| time.unwrap_or(f64::NAN)).collect();
    let position = |name| contestants.iter().position(|contestant| contestant.name == name);
    let prometheus = position(contestants::AXUM_PROMETHEUS).map_or(f64::NAN, |at| one[at] - one[0]);
    let nanos = |time: Option<f64>| time.map_or("–".to_owned(), |time| format!("{time:.0}"));
    for (at, Contestant { name, .. }) in contestants.iter().enumerate() {
        let above = one[at] - one[0];
        let sharing = shared[at]
            .zip(apart[at])
            .map_or("–".to_owned(), |(shared, apart)| format!("{:.2} times", shared / apart));
        writeln!(
            out,
            "| {name} | {:.0} | {above:.0} | {:.0} % | {:.2} | {} | {} | {sharing} |",
            one[at],
            100.0 * above / prometheus,
            allocations[at],
            nanos(shared[at]),
            nanos(apart[at]),
        )?;
    }
    writeln!(out, "\n| what a request does | ns each | allocations each |\n|---|--:|--:|")?;
    let times = rounds::medians(&routers, rounds, REQUESTS / uses::TIMES, &[Threads::One]);
    let time = |at: usize| times[0][at].unwrap_or(f64::NAN);
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
