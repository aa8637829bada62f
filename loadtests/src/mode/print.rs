//! What is printed for people: on standard output, or on standard error where a result is written to standard output.

use std::io::Write as _;

use crate::{cli::OutputOptions, printable::printable_lines};

/// Writes to standard output. A closed pipe, as in `loadtest | head`, is not an error: files are still written.
pub(super) fn print(text: &str) {
    _ = std::io::stdout().lock().write_all(printable_lines(text).as_bytes());
}

/// Prints beside the outputs of a mode.
pub(super) fn print_beside(output: &OutputOptions, text: &str) {
    if output.takes_standard_output() {
        _ = std::io::stderr().lock().write_all(printable_lines(text).as_bytes());
    } else {
        print(text);
    }
}
