//! Standard output.

use std::io::Write as _;

/// Writes to standard output. A closed pipe, as in `loadtest | head`, is not an error: files are still written.
pub(super) fn print(text: &str) {
    _ = std::io::stdout().lock().write_all(text.as_bytes());
}
