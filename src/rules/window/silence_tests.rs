//! What a rule misses although it judges something; the other reasons are tested through `/performance/rules`.

use super::{readings_tests::*, silence::Sources};
use crate::{
    rules::{Coverage, fixed},
    store::Window,
};

/// What is said about the rule on failing queries that judges one query.
fn said(window: &Window, sqlx_queries: u64) -> Option<String> {
    let rules = fixed::load(
        "rules:\n  - id: failing\n    scope: query\n    measure: error_ratio\n    thresholds: { high: '> 1%' }\n    description: x\n",
    );
    let sources = Sources {
        measuring: true,
        sampling: true,
        total: window,
        metrics: &[],
        sqlx_queries,
        sqlx_problem: None,
        memory: None,
        not_compared: None,
    };
    let coverage = Coverage { measured: 1, chosen: 1, judged: 1, most_samples: 100 };
    sources.silence(&rules.rules()[0], coverage)
}

#[test]
fn errors_that_sqlx_does_not_report_are_missed_and_said_to_be() {
    let traffic = Traffic::new();
    traffic.query("/a", "SELECT good", 50, 1, 0.001);
    let reason = said(&traffic.window(), 50).expect("blind");
    assert!(reason.contains("sqlx does not say whether a query failed"), "{reason}");
    assert_eq!(said(&traffic.window(), 0), None, "all of them are tracked by hand");
    traffic.failed_query("/stock", "UPDATE stock", 0.001, 1);
    assert_eq!(said(&traffic.window(), 50), None, "others can fail, and did");
}
