//! The page: `GET /performance`, live.
//!
//! It is written on the server and complete without its script, which only asks for it again at each evaluation. [`place`] reads what an
//! address means and writes addresses; [`handler`] answers with what is on the [`shelf`], where each page is written once for all who look;
//! [`views`] says what is written how. The invariants that a change could break: names are data, never markup, since [`html`] is the only
//! way in; nothing on the page is inline, so that its policy can forbid that; and what it costs does not grow with those who look.

pub(super) mod assets;
mod charts;
mod findings;
pub(super) mod handler;
mod html;
mod list;
mod lists;
mod monitor;
mod overview;
mod place;
mod problems;
mod rows;
mod rules;
mod shelf;
mod shell;
mod sight;
mod subjects;
mod views;

pub(super) use assets::{script, style};
pub(super) use handler::{index, view};
pub(super) use place::PARAMETERS;
pub(super) use shelf::Shelf;
