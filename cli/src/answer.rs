//! Answers on standard output.

use std::io::{self, Write};

/// Writes an answer, with one line feed at its end.
///
/// # Errors
/// Returns an error when `out` cannot be written. A closed pipe is no error: its reader has read enough.
pub(crate) fn write(answer: &str, out: &mut impl Write) -> io::Result<()> {
    match writeln!(out, "{}", answer.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
