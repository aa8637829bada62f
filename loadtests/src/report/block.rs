//! [`Block`]: a part of a report, before it is written for the terminal, as Markdown or as HTML.

use pinchpoint::markup::{Table, Tone};

use super::plots::Plot;
use crate::printable::printable_line;

/// A part of a report.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// What the run was and how it ended.
    Title(String, Tone),
    /// The name of a section.
    Heading(String),
    /// A sentence.
    Text(String),
    /// A sentence that makes the rest of the report doubtful.
    Warning(String),
    /// A sentence on how to read the table above.
    Note(String),
    Table(Table),
    /// The run in a few large numbers. Only the page has them.
    Tiles(Table),
    /// A bottleneck that the service reported.
    Finding(Finding),
    /// Plots under a heading of their own, if they have one. Only the page has them.
    Plots(Option<String>, Vec<Plot>),
}

impl Block {
    /// Returns the block with texts that each are one line and control nothing: parts of responses, and what the service
    /// says of itself, are in them.
    pub(super) fn printable(self) -> Self {
        let line = |text: String| printable_line(&text);
        match self {
            Self::Title(text, tone) => Self::Title(line(text), tone),
            Self::Heading(text) => Self::Heading(line(text)),
            Self::Text(text) => Self::Text(line(text)),
            Self::Warning(text) => Self::Warning(line(text)),
            Self::Note(text) => Self::Note(line(text)),
            Self::Table(table) => Self::Table(table.map_text(printable_line)),
            Self::Tiles(table) => Self::Tiles(table.map_text(printable_line)),
            Self::Finding(Finding { name, severity, detail, text, advice }) => Self::Finding(Finding {
                severity: line(severity),
                name: line(name),
                detail: line(detail),
                text: line(text),
                advice: advice.into_iter().map(line).collect(),
            }),
            Self::Plots(heading, mut plots) => {
                for plot in &mut plots {
                    plot.title = line(std::mem::take(&mut plot.title));
                }
                Self::Plots(heading.map(line), plots)
            }
        }
    }
}

/// A bottleneck with its advice.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) severity: String,
    /// Severity, and when it was first seen.
    pub(super) detail: String,
    pub(super) text: String,
    pub(super) advice: Vec<String>,
}
