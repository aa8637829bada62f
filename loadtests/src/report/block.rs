//! [`Block`]: a part of a report, before it is written for the terminal, as Markdown or as HTML.

use super::{
    svg::Plot,
    table::{Table, Tone},
};

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
    /// A bottleneck that the service reported.
    Finding(Finding),
    /// Plots under a heading of their own, if they have one. Only the page has them.
    Plots(Option<String>, Vec<Plot>),
}

/// A bottleneck with its advice.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) name: String,
    /// Severity, and when it was first seen.
    pub(super) detail: String,
    pub(super) text: String,
    pub(super) advice: Vec<String>,
}
