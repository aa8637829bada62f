//! The demo: a small shop with real performance faults ("sicknesses"), and the monitor inside.
//!
//! Owns everything that `pinchpoint demo` starts. Each [`Sickness`](sickness::Sickness) has one place in the routes,
//! does real work there (nothing sleeps to look slow), and is switched off by one flag. The shop uses the monitor as
//! any service would: a layer, a router, and the trackers.
//!
//! [`shop`] and [`routes`] import each other on purpose: the shop holds what routes share, and some of it (the cache of
//! recommendations, the settings) belongs to the route that fills it; [`sizing`] tries the routes' own queries for the shop.

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
