//! Whether sqlx's events reach [`SqlxLayer`](crate::SqlxLayer), and if not, why.
//!
//! A layer cannot see what other parts of its subscriber hide from it, and a service whose log shows errors only would
//! never show a warning. So the state can be asked for: `/performance/status` and the report show it.

use std::sync::{
    Once,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use tracing::{Level, level_filters::STATIC_MAX_LEVEL};

/// Requests after which an absence of queries is worth a word.
const REQUESTS: u64 = 1_000;

/// Whether a layer is part of a subscriber. Relaxed, as the count: each is read for its own value.
static INSTALLED: AtomicBool = AtomicBool::new(false);
static SEEN: AtomicU64 = AtomicU64::new(0);

/// What keeps sqlx's events from the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// No subscriber has the layer.
    NoLayer,
    /// The crate `tracing` was compiled without events of their level.
    CompiledAway,
    /// A filter of the whole subscriber.
    Filtered,
    /// None that can be seen, and yet there were no events.
    Unknown,
}

/// Notes that a layer is part of a subscriber.
pub(crate) fn installed() {
    INSTALLED.store(true, Relaxed);
}

pub(crate) fn is_installed() -> bool {
    INSTALLED.load(Relaxed)
}

/// Counts an event.
pub(crate) fn count() {
    SEEN.fetch_add(1, Relaxed);
}

/// Returns how many events of queries layers have seen, in the whole process.
pub(crate) fn seen() -> u64 {
    SEEN.load(Relaxed)
}

/// Returns whether the subscriber of this thread lets events pass that sqlx emits at its usual level.
fn are_enabled() -> bool {
    // The same target as sqlx's, as text: the macro needs a literal.
    tracing::enabled!(target: "sqlx::query", Level::DEBUG)
}

fn obstacle(requests: u64) -> Option<Obstacle> {
    if seen() > 0 {
        return None;
    }
    match (is_installed(), STATIC_MAX_LEVEL >= Level::DEBUG) {
        (false, _) => Some(Obstacle::NoLayer).filter(|_| requests >= REQUESTS),
        (true, false) => Some(Obstacle::CompiledAway),
        (true, true) if !are_enabled() => Some(Obstacle::Filtered),
        (true, true) => Some(Obstacle::Unknown).filter(|_| requests >= REQUESTS),
    }
}

/// Returns what keeps sqlx's events from the layer, and what to do; `None` where nothing does as far as can be seen.
/// `requests` is how many were measured.
pub(crate) fn problem(requests: u64) -> Option<String> {
    obstacle(requests).map(|obstacle| sentence(obstacle, requests))
}

fn sentence(obstacle: Obstacle, requests: u64) -> String {
    let lines = "registry().with(fmt::layer().with_filter(filter)).with(SqlxLayer::new()).init()";
    match obstacle {
        Obstacle::NoLayer => format!(
            "{requests} requests were measured, and no subscriber has a SqlxLayer: queries made through sqlx are not seen. \
             Add one: {lines}"
        ),
        Obstacle::CompiledAway => format!(
            "This build has no events of sqlx: the crate tracing was compiled with a maximum level of {STATIC_MAX_LEVEL} \
             (its features max_level_… and, in release builds, release_max_level_…), and sqlx logs queries at DEBUG. Remove \
             that feature, or have sqlx log at a level that is left: ConnectOptions::log_statements(LevelFilter::Info)"
        ),
        Obstacle::Filtered => format!(
            "A filter or a maximum level of the whole subscriber hides sqlx's events (target sqlx::query, level DEBUG) from \
             SqlxLayer. Give the filter to the layer that it is meant for: {lines}"
        ),
        Obstacle::Unknown => format!(
            "{requests} requests were measured without one event of sqlx. Either they make no queries through sqlx, or its \
             statement log is off or below DEBUG (ConnectOptions::log_statements, disable_statement_logging)"
        ),
    }
}

/// Logs once what keeps the events away, when the first request begins.
pub(super) fn warn_once() {
    static ONCE: Once = Once::new();
    if ONCE.is_completed() {
        return;
    }
    ONCE.call_once(|| {
        if let Some(problem) = problem(0) {
            tracing::warn!("{problem}");
        }
    });
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, registry};

    use super::*;
    use crate::SqlxLayer;

    /// Returns whether sqlx's events pass a subscriber.
    fn pass(subscriber: impl tracing::Subscriber + Send + Sync) -> bool {
        tracing::subscriber::with_default(subscriber, are_enabled)
    }

    #[test]
    fn a_filter_of_the_whole_subscriber_is_judged_by_what_it_hides() {
        // The other layer is there, or the filter alone would decide nothing.
        let filtered = |filter: &str| pass(registry().with(EnvFilter::new(filter)).with(SqlxLayer::new()));
        for hides in ["info", "error", "trace,sqlx=warn", "sqlx::query=info,debug", "off"] {
            assert!(!filtered(hides), "{hides}");
        }
        for passes in ["debug", "trace", "info,sqlx=debug", "off,sqlx::query=trace"] {
            assert!(filtered(passes), "{passes}");
        }
        assert!(!pass(registry().with(LevelFilter::INFO).with(SqlxLayer::new())));
        assert!(pass(registry().with(fmt::layer().with_filter(EnvFilter::new("info"))).with(SqlxLayer::new())));
    }

    #[test]
    fn fmts_own_subscriber_takes_the_layer() {
        assert!(!pass(fmt().finish().with(SqlxLayer::new())), "its maximum level is INFO");
        assert!(pass(fmt().with_max_level(Level::DEBUG).finish().with(SqlxLayer::new())));
        assert!(!pass(fmt().with_env_filter("debug,sqlx=warn").finish().with(SqlxLayer::new())));
        assert!(!pass(fmt().finish().with(LevelFilter::TRACE).with(SqlxLayer::new())));
        // With another layer between the two.
        assert!(pass(fmt().with_max_level(Level::TRACE).finish().with(fmt::layer()).with(SqlxLayer::new())));
    }

    #[test]
    fn each_obstacle_comes_with_what_to_do() {
        for obstacle in [Obstacle::NoLayer, Obstacle::Filtered] {
            assert!(sentence(obstacle, 1_000).contains(".with(SqlxLayer::new()).init()"));
        }
        assert!(sentence(Obstacle::CompiledAway, 0).contains("log_statements"));
        assert!(sentence(Obstacle::Unknown, 1_234).starts_with("1234 requests were measured without one event"));
    }
}
