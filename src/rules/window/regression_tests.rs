//! What endpoints have is theirs or the service's, and the facts about both versions.

use super::*;
use crate::{
    analysis::{LatencyHistogram, RouteLatency, VersionSnapshot, compare},
    names,
};

/// Returns a thousand requests that are spread evenly from `low` seconds to twice of that, beside some that failed.
fn route(route: &str, low: f64, failed: u64) -> RouteLatency {
    let edge = |step: u32| low * f64::from(20 + step) / 20.0;
    let latency = LatencyHistogram {
        sum_seconds: 1500.0 * low,
        min_seconds: low,
        max_seconds: 2.0 * low,
        buckets: (0..20).map(|step| (edge(step), edge(step + 1), 50).into()).collect(),
    };
    RouteLatency { method: "GET".into(), route: route.into(), latency, failed, refused: 0 }
}

fn version(name: &str, routes: Vec<RouteLatency>) -> VersionSnapshot {
    VersionSnapshot::new("shop", name, "", routes).expect("buckets are in order")
}

fn regression(before: Vec<RouteLatency>, after: Vec<RouteLatency>) -> Regression {
    let names = VersionNames {
        previous: "1.0".to_owned(),
        previous_until: "2026-01-01T00:00:00Z".to_owned(),
        version: "1.1".to_owned(),
        since: "2026-01-01T00:10:00Z".to_owned(),
    };
    let comparison = compare(&version("1.0", before), &version("1.1", after));
    Regression::of(names, Duration::from_secs(3600), comparison, None)
}

/// Returns two versions, the newer of which takes so many times as long on each route.
pub(crate) fn worse(factors: &[(&str, f64)]) -> Regression {
    let routes =
        |factor: &dyn Fn(f64) -> f64| factors.iter().map(|(name, of)| route(name, 0.1 * factor(*of), 3)).collect();
    regression(routes(&|_| 1.0), routes(&|factor| factor))
}

fn question(scope: Scope, measure: Measure) -> Question<'static> {
    Question { scope, measure, window: Duration::ZERO, min_samples: 300, at_least: None, metric: None }
}

/// Asserts which subjects are slower by a quarter or more.
#[track_caller]
fn check(factors: &[(&str, f64)], expected: &[&str]) {
    let regression = worse(factors);
    let read = |scope| regression.read(&Question { at_least: Some(0.25), ..question(scope, Measure::VersionSlowdown) });
    let found: Vec<_> = [Scope::Process, Scope::Endpoint].into_iter().flat_map(read).collect();
    let mut found: Vec<_> = found.iter().map(|reading| &*reading.subject.name).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{factors:?}");
}

#[test]
fn what_at_least_half_of_the_endpoints_have_the_service_has_too() {
    check(&[("/a", 1.0), ("/b", 1.0), ("/c", 1.0)], &[]);
    check(&[("/a", 1.6), ("/b", 1.0), ("/c", 1.0)], &["GET /a"]);
    check(&[("/a", 1.6), ("/b", 1.6)], &["GET /a", "GET /b"]);
    check(&[("/a", 1.6), ("/b", 1.6), ("/c", 1.0)], &["GET /a", "GET /b"]);
    check(&[("/a", 1.6), ("/b", 1.6), ("/c", 1.6)], &["GET /a", "GET /b", "GET /c", "process"]);
    let half = [("/a", 1.6), ("/b", 1.6), ("/c", 1.6), ("/d", 1.0), ("/e", 1.0), ("/f", 1.0)];
    check(&half, &["GET /a", "GET /b", "GET /c", "process"]);
    check(&[("/a", 0.5), ("/b", 0.5), ("/c", 0.5), ("/d", 1.6)], &["GET /d"]);
    check(&[("/a", 1.2), ("/b", 1.2), ("/c", 1.2), ("/d", 1.35)], &["GET /d"]);
}

#[test]
fn an_endpoint_needs_enough_requests_in_both_versions() {
    let few = |route: RouteLatency| {
        let buckets = route.latency.buckets.iter().map(|bucket| (bucket.from_seconds, bucket.to_seconds, 5).into());
        RouteLatency { latency: LatencyHistogram { buckets: buckets.collect(), ..route.latency.clone() }, ..route }
    };
    let regression = regression(vec![route("/a", 0.1, 0)], vec![few(route("/a", 0.9, 0))]);
    let read = |min_samples| {
        let question = Question { min_samples, ..question(Scope::Endpoint, Measure::VersionSlowdown) };
        regression.read(&question).iter().map(|reading| reading.samples).collect::<Vec<_>>()
    };
    assert_eq!((read(100), read(101)), (vec![100], vec![]));
    let process = regression.read(&question(Scope::Process, Measure::VersionSlowdown));
    assert_eq!(process, [], "too few to speak for the service");
}

#[test]
fn more_errors_are_found_whatever_the_speed_does() {
    let routes = |low, failed| vec![route("/a", low, failed), route("/b", 0.1, 3)];
    let regression = regression(routes(0.1, 3), routes(0.05, 200));
    let found =
        regression.read(&Question { at_least: Some(0.1), ..question(Scope::Endpoint, Measure::VersionErrorRise) });
    assert_eq!(found.iter().map(|reading| &*reading.subject.name).collect::<Vec<_>>(), ["GET /a"]);
    assert!((0.13..0.17).contains(&found[0].value), "{found:?}");
    assert_eq!((found[0].samples, found[0].span), (1003, Some(Duration::from_secs(3600))));
    assert_eq!(found[0].subject.label(names::ROUTE), Some("/a"));
}

#[test]
fn facts_name_both_versions_their_requests_and_their_times() {
    let regression = worse(&[("/a", 1.6), ("/b", 1.0)]);
    let facts = regression.facts(Scope::Endpoint, &endpoint_subject("GET", "/a"));
    let word = |name: &str| {
        facts.iter().find_map(|(known, fact)| match fact {
            Fact::Word(word) if *known == name => Some(&**word),
            _ => None,
        })
    };
    assert_eq!((word("previous_version"), word("version")), (Some("1.0"), Some("1.1")));
    assert_eq!(word("previous_until"), Some("2026-01-01T00:00:00Z"));
    assert_eq!(word("version_since"), Some("2026-01-01T00:10:00Z"));
    let number = |name: &str| {
        facts.iter().find_map(|(known, fact)| match fact {
            Fact::Number(number, _) if *known == name => Some(*number),
            _ => None,
        })
    };
    assert_eq!((number("previous_requests"), number("version_requests")), (Some(1003.0), Some(1003.0)));
    let ratio = number("version_p50_duration").expect("enough") / number("previous_p50_duration").expect("enough");
    assert!((ratio - 1.6).abs() < 0.01, "{ratio}");
    assert_eq!(regression.facts(Scope::Endpoint, &endpoint_subject("GET", "/other")).len(), 0);
}
