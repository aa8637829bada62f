//! Budgets and bottlenecks in your own `cargo test`.
//!
//! A [`Probe`] measures a router while a test sends it requests, and then answers for each route: how many queries one
//! request may issue, how long it may take, which share of that in the database; or whether any rule finds a bottleneck
//! at all. An assertion that fails shows what it rests on: the statement that was repeated, and how often.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use pinchpoint::{testing::Probe, track_db_query};
//! use tower::ServiceExt as _;
//!
//! # async fn fetch() -> Result<(), std::io::Error> { Ok(()) }
//! fn app() -> Router {
//!     Router::new().route(
//!         "/orders/{id}",
//!         get(|| async {
//!             track_db_query("SELECT * FROM orders WHERE id = ?", fetch()).await.ok();
//!             track_db_query("SELECT * FROM items WHERE order_id = ?", fetch()).await.ok();
//!         }),
//!     )
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! // #[tokio::test]
//! # async fn main() {
//! let probe = Probe::new();
//! let app = app().layer(probe.layer());
//! let request = Request::get("/orders/7").body(Body::empty()).expect("a request");
//! app.oneshot(request).await.expect("a router never fails");
//!
//! probe.route("GET /orders/{id}").max_queries(2).max_calls_of_a_query(1);
//! probe.assert_no_bottlenecks();
//! # }
//! ```
//!
//! Queries are those that [`track_db_query`](crate::track_db_query) or `SqlxLayer` tell of. A request counts when its
//! response's body was read to its end; one that was dropped before counts as cancelled.

mod route;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use route::RouteProbe;

use crate::{
    Monitor, MonitorBuilder, MonitorLayer,
    rules::{Bottleneck, Evaluator, Measure, RuleSet, Scope, WindowReadings},
};

/// Requests of each route that are kept whole, to show what the worst one did.
const KEPT: usize = 1000;

/// Measures a router in a test.
///
/// Each probe is a monitor of its own, known to nothing else in the process: tests that run at the same time do not see
/// each other.
#[derive(Clone)]
pub struct Probe {
    monitor: Monitor,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Default for Probe {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl Probe {
    /// Returns a probe with the default rules.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime: use `#[tokio::test]`.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self::with(Monitor::builder())
    }

    /// Returns a probe with settings of your own, say your own rules: `Monitor::builder().rules_dir("rules")`.
    ///
    /// # Panics
    ///
    /// Panics where the settings are wrong, and outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn with(builder: MonitorBuilder) -> Self {
        let quiet = builder.without_sampling().evaluation_interval(Duration::from_secs(60)).slow_requests(KEPT);
        match quiet.build() {
            Ok(monitor) => Self { monitor },
            Err(error) => panic!("the probe cannot be built: {}", chain(&error)),
        }
    }

    /// Returns the layer that measures; add it as the service adds its monitor's.
    #[must_use]
    pub fn layer(&self) -> MonitorLayer {
        self.monitor.layer()
    }

    /// Forgets every request so far, say those that filled a cache.
    pub fn clear(&self) {
        self.monitor.core().clear(Instant::now());
    }

    /// Returns what the requests of a route did, to be held against a budget. `endpoint` is method and route template:
    /// `GET /orders/{id}`.
    ///
    /// # Panics
    ///
    /// Panics where no request of that route was measured, and names the routes that were: a budget that nothing is held
    /// against is no test.
    #[must_use = "a route is held against a budget by one of its methods"]
    #[track_caller]
    pub fn route(&self, endpoint: &str) -> RouteProbe {
        let core = self.monitor.core();
        let window = core.total(Instant::now());
        match RouteProbe::of(endpoint, &window, core.instruments()) {
            Ok(route) => route,
            Err(measured) if measured.is_empty() => panic!(
                "no request of {endpoint} was measured, nor of any other route; is the probe's layer on the router?"
            ),
            Err(measured) => {
                panic!("no request of {endpoint} was measured; those that were:\n  {}", measured.join("\n  "))
            }
        }
    }

    /// Asserts that no rule finds a bottleneck in the requests so far.
    ///
    /// Unlike in a running service one request is enough for a finding, and it need not last. What only load shows (rates,
    /// memory, file descriptors, scheduling lag) is not looked at.
    ///
    /// # Panics
    ///
    /// Panics where a rule finds something, with the evidence of each finding.
    #[track_caller]
    pub fn assert_no_bottlenecks(&self) {
        let core = self.monitor.core();
        let now = Instant::now();
        let window = core.total(now);
        let rules = for_few_requests(&core.rules_state().set);
        let readings = WindowReadings::new(rules.windows().into_iter().map(|length| (length, &window)));
        let told = Evaluator::new(rules.rules()).evaluate(&readings).into_iter().filter_map(|finding| {
            let (severity, threshold) = *finding.passed.last()?;
            Some(describe(&Bottleneck::new(&finding, severity, threshold, now)))
        });
        let told: Vec<String> = told.collect();
        assert!(told.is_empty(), "{} found:\n{}", bottlenecks(told.len()), told.join("\n"));
    }
}

/// The rules that a few requests can be judged by, each content with one.
fn for_few_requests(rules: &RuleSet) -> RuleSet {
    rules.changed(|rule| {
        let needs_load = matches!(rule.measure, Measure::Rate | Measure::InFlight | Measure::TimeShare);
        if needs_load || matches!(rule.scope, Scope::Process | Scope::Metric) {
            return None;
        }
        let mut rule = rule.clone();
        rule.min_samples = 1;
        Some(rule)
    })
}

fn describe(bottleneck: &Bottleneck) -> String {
    let mut text = format!("- {} ({}): {}", bottleneck.rule.id, bottleneck.severity, bottleneck.description);
    text += &format!("\n    {}", bottleneck.impact);
    for advice in bottleneck.recommendations.iter().take(2) {
        text += &format!("\n    {advice}");
    }
    text
}

fn bottlenecks(count: usize) -> String {
    format!("{count} bottleneck{}", if count == 1 { "" } else { "s" })
}

/// An error with everything that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
