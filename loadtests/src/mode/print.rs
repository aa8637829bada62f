//! Standard output.

use std::io::Write as _;

use crate::printable::printable_lines;

/// Writes to standard output. A closed pipe, as in `loadtest | head`, is not an error: files are still written.
pub(super) fn print(text: &str) {
    _ = std::io::stdout().lock().write_all(printable_lines(text).as_bytes());
}
