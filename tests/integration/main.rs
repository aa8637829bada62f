//! Behaviour through the public API: a real router, a monitor of its own for each test.

mod http;
mod support;
