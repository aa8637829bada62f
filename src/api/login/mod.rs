//! Logging in with a token that reads: a form for browsers, and the cookie that it sets.
//!
//! [`gate`] answers a browser without credentials with the form, [`handler`] takes what the form sends, [`cookie`] proves that a
//! browser once sent a right token, and [`place`] is where it wanted to go. The invariants that a change could break: the cookie
//! reads and never controls, it reveals no token, and a form never leads to another site.

mod cookie;
mod form;
pub(super) mod gate;
pub(super) mod handler;
mod place;
