//! A [`RunResult`](crate::result::RunResult) as people and programs read it: terminal, HTML, Markdown, CSV, JUnit.

mod csv;
mod html;
mod junit;
mod markdown;
mod sections;
mod svg;
mod table;
mod verdict;
mod write;

pub(crate) use sections::{render_comparison, render_profile};
pub(crate) use table::render_table;
pub(crate) use verdict::render_verdict;
pub(crate) use write::{WriteError, check_writable, write_outputs, write_watch};

#[cfg(test)]
mod sample_tests;
