//! The demo: a small shop that is really sick, with the monitor inside.
//!
//! Owns everything that `pinchpoint demo` starts. Each [`Sickness`](sickness::Sickness) has one place in the routes,
//! does real work there, and is switched off by one flag. The shop knows the monitor only as any user's service would:
//! a layer, a router, and the trackers.

mod background;
mod failure;
mod list_server;
mod mail;
mod password;
mod photo;
mod routes;
mod run;
mod seed;
mod shop;
pub(crate) mod sickness;
mod sizing;
#[cfg(test)]
mod tests;
mod traffic;
mod watch;
mod welcome;

pub(crate) use run::run;
