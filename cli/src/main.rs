//! The `pinchpoint` command.
//!
//! Answers go to standard output, everything else to standard error. Exit codes: 0 all is well, 1 it failed or a rule
//! file is wrong, 2 the command line is invalid.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that panics has failed"))]

mod address;
mod alerts;
mod answer;
mod args;
mod demo;
mod export;
mod lock;
mod rules;

use std::{error::Error, io::Write as _, process::ExitCode};

use clap::Parser;

use args::{CausesCommand, Cli, Command, MetricsCommand};
use rules::RulesError;

/// Counts each route's memory, so that the demo's leak is found with the route that keeps it.
#[global_allocator]
static ALLOCATOR: pinchpoint::CountingAllocator = pinchpoint::CountingAllocator::new();

fn main() -> ExitCode {
    let Cli { command, demo } = Cli::parse();
    let done = match command {
        None => demo::run(demo).map_err(|error| complaint(&error)),
        Some(Command::Demo(args)) => demo::run(args).map_err(|error| complaint(&error)),
        Some(Command::Rules { command }) => rules::run(&command, &mut std::io::stdout()).map_err(|error| match error {
            // Begins with the file, so that editors and terminals can jump there, and has the cause in it.
            RulesError::Load(error) => error.to_string(),
            RulesError::Tests(error) => error.to_string(),
            error => complaint(&error),
        }),
        Some(Command::Alerts { command }) => {
            alerts::run(command, &mut std::io::stdout()).map_err(|error| match error {
                // Begins with the file, as an error of a rule file does.
                alerts::AlertsError::Settings(error) => explained(&error),
                error => complaint(&error),
            })
        }
        Some(Command::Metrics { command: MetricsCommand::Reference }) => {
            let reference = pinchpoint::metrics_reference_markdown();
            answer::write(&reference, &mut std::io::stdout()).map_err(|error| complaint(&error))
        }
        Some(Command::Causes { command: CausesCommand::Reference }) => {
            let reference = pinchpoint::causes_reference_markdown();
            answer::write(&reference, &mut std::io::stdout()).map_err(|error| complaint(&error))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            // Where standard error is closed as well, the exit code is all that can be reported.
            _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what went wrong and why, as a line of this program.
fn complaint(error: &dyn Error) -> String {
    format!("pinchpoint: {}", explained(error))
}

/// Returns what went wrong and why, cause after cause.
fn explained(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
