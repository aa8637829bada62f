//! What the tool can do, each from its arguments to its exit code.

mod border;
mod capacity;
mod compare;
mod error;
mod monitor;
mod preflight;
mod profile;
mod run;
mod session;

use std::io::Write as _;

pub(crate) use compare::compare_files;
pub(crate) use error::ToolError;
pub(crate) use monitor::run_monitor;
pub(crate) use profile::run_profile;
pub(crate) use run::run_load_test;
pub(crate) use session::SessionError;

/// Writes to standard output; a reader that has gone away is no reason to fail.
fn print(text: &str) {
    _ = std::io::stdout().lock().write_all(text.as_bytes());
}
