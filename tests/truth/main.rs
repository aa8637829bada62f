//! The truth set: small services with a known fault, or with none, and what the monitor must say about each.
//!
//! Each service is a process of its own, with real sockets and real traffic for some seconds, judged by the shipped rules
//! with shorter waiting times. [`Truth`] states what must be found and with which cause, what must not be said, and that
//! nothing else is accused. The table at the end counts how often the monitor is right.
//!
//! ```console
//! $ cargo test --test truth                     # the short form, a part of `cargo test --workspace`
//! $ cargo test --test truth -- --all            # every service
//! $ cargo test --test truth -- --all --busy     # beside a busy neighbour on every core
//! $ cargo test --test truth -- queue            # the services with `queue` in their name
//! ```
//!
//! `target/truth/NAME.json` has what was found in each service.

#![expect(clippy::unwrap_used, reason = "a service or a runner that panics has failed")]

mod arguments;
mod client;
mod family;
mod judge;
#[path = "../integration/support/postgres.rs"]
mod postgres;
#[path = "../integration/support/program.rs"]
mod program;
mod rules;
mod runner;
mod service;
mod spin;
mod table;
mod truth;
mod upstream;

use std::process::ExitCode;

use arguments::{Arguments, Mode};
use truth::Truth;

/// The services tell memory that a route keeps from other memory.
#[global_allocator]
static ALLOCATOR: pinchpoint::CountingAllocator = pinchpoint::CountingAllocator::new();

fn main() -> ExitCode {
    let truths = family::all();
    let unknown = rules::unknown(truths.iter().flat_map(Truth::rules));
    assert!(unknown.is_empty(), "no shipped rule has the id {unknown:?}");
    match Arguments::read(std::env::args().skip(1)) {
        Arguments { mode: Mode::List, .. } => ExitCode::SUCCESS,
        Arguments { mode: Mode::Spin, .. } => spin::until_stdin_closes(),
        Arguments { mode: Mode::Serve(name), .. } => {
            service::serve(truths.into_iter().find(|truth| truth.name == name).expect("the runner knows its services"))
        }
        arguments => runner::run(select(truths, &arguments), &arguments),
    }
}

/// Returns the services that the arguments ask for.
fn select(truths: Vec<Truth>, arguments: &Arguments) -> Vec<Truth> {
    let named = |truth: &Truth| arguments.names.iter().any(|name| truth.name.contains(name.as_str()));
    let chosen = |truth: &Truth| match arguments.names.is_empty() {
        true => arguments.all || truth.short,
        false => named(truth),
    };
    truths.into_iter().filter(chosen).collect()
}
