//! The parts that pages are written with.

pub(super) use crate::api::report::page::Page as Html;
pub(super) use crate::api::report::words::{NOTHING, count, duration, percent};
