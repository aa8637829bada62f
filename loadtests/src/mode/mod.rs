//! What the tool does, one file for each subcommand: `run`, `profile`, `monitor`, `check` and `compare`.
//!
//! A mode takes its arguments to a [`Conclusion`](crate::verdict::Conclusion), which is the exit code. Only this room
//! starts runs, prints to standard output and writes files; everything to its left returns values. `run`, `profile` and
//! the capacity search judge a run by the same [`Judge`](judge::Judge) and publish it through the same
//! [`MeasuredRun`](publish::MeasuredRun), so that a condition or a new output is added once.

mod attempt;
mod baseline;
mod border;
mod capacity;
mod check;
mod compare;
mod diagnosis;
mod error;
mod judge;
mod monitor;
mod preflight;
mod print;
mod profile;
mod publish;
mod run;
mod server_observer;
mod session;

pub(crate) use check::check_files;
pub(crate) use compare::compare_files;
pub(crate) use error::ToolError;
pub(crate) use monitor::run_monitor;
pub(crate) use profile::run_profile;
pub(crate) use run::run_load_test;
