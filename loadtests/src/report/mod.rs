//! A [`RunResult`](crate::result::RunResult) as people and programs read it.
//!
//! `sections` turns a result into blocks (headings, sentences, tables, plots), `document` puts them in order, and
//! `terminal`, `markdown` and `html` write them: a section or a column is added in `sections` alone, and looks alike in all
//! three. CSV and JUnit have columns and test cases of their own; JSON is the result itself.

mod csv;
mod document;
mod escape;
mod html;
mod junit;
mod markdown;
mod plots;
mod sections;
mod svg;
mod table;
mod terminal;
mod write;

pub(crate) use terminal::{render_comparison, render_result, render_verdict};
pub(crate) use write::{WriteError, check_writable, write_observations, write_outputs};

#[cfg(test)]
mod sample_tests;
