//! [`Pairs`]: what an endpoint does with a statement, in PromQL.

use super::query::{Query, one_route};
use crate::{
    names::{self, Metric},
    rules::Scope,
};

/// The pairs of an endpoint and a statement that it issues.
pub(super) struct Pairs<'a> {
    query: &'a Query<'a>,
    endpoint: String,
    labels: String,
}

impl<'a> Pairs<'a> {
    pub(super) fn of(query: &'a Query<'a>) -> Self {
        let endpoint = Query { scope: Scope::Endpoint, ..query.clone() }.labels();
        let labels = format!("{endpoint}, {}", names::DB_QUERY_ID);
        Self { query, endpoint, labels }
    }

    pub(super) fn rate(&self, metric: &Metric) -> String {
        let Query { window, .. } = self.query;
        format!("sum by ({}) (rate({}{}[{window}]))", self.labels, metric.name, self.query.matchers(&one_route()))
    }

    /// Returns a duration of the pair's endpoint, beside each of its pairs.
    pub(super) fn of_endpoint(&self, histogram: &Metric) -> String {
        let endpoint = Query { scope: Scope::Endpoint, matchers: &[], ..self.query.clone() };
        format!("on ({}) group_left () {}", self.endpoint, endpoint.sum_rate(histogram, &[]))
    }

    /// Returns it of the endpoints with enough requests.
    pub(super) fn calls_per_request(&self) -> String {
        let Query { window, min_samples, .. } = self.query;
        let (name, matchers) = (names::ENDPOINT_QUERY_REQUESTS.name, self.query.matchers(&one_route()));
        let requests = format!("sum by ({}) (increase({name}{matchers}[{window}]))", self.labels);
        let (calls, each) = (self.rate(&names::ENDPOINT_QUERY_CALLS), self.rate(&names::ENDPOINT_QUERY_REQUESTS));
        format!("{calls} / {each} and {requests} >= {min_samples}")
    }

    /// Returns the time that requests spend in the statement. Statements that run at once divide their common time in proportion
    /// to their own.
    pub(super) fn time(&self) -> String {
        let own = self.rate(&names::ENDPOINT_QUERY_SECONDS);
        let Query { window, .. } = self.query;
        let all = format!("sum by ({}) (rate({}[{window}]))", self.endpoint, names::ENDPOINT_QUERY_SECONDS.name);
        let of_all = format!("{own} / on ({}) group_left () {all}", self.endpoint);
        let within = format!("{of_all} * {}", self.of_endpoint(&names::HTTP_DB_SECONDS));
        format!("(({within}) <= {own} or {own})")
    }

    /// Returns a value on the endpoint that issues the statement most often per request.
    pub(super) fn of_worst(&self, value: &str) -> String {
        let (labels, calls) = (self.query.labels(), self.calls_per_request());
        format!(
            "max by ({labels}) (({value}) and (({calls}) == on ({labels}) group_left () max by ({labels}) ({calls})))"
        )
    }
}
