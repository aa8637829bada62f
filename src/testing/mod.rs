//! Budgets and bottlenecks in your own `cargo test`.
//!
//! A [`Probe`] measures a router while a test sends it requests. The test then asserts, for each route, how many queries
//! one request may issue, how long it may take, and which share of that in the database; or that no rule finds a
//! bottleneck. An assertion that fails shows its evidence: the statement that was repeated, and how often.
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
//! Queries are those that [`track_db_query`](crate::track_db_query) or `SqlxLayer` record. A request counts once the body
//! of its response was read to its end; one that was dropped earlier counts as cancelled.

mod route;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use route::RouteProbe;

use crate::{
    Monitor, MonitorBuilder, MonitorLayer,
    rules::{Bottleneck, Evaluator, Measure, RuleSet, Scope, WindowReadings},
};

/// Requests of each route that are kept whole, to show what the worst one did: more than a test usually sends to one.
const KEPT: usize = 1000;

/// Measures a router in a test.
///
/// Each probe is a monitor of its own that changes nothing global: tests that run at the same time do not see each
/// other's requests.
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

    /// Returns a probe with settings of your own, such as your rules: `Monitor::builder().rules_dir("rules")`. The probe
    /// itself sets the intervals and how many slow requests are kept.
    ///
    /// # Panics
    ///
    /// Panics where a setting or a rule file is wrong, and outside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn with(builder: MonitorBuilder) -> Self {
        let quiet = builder.without_sampling().evaluation_interval(Duration::from_secs(60)).slow_requests(KEPT);
        match quiet.build() {
            Ok(monitor) => Self { monitor },
            Err(error) => panic!("the probe cannot be built: {}", chain(&error)),
        }
    }

    /// Returns the layer that measures; add it where the service adds its monitor's.
    #[must_use]
    pub fn layer(&self) -> MonitorLayer {
        self.monitor.layer()
    }

    /// Drops every request measured so far, for example those that filled a cache.
    pub fn clear(&self) {
        self.monitor.core().clear(Instant::now());
    }

    /// Returns what the requests of a route did, to compare with a budget. `endpoint` is method and route template:
    /// `GET /orders/{id}`.
    ///
    /// # Panics
    ///
    /// Panics where no request of that route was measured, and names the routes that were: an assertion about no request
    /// would always hold.
    #[must_use = "a route is compared with a budget by one of its methods"]
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
    /// Unlike in a running service, one request is enough for a finding, which need not last. Rules about what only load
    /// shows (rates, memory, file descriptors, scheduling lag) are skipped.
    ///
    /// # Panics
    ///
    /// Panics where a rule finds a bottleneck, with the evidence of each.
    #[track_caller]
    pub fn assert_no_bottlenecks(&self) {
        let core = self.monitor.core();
        let now = Instant::now();
        let window = core.total(now);
        let rules = for_few_requests(&core.rules_state().set);
        let readings = WindowReadings::new(rules.windows().into_iter().map(|length| (length, &window)));
        let found = Evaluator::new(rules.rules()).evaluate(&readings).into_iter().filter_map(|finding| {
            let (severity, threshold) = *finding.passed.last()?;
            Some(describe(&Bottleneck::new(&finding, severity, threshold, now)))
        });
        let found: Vec<String> = found.collect();
        assert!(found.is_empty(), "{} found:\n{}", bottlenecks(found.len()), found.join("\n"));
    }
}

/// Returns the rules that a few requests can be judged by, each with one sample as enough.
fn for_few_requests(rules: &RuleSet) -> RuleSet {
    rules.changed(|rule| {
        let needs_load = matches!(rule.measure, Measure::Rate | Measure::InFlight | Measure::TimeShare);
        if needs_load || matches!(rule.scope, Scope::Process | Scope::Metric | Scope::Slo) {
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

/// Returns an error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
