//! Behaviour through the public API: a real router, a monitor of its own for each test.

mod api;
mod control;
mod dependencies;
mod evidence;
mod http;
mod lifetime;
mod packaging;
mod postgres;
mod prometheus;
mod reference;
mod reload;
mod report;
mod support;
mod testing;
mod tidy;
mod trends;
