//! Writing the result into files.

use crate::result::RunResult;
use std::fs::OpenOptions;
use std::path::PathBuf;

use thiserror::Error;

use super::{csv, html, junit, markdown};
use crate::cli::{OutputFile, OutputFormat};
use crate::server::Observation;

/// A file that cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {path}")]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Tries to open each file, so that a wrong path is an error before the test and not after it.
///
/// A file that is there keeps its content until the result replaces it; one that was not is taken away again.
pub(crate) fn check_writable(outputs: &[OutputFile]) -> Result<(), WriteError> {
    for OutputFile { path, .. } in outputs {
        let existed = path.exists();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| WriteError { path: path.clone(), source })?;
        if !existed {
            // Best effort: an empty file left behind is overwritten at the end.
            _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes the result in each format that was asked for; tries all files and returns the first error.
pub(crate) fn write_outputs(outputs: &[OutputFile], result: &RunResult) -> Result<(), WriteError> {
    let mut first = Ok(());
    for OutputFile { path, format } in outputs {
        let text = match format {
            OutputFormat::Json => serde_json::to_string_pretty(result).expect("the result has string keys only") + "\n",
            OutputFormat::Csv => csv::render(result),
            OutputFormat::Html => html::render(result),
            OutputFormat::Markdown => markdown::render(result),
            OutputFormat::Junit => junit::render(result),
        };
        let written = std::fs::write(path, text).map_err(|source| WriteError { path: path.clone(), source });
        first = first.and(written);
    }
    first
}

/// Writes what a watch saw.
pub(crate) fn write_watch(outputs: &[OutputFile], looks: &[Observation]) -> Result<(), WriteError> {
    let mut first = Ok(());
    for OutputFile { path, format } in outputs {
        let text = match format {
            OutputFormat::Csv => csv::render_watch(looks),
            _ => serde_json::to_string_pretty(looks).expect("a look has string keys only") + "\n",
        };
        let written = std::fs::write(path, text).map_err(|source| WriteError { path: path.clone(), source });
        first = first.and(written);
    }
    first
}
