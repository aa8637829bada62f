//! `--output`: a file whose suffix names the format, or `-` for JSON on standard output.
//!
//! A new format is a variant here, a module in `report`, and a line in `report/write.rs`.

use std::{path::PathBuf, str::FromStr};

use thiserror::Error;

/// The name of standard output.
const STANDARD_OUTPUT: &str = "-";

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Everything, for programs.
    Json,
    /// A line for each endpoint, for spreadsheets.
    Csv,
    /// A page with plots.
    Html,
    /// Text with tables.
    Markdown,
    /// A test case for each condition, in the format that CI systems read.
    Junit,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputFile {
    /// Its path.
    pub(crate) path: PathBuf,
    /// What is written into it.
    pub(crate) format: OutputFormat,
}

impl OutputFile {
    /// Whether it is standard output, on which then nothing else is written.
    pub(crate) fn is_standard_output(&self) -> bool {
        self.path.as_os_str() == STANDARD_OUTPUT
    }
}

/// A file name without a known suffix.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "unknown format of \"{0}\"; its name must end in .json, .csv, .html, .md or .xml (JUnit), or be - for JSON on standard output"
)]
pub(crate) struct OutputError(String);

impl FromStr for OutputFile {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
        if text == STANDARD_OUTPUT {
            return Ok(Self { path, format: OutputFormat::Json });
        }
        let format = match suffix.as_deref() {
            Some("json") => OutputFormat::Json,
            Some("csv") => OutputFormat::Csv,
            Some("html" | "htm") => OutputFormat::Html,
            Some("md" | "markdown") => OutputFormat::Markdown,
            Some("xml") => OutputFormat::Junit,
            _ => return Err(OutputError(text.to_owned())),
        };
        Ok(Self { path, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffix_is_the_format() {
        for (text, format) in [
            ("a.json", OutputFormat::Json),
            ("b/c.CSV", OutputFormat::Csv),
            ("a.html", OutputFormat::Html),
            ("a.md", OutputFormat::Markdown),
            ("a.b.xml", OutputFormat::Junit),
            ("-", OutputFormat::Json),
        ] {
            assert_eq!(text.parse::<OutputFile>().map(|file| file.format), Ok(format));
        }
        for text in ["results", "results.yaml", "", ".json/x"] {
            assert!(text.parse::<OutputFile>().is_err(), "{text}");
        }
    }
}
