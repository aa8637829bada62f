//! Writing the result into files.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use thiserror::Error;

use super::{csv, html, junit, markdown};
use crate::{
    cli::{OutputFile, OutputFormat},
    result::RunResult,
    server::Observation,
};

/// A file that cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Tries to open each file, so that a wrong path is an error before the test and not after it.
///
/// An existing file keeps its content until the result replaces it; a new one is removed again.
///
/// # Errors
///
/// [`WriteError`] for the first file that cannot be opened.
pub(crate) fn check_writable(outputs: &[OutputFile]) -> Result<(), WriteError> {
    for output in outputs.iter().filter(|output| !output.is_standard_output()) {
        let path = &output.path;
        let existed = path.exists();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| WriteError { path: path.clone(), source })?;
        if !existed {
            // An empty file that cannot be removed does no harm: the result overwrites it.
            _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes the result in each format that was asked for.
///
/// # Errors
///
/// The first [`WriteError`], after all files were tried.
pub(crate) fn write_outputs(outputs: &[OutputFile], result: &RunResult) -> Result<(), WriteError> {
    write_all(outputs, |format| match format {
        OutputFormat::Json => serde_json::to_string_pretty(result).expect("the result has string keys only") + "\n",
        OutputFormat::Csv => csv::render(result),
        OutputFormat::Html => html::render(result),
        OutputFormat::Markdown => markdown::render(result),
        OutputFormat::Junit => junit::render(result),
    })
}

/// Writes what the monitor mode observed, as CSV or JSON.
///
/// # Errors
///
/// The first [`WriteError`], after all files were tried.
pub(crate) fn write_observations(outputs: &[OutputFile], observations: &[Observation]) -> Result<(), WriteError> {
    write_all(outputs, |format| match format {
        OutputFormat::Csv => csv::render_observations(observations),
        _ => serde_json::to_string_pretty(observations).expect("an observation has string keys only") + "\n",
    })
}

fn write_all(outputs: &[OutputFile], text: impl Fn(OutputFormat) -> String) -> Result<(), WriteError> {
    let mut first = Ok(());
    for output in outputs {
        let (path, text) = (&output.path, text(output.format));
        let written = if output.is_standard_output() {
            let mut out = std::io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                // The reader, such as `head`, has seen enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            }
        } else {
            std::fs::write(path, text)
        };
        first = first.and(written.map_err(|source| WriteError { path: path.clone(), source }));
    }
    first
}
