//! [`VersionGauges`]: this version of the service beside the one before as gauges: what the rules on versions read.
//!
//! Invariant: the number of series is bounded, however many endpoints are worse, and without a version before there are none.

use std::{collections::BTreeMap, time::Duration};

use super::current_gauges::{CurrentGauges, Labels};
use crate::{
    context::DynRecorder,
    names::{self, Metric},
    rules::{Measure, Question, Reading, Regression, Scope, Subject},
};

/// Endpoints that are shown: those that are worse by the most.
const SHOWN: usize = 50;

/// The gauges of the service and of its endpoints.
pub(super) struct VersionGauges {
    service: ScopeGauges,
    endpoints: ScopeGauges,
}

/// The gauges of one scope.
struct ScopeGauges {
    scope: Scope,
    slowdown: CurrentGauges,
    error_rise: CurrentGauges,
    requests: CurrentGauges,
}

impl VersionGauges {
    pub(super) fn new(recorder: &DynRecorder) -> Self {
        let gauges = |scope, [slowdown, error_rise, requests]: [&'static Metric; 3]| {
            let gauges = |metric| CurrentGauges::new(recorder.clone(), metric);
            ScopeGauges {
                scope,
                slowdown: gauges(slowdown),
                error_rise: gauges(error_rise),
                requests: gauges(requests),
            }
        };
        let service = [&names::VERSION_SLOWDOWN, &names::VERSION_ERROR_RISE, &names::VERSION_REQUESTS];
        let endpoints =
            [&names::ENDPOINT_VERSION_SLOWDOWN, &names::ENDPOINT_VERSION_ERROR_RISE, &names::ENDPOINT_VERSION_REQUESTS];
        Self { service: gauges(Scope::Process, service), endpoints: gauges(Scope::Endpoint, endpoints) }
    }

    /// Shows this comparison and no other; nothing where there is none.
    pub(super) fn show(&mut self, regression: Option<&Regression>) {
        self.service.show(regression);
        self.endpoints.show(regression);
    }
}

impl ScopeGauges {
    fn show(&mut self, regression: Option<&Regression>) {
        let read = |measure| regression.map_or_else(Vec::new, |regression| shown(regression, self.scope, measure));
        let (slower, failing) = (read(Measure::VersionSlowdown), read(Measure::VersionErrorRise));
        let requests: BTreeMap<Labels, u64> =
            slower.iter().chain(&failing).map(|reading| (labels(&reading.subject), reading.samples)).collect();
        let values = |readings: Vec<Reading>| {
            readings.into_iter().map(|reading| (labels(&reading.subject), reading.value)).collect::<Vec<_>>()
        };
        self.slowdown.show(values(slower));
        self.error_rise.show(values(failing));
        self.requests.show(requests.into_iter().map(|(labels, requests)| (labels, requests as f64)));
    }
}

/// Returns what the rules of a scope read: of the endpoints those that are worse, by the most first.
fn shown(regression: &Regression, scope: Scope, measure: Measure) -> Vec<Reading> {
    let all = Question { scope, measure, window: Duration::ZERO, min_samples: 0, at_least: None, metric: None };
    let mut readings = regression.read(&all);
    if scope == Scope::Endpoint {
        readings.retain(|reading| reading.value > 0.0);
        readings.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| a.subject.name.cmp(&b.subject.name)));
        readings.truncate(SHOWN);
    }
    readings
}

fn labels(subject: &Subject) -> Labels {
    let value = |name| Some((name, subject.labels.iter().find(|(other, _)| other == name)?.1.clone()));
    [names::METHOD, names::ROUTE].into_iter().filter_map(value).collect()
}

#[cfg(all(test, feature = "archive"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{rules::worse_version, store::MonitorRecorder};

    fn gauges() -> (MonitorRecorder, VersionGauges) {
        let recorder = MonitorRecorder::new(1000, Vec::new());
        let gauges = VersionGauges::new(&(Arc::new(recorder.clone()) as DynRecorder));
        (recorder, gauges)
    }

    /// Returns the series of a metric with their values, sorted.
    fn lines(recorder: &MonitorRecorder, metric: &Metric) -> Vec<(String, f64)> {
        let page = recorder.render();
        let lines = page.lines().filter_map(|line| line.strip_prefix(metric.name)?.rsplit_once(' '));
        lines.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
    }

    #[test]
    fn what_is_worse_is_shown_and_gone_with_the_comparison() {
        let (recorder, mut gauges) = gauges();
        gauges.show(None);
        assert!(!recorder.render().contains("_version_"), "without a version before there is nothing");
        gauges.show(Some(&worse_version(&[("/a", 1.0), ("/b", 1.0), ("/c", 2.0)])));
        assert_eq!(lines(&recorder, &names::VERSION_SLOWDOWN), [(String::new(), 0.0)]);
        assert_eq!(lines(&recorder, &names::VERSION_REQUESTS), [(String::new(), 3009.0)]);
        let slower = lines(&recorder, &names::ENDPOINT_VERSION_SLOWDOWN);
        let labels = "{http_request_method=\"GET\",http_route=\"/c\"}";
        assert!(slower.len() == 1 && slower[0].0 == labels && (0.9..1.0).contains(&slower[0].1), "{slower:?}");
        assert_eq!(lines(&recorder, &names::ENDPOINT_VERSION_REQUESTS), [(labels.to_owned(), 1003.0)]);
        assert_eq!(lines(&recorder, &names::ENDPOINT_VERSION_ERROR_RISE), []);
        gauges.show(Some(&worse_version(&[("/a", 1.0), ("/b", 1.0), ("/c", 1.0)])));
        assert!(lines(&recorder, &names::ENDPOINT_VERSION_SLOWDOWN)[0].1.is_nan(), "it is over");
        assert_eq!(lines(&recorder, &names::VERSION_SLOWDOWN), [(String::new(), 0.0)]);
        gauges.show(None);
        assert!(lines(&recorder, &names::VERSION_SLOWDOWN)[0].1.is_nan(), "there is no comparison any more");
    }

    #[test]
    fn the_endpoints_that_are_worse_by_the_most_are_shown() {
        let (recorder, mut gauges) = gauges();
        // Fewer than half of the endpoints are slower: it is not the service.
        let routes: Vec<(String, f64)> =
            (0..200).map(|route| (format!("/{route}"), 1.0 + f64::from((route - 110_i32).max(0)) / 10.0)).collect();
        gauges
            .show(Some(&worse_version(&routes.iter().map(|(route, factor)| (&**route, *factor)).collect::<Vec<_>>())));
        let slower = lines(&recorder, &names::ENDPOINT_VERSION_SLOWDOWN);
        assert_eq!((slower.len(), lines(&recorder, &names::ENDPOINT_VERSION_REQUESTS).len()), (SHOWN, SHOWN));
        let has = |route: usize| slower.iter().any(|(labels, _)| labels.contains(&format!("\"/{route}\"")));
        assert!(has(199) && has(150) && !has(149));
        assert_eq!(lines(&recorder, &names::VERSION_SLOWDOWN), [(String::new(), 0.0)]);
    }
}
