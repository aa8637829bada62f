//! What the tool can do, each from its arguments to its exit code.

mod border;
mod capacity;
mod compare;
mod load_test;
mod monitor;
mod preflight;
mod profile;
mod session;

use std::io::Write as _;

pub(crate) use compare::compare_files;
pub(crate) use load_test::load_test;
pub(crate) use monitor::{MonitorError, monitor};
pub(crate) use profile::profile;
pub(crate) use session::SessionError;

/// Writes to standard output; a reader that has gone away is no reason to fail.
fn print(text: &str) {
    _ = std::io::stdout().lock().write_all(text.as_bytes());
}
