//! The demo: a small shop with real performance faults ("sicknesses"), and the monitor inside.
//!
//! Owns everything that `pinchpoint demo` starts. Each [`Sickness`](sickness::Sickness) has one place in the routes,
//! does real work there, and is switched off by one flag. Nothing in the shop sleeps to look slow; what it depends on (the
//! list server, the carrier, the archive's drive) does. The shop uses the monitor as any service would: a layer, a router,
//! and the trackers.
//!
//! [`shop`] and [`routes`] import each other on purpose: the shop holds what routes share, and some of it (the cache of
//! recommendations, the settings, the carrier's prices) belongs to the route that fills it; [`sizing`] tries the routes' own queries for the shop.

mod archive;
mod background;
mod carrier;
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
