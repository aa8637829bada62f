//! `/performance/report`: the findings and numbers that matter, for programs, for people and for pull requests.
//!
//! [`document`] gathers one [`Report`]. JSON, HTML and Markdown are three ways to write it: [`tables`] builds each table
//! once and [`words`] writes each value once, for both of the latter. The invariant that a change could break: names of
//! routes, queries and tasks are data wherever they are written, never markup; [`markup`](crate::markup) is the only
//! way in.

#[cfg(all(test, feature = "report"))]
mod accessibility_tests;
mod document;
#[cfg(feature = "report")]
pub(super) mod finding;
pub(super) mod format;
pub(super) mod handler;
#[cfg(feature = "report")]
mod html;
#[cfg(feature = "report")]
mod markdown;
#[cfg(feature = "report")]
pub(super) mod plot;
#[cfg(feature = "report")]
pub(super) mod tables;
#[cfg(all(test, feature = "report"))]
mod tests;
#[cfg(all(feature = "archive", feature = "report"))]
mod versions;
#[cfg(feature = "report")]
pub(super) mod words;

/// What the parameter `format` may be, for messages.
pub(super) const FORMAT_NAMES: &str = format::Format::NAMES;
