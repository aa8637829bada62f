//! A [`RunResult`](crate::result::RunResult) as people and programs read it.
//!
//! `sections` turns a result into blocks (headings, sentences, tables, plots), `document` puts them in order, and
//! `terminal`, `markdown` and `html` write them: a section or a column is added in `sections` alone, and looks alike in all
//! three. CSV and JUnit have columns and test cases of their own; JSON is the result itself.
//!
//! There are two forms of a time. Tables and sentences here have three digits and a space, so that columns line up:
//! `1.20 s`, `240 ms`. Conditions, and findings of the service, keep the form of rule files and options, which can be
//! typed in again: `1.2s`, `240ms`. Programs get seconds as plain numbers.

mod block;
mod csv;
mod document;
mod escape;
mod html;
mod junit;
mod markdown;
mod plots;
mod sections;
mod terminal;
mod write;

pub(crate) use terminal::{render_comparison, render_result, render_verdict};
pub(crate) use write::{WriteError, check_writable, write_observations, write_outputs};

#[cfg(test)]
mod sample_tests;
