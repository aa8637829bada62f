//! Tests of behaviour through the public API. Each test drives a real router with a monitor of its own.

mod api;
mod blocking;
mod calls;
mod control;
mod counters;
mod dependencies;
mod evidence;
mod holders;
mod http;
mod lifetime;
mod names;
mod openapi;
mod packaging;
mod parameters;
mod parts;
mod pools;
mod postgres;
mod prometheus;
mod reference;
mod reload;
mod report;
mod silence;
mod support;
mod testing;
mod tidy;
mod trends;
