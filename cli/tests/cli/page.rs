//! The pages in a real browser: the live page, the report, the form to log in, and the page of a load test.
//!
//! Each test has a Chromium of its own, and they run one after another: a browser needs a core. What none of the pages may do is in
//! [`audit`]: log, ask another site, be unreadable for somebody, or be wider than a phone.

mod audit;
mod browser;
mod live;
mod login;
mod npm;
mod report;
mod script;
mod service;

use tokio::sync::{Mutex, MutexGuard};

/// Held by a test while its browser runs.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
