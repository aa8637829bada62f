//! The parts that every page is made of: the report, the live page and the page of the load tester.
//!
//! Not part of the public API: it is public for the load tester of this repository alone, and changes without notice.
//!
//! [`Html`] is HTML being written, [`Table`] and [`Chart`] are built once and written by each writer, [`numbers`] has the one
//! way of writing numbers, and [`STYLE`] the one style sheet. The parts know nothing of what they show. The invariants that a
//! change could break: names are data wherever they are written, never markup, and nothing carries a style or a script of its
//! own, so that a page may forbid both (`default-src 'none'; style-src 'self'`).

mod axis;
mod cell;
mod chart;
#[cfg(test)]
mod chart_tests;
mod escape;
mod html;
pub mod numbers;
mod plot;
mod table;

pub use axis::XAxis;
pub use cell::{Cell, Tone};
pub use chart::{Band, Chart, Level, Line, Mark, MarkKind, Stroke};
pub(crate) use escape::{code, escaped};
pub use html::Html;
#[cfg(feature = "page")]
pub(crate) use plot::curve_only;
pub(crate) use plot::{LIMIT_IN_SIGHT, LogAxis, TimeAxis, curve, level, share, sparkline};
pub use table::{Align, Column, Order, Table};

/// The style sheet of all pages, in light and dark and for print. Its names are classes only.
pub const STYLE: &str = include_str!("style.css");
