//! What a monitoring layer costs per request: ns above the bare router and allocations, contestants alternated in one
//! run, one thread and two.

mod contestants;
mod rounds;

use std::io::Write as _;

use contestants::Contestant;

const ROUNDS: usize = 31;
const REQUESTS: usize = 20_000;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let contestants = {
        let _entered = runtime.enter();
        contestants::all()
    };
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let one = rounds::medians(&contestants, rounds, REQUESTS, 1);
    let two = rounds::medians(&contestants, rounds, REQUESTS, 2);
    let allocations = contestants.iter().map(rounds::allocations).collect::<Vec<_>>();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ROUNDS_NOTE}\n", ROUNDS_NOTE = note(rounds))?;
    writeln!(out, "| layer | ns/request | above bare | of axum-prometheus | allocations | two threads, one route |")?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|")?;
    let bare = one[0];
    let position = |name| contestants.iter().position(|contestant| contestant.name == name);
    let prometheus = position(contestants::AXUM_PROMETHEUS).map_or(f64::NAN, |at| one[at] - bare);
    for (at, Contestant { name, .. }) in contestants.iter().enumerate() {
        let above = one[at] - bare;
        writeln!(
            out,
            "| {name} | {:.0} | {above:.0} | {:.0} % | {:.2} | {:.0} ns ({:.2} times one thread's) |",
            one[at],
            100.0 * above / prometheus,
            allocations[at],
            two[at],
            two[at] / one[at],
        )?;
    }
    Ok(())
}

fn note(rounds: usize) -> String {
    format!("Medians of {rounds} rounds of {REQUESTS} requests each, the layers alternated in one run; 50 routes.")
}
