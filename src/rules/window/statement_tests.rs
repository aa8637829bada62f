//! Statements in windows: series name them by id, rules and evidence by text.

use super::readings_tests::{LENGTH, Traffic, check, question};
use crate::{
    context::{Glob, Part},
    names,
    rules::{
        readings::{Question, Readings},
        rule::{LabelGlobs, MetricSelector},
        window::WindowReadings,
        *,
    },
};

/// Returns the labels of a statement's durations.
pub(super) fn of_statement(id: &str) -> [(&'static str, &str); 4] {
    let named = [(names::DB_SUMMARY, "SELECT t"), (names::DB_QUERY_ID, id)];
    [(names::DB_SYSTEM, "sqlite"), (names::DB_OPERATION, "SELECT"), named[0], named[1]]
}

impl Traffic {
    /// Shows the text of a statement, and returns its id.
    pub(super) fn statement(&self, text: &str) -> String {
        let id = format!("id of {text}");
        self.set(&names::DB_QUERY_INFO, &[(names::DB_QUERY_ID, &id), (names::DB_QUERY_TEXT, text)], 1.0);
        id
    }

    /// Records a query that requests of an endpoint issue, one call after another.
    pub(super) fn query(&self, route: &str, query: &str, requests: u64, calls_per_request: u64, seconds: f64) -> &Self {
        self.query_at_once(route, query, requests, calls_per_request, seconds, 1)
    }

    /// Records a query of which `at_once` calls run side by side in each request.
    pub(super) fn query_at_once(
        &self,
        route: &str,
        query: &str,
        requests: u64,
        each: u64,
        seconds: f64,
        at_once: u64,
    ) -> &Self {
        let calls = requests * each;
        let id = self.statement(query);
        self.observe(&names::DB_DURATION, &of_statement(&id), seconds, calls as usize);
        self.observe(&names::QUERY_AT_ONCE, &[(names::DB_QUERY_ID, &id)], 2.0, 1);
        let kind = (names::WAIT_KIND, Part::Db.label());
        let labels = [(names::METHOD, "GET"), (names::ROUTE, route), kind, (names::WAIT_NAME, id.as_str())];
        let nanos = (calls as f64 * seconds * 1e9) as u64;
        self.count(&names::ENDPOINT_USE_CALLS, &labels, calls);
        self.count(&names::ENDPOINT_USE_NANOS, &labels, nanos);
        self.count(&names::ENDPOINT_USE_ALONE_NANOS, &labels, nanos / at_once);
        self.count(&names::ENDPOINT_USE_REQUESTS, &labels, requests);
        let within = each as f64 * seconds / at_once as f64;
        self.part(route, Part::Db, requests as f64 * within);
        self.of_endpoint(&names::HTTP_DB_QUERIES, route, each as f64, requests as usize);
        self.of_endpoint(&names::HTTP_DB_SECONDS, route, within, requests as usize)
    }

    pub(super) fn failed_query(&self, route: &str, query: &str, seconds: f64, times: usize) -> &Self {
        let kind = (names::WAIT_KIND, Part::Db.label());
        let id = self.statement(query);
        let labels = [(names::METHOD, "GET"), (names::ROUTE, route), kind, (names::WAIT_NAME, id.as_str())];
        self.count(&names::ENDPOINT_USE_FAILED, &labels, times as u64);
        let labels = [(names::DB_QUERY_ID, id.as_str()), (names::ERROR_TYPE, names::ERROR)];
        self.observe(&names::DB_DURATION, &labels, seconds, times)
    }
}

#[test]
fn a_rule_matches_the_text_of_a_statement_that_its_series_name_by_id() {
    let traffic = Traffic::new();
    traffic.query("/a", "SELECT a FROM orders", 5, 1, 0.1).query("/a", "SELECT a FROM users", 5, 1, 0.2);
    let window = traffic.window();
    check(&window, Scope::Query, Measure::AvgDuration, "SELECT a FROM orders", Some((0.1, 5)));
    let readings = WindowReadings::new([(LENGTH, &window)]);
    let of_metric = |matches: &[(&str, &str)], by: &[&str]| {
        let globs = matches.iter().map(|(label, pattern)| ((*label).into(), Glob::new(pattern))).collect();
        let by = by.iter().map(|label| (*label).into()).collect();
        let metric = MetricSelector { name: names::DB_DURATION.name.into(), matches: LabelGlobs(globs), by };
        let mut found = readings.read(&Question { metric: Some(&metric), ..question(Scope::Metric, Measure::Max) });
        found.sort_by(|one, other| one.subject.name.cmp(&other.subject.name));
        found.into_iter().map(|reading| (reading.subject.name.to_string(), reading.samples)).collect::<Vec<_>>()
    };
    let text = [(names::DB_QUERY_TEXT, "* FROM orders")];
    assert_eq!(of_metric(&text, &[]), [(names::DB_DURATION.name.to_owned(), 5)]);
    let named = |label: &str, value: &str| (format!("{}{{{label}={value:?}}}", names::DB_DURATION.name), 5);
    assert_eq!(of_metric(&text, &[names::DB_QUERY_ID]), [named(names::DB_QUERY_ID, "id of SELECT a FROM orders")]);
    let each = ["SELECT a FROM orders", "SELECT a FROM users"].map(|text| named(names::DB_QUERY_TEXT, text));
    assert_eq!(of_metric(&[], &[names::DB_QUERY_TEXT]), each);
}

/// As where `max_series` left room for the durations and none for the text.
#[test]
fn a_statement_without_a_text_is_its_id() {
    let traffic = Traffic::new();
    traffic.observe(&names::DB_DURATION, &of_statement("00c0ffee00c0ffee"), 0.1, 5);
    traffic.observe(&names::DB_DURATION, &of_statement(names::OTHER), 9.0, 5);
    let window = traffic.window();
    check(&window, Scope::Query, Measure::AvgDuration, "00c0ffee00c0ffee", Some((0.1, 5)));
    check(&window, Scope::Query, Measure::AvgDuration, names::OTHER, None);
}
