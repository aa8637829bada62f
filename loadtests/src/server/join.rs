//! [`join`]: what users saw beside what the server saw.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    bottleneck::{Bottleneck, FiredBottleneck, LeftOut, LeftOutWhy},
    client::{EndpointFacts, ServerSnapshot},
    watch::WatchedRun,
};
use crate::record::Tally;

/// The server's side of a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ServerSide {
    /// Endpoints that both sides have, those with the most server time first.
    pub(crate) endpoints: Vec<ServerEndpoint>,
    /// What began to fire during the run and concerns what it called, the worst first.
    pub(crate) bottlenecks: Vec<FiredBottleneck>,
    /// What fired besides, and why it says nothing about the run.
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
}

/// Method and route template of an endpoint of the service.
type Route = (String, String);

/// One endpoint from both sides; times in seconds, shares in percent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct ServerEndpoint {
    /// Its method and the server's route.
    pub(crate) endpoint: String,
    /// Requests that users sent.
    pub(crate) client_requests: u64,
    /// Requests that ended at the server during the run, the warm-up's and other clients' included.
    pub(crate) server_requests: u64,
    pub(crate) client_avg: f64,
    pub(crate) server_avg: f64,
    /// What users waited beyond the server's time: queueing before the handler, and the network. In an open model the
    /// wait for a free user of the generator is part of `client_avg`, but not of this.
    pub(crate) outside_avg: f64,
    pub(crate) db_time_percent: f64,
    pub(crate) db_queries_per_request: f64,
    /// Share of the server's time spent computing.
    pub(crate) busy_percent: f64,
    /// Longest single poll since the service's start.
    pub(crate) longest_poll: Option<f64>,
}

/// Joins both sides. Where the server no longer answered at the end, no endpoint is joined.
pub(crate) fn join(tally: &Tally, run: WatchedRun) -> ServerSide {
    let WatchedRun { before, after, fired, earlier } = run;
    let after = after.as_ref().unwrap_or(&before);
    let mut endpoints: Vec<ServerEndpoint> =
        after.endpoints.iter().filter_map(|(route, end)| join_endpoint(tally, route, end, &before, after)).collect();
    // Where the server spent most of its time comes first.
    let time = |endpoint: &ServerEndpoint| endpoint.server_avg * endpoint.server_requests as f64;
    endpoints.sort_by(|a, b| time(b).total_cmp(&time(a)));
    let called = called_endpoints(tally, after);
    let (mut bottlenecks, others): (Vec<_>, Vec<_>) =
        fired.into_iter().partition(|fired| fired.bottleneck.concerns(&called));
    bottlenecks.sort_by_key(|fired| fired.bottleneck.severity_rank());
    let before = earlier.iter().map(|earlier| LeftOut::new(earlier, LeftOutWhy::BeganBefore));
    let elsewhere = others.iter().map(|fired| LeftOut::new(&fired.bottleneck, LeftOutWhy::NotCalled));
    ServerSide { endpoints, bottlenecks, left_out: before.chain(elsewhere).collect() }
}

/// Returns the bottlenecks that began after `earlier` was read and concern what a run called.
pub(crate) fn findings_of_run(
    mut bottlenecks: Vec<Bottleneck>,
    earlier: &[Bottleneck],
    tally: &Tally,
    snapshot: &ServerSnapshot,
) -> Vec<Bottleneck> {
    let called = called_endpoints(tally, snapshot);
    bottlenecks.retain(|bottleneck| {
        bottleneck.concerns(&called) && !earlier.iter().any(|earlier| bottleneck.continues(earlier))
    });
    bottlenecks
}

/// Returns the server's names of the endpoints that a run called, such as `GET /users/{id}`.
fn called_endpoints(tally: &Tally, snapshot: &ServerSnapshot) -> BTreeSet<String> {
    let called = tally.endpoints().iter().filter(|course| course.tally.count() > 0);
    let routes = called.filter_map(|course| best_route(&course.name.method, &course.route, snapshot));
    routes.map(|(method, route)| format!("{method} {route}")).collect()
}

/// Joins both sides of one route; `None` if either had no requests, or the server was restarted.
fn join_endpoint(
    tally: &Tally,
    (method, route): &Route,
    end: &EndpointFacts,
    before: &ServerSnapshot,
    after: &ServerSnapshot,
) -> Option<ServerEndpoint> {
    let start = before.endpoints.get(&(method.clone(), route.clone())).copied().unwrap_or_default();
    let delta = difference(&start, end)?;
    let (mut requests, mut seconds, mut since_sent) = (0, 0.0, 0.0);
    for course in tally.endpoints() {
        let served = best_route(&course.name.method, &course.route, after);
        if served.is_some_and(|(m, r)| m == method && r == route) {
            requests += course.tally.count();
            seconds += course.tally.ranked().sum_seconds();
            since_sent += course.tally.since_sent_seconds();
        }
    }
    if requests == 0 || delta.requests == 0.0 {
        return None;
    }
    let server_avg = delta.seconds / delta.requests;
    let share = |part: f64| if delta.seconds > 0.0 { round(part / delta.seconds * 100.0, 1e2) } else { 0.0 };
    Some(ServerEndpoint {
        endpoint: format!("{method} {route}"),
        client_requests: requests,
        server_requests: delta.requests as u64,
        client_avg: round(seconds / requests as f64, 1e6),
        server_avg: round(server_avg, 1e6),
        outside_avg: round((since_sent / requests as f64 - server_avg).max(0.0), 1e6),
        db_time_percent: share(delta.db_seconds),
        db_queries_per_request: round(delta.db_queries / delta.requests, 1e2),
        busy_percent: share(delta.busy_seconds),
        longest_poll: delta.longest_poll_seconds,
    })
}

/// Returns what happened between two snapshots; `None` if the server was restarted in between.
pub(super) fn difference(start: &EndpointFacts, end: &EndpointFacts) -> Option<EndpointFacts> {
    (end.requests >= start.requests).then(|| EndpointFacts {
        requests: end.requests - start.requests,
        seconds: (end.seconds - start.seconds).max(0.0),
        db_seconds: (end.db_seconds - start.db_seconds).max(0.0),
        db_queries: (end.db_queries - start.db_queries).max(0.0),
        busy_seconds: (end.busy_seconds - start.busy_seconds).max(0.0),
        longest_poll_seconds: end.longest_poll_seconds,
    })
}

/// Returns the server's route that a path belongs to: the one with the most segments in common.
fn best_route<'s>(method: &str, path: &str, snapshot: &'s ServerSnapshot) -> Option<(&'s String, &'s String)> {
    snapshot
        .endpoints
        .keys()
        .filter(|(known, _)| known == method)
        .filter_map(|(known, route)| Some((similarity(path, route)?, known, route)))
        .max_by_key(|(similarity, _, _)| *similarity)
        .map(|(_, known, route)| (known, route))
}

/// Returns how many segments are the same; `None` if the route does not match the path.
fn similarity(path: &str, route: &str) -> Option<usize> {
    let mut same = 0;
    let mut path = path.trim_matches('/').split('/');
    let mut route = route.trim_matches('/').split('/');
    loop {
        match (path.next(), route.next()) {
            (None, None) => return Some(same),
            (_, Some(wild)) if wild.starts_with("{*") || wild.starts_with('*') => return Some(same),
            (Some(text), Some(open)) if is_parameter(open, text) => {}
            (Some(a), Some(b)) if a == b => same += 1,
            _ => return None,
        }
    }
}

/// Whether a segment of a route takes any text, and this one too: `{id}` as of axum 0.8, `:id` as before, or `{name}.csv`.
fn is_parameter(segment: &str, text: &str) -> bool {
    if segment.starts_with(':') {
        return true;
    }
    let parts = segment.split_once('{').and_then(|(start, rest)| Some((start, rest.rsplit_once('}')?.1)));
    parts.is_some_and(|(start, end)| text.starts_with(start) && text.ends_with(end))
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{EndpointName, Outcome, Recorder, Sample};

    #[test]
    fn paths_find_their_routes() {
        let routes = ["/api/products/{id}", "/api/products/top", "/files/{*path}", "/"];
        let snapshot = ServerSnapshot {
            endpoints: routes.iter().map(|r| (("GET".to_owned(), (*r).to_owned()), EndpointFacts::default())).collect(),
            ..Default::default()
        };
        for (path, expected) in [
            ("/api/products/7", Some("/api/products/{id}")),
            ("/api/products/{product}", Some("/api/products/{id}")),
            ("/api/products/top", Some("/api/products/top")),
            ("/files/a/b", Some("/files/{*path}")),
            ("/", Some("/")),
            ("/api", None),
        ] {
            assert_eq!(best_route("GET", path, &snapshot).map(|(_, route)| route.as_str()), expected, "{path}");
        }
        assert_eq!(best_route("POST", "/", &snapshot), None);
    }

    #[test]
    fn routes_of_older_routers_are_found_too() {
        let routes = ["/users/:id", "/users/:id/orders/:order", "/users/me", "/files/*path", "/reports/{name}.csv"];
        let snapshot = ServerSnapshot {
            endpoints: routes.iter().map(|r| (("GET".to_owned(), (*r).to_owned()), EndpointFacts::default())).collect(),
            ..Default::default()
        };
        for (path, expected) in [
            ("/users/7", Some("/users/:id")),
            ("/users/{id}", Some("/users/:id")),
            ("/users/:id", Some("/users/:id")),
            ("/users/me", Some("/users/me")),
            ("/users/{user}/orders/{random}", Some("/users/:id/orders/:order")),
            ("/files/a/b", Some("/files/*path")),
            ("/reports/sales.csv", Some("/reports/{name}.csv")),
            ("/reports/sales.html", None),
            ("/users", None),
        ] {
            assert_eq!(best_route("GET", path, &snapshot).map(|(_, route)| route.as_str()), expected, "{path}");
        }
    }

    fn snapshot(requests: f64, seconds: f64) -> ServerSnapshot {
        let facts =
            EndpointFacts { requests, seconds, db_seconds: seconds / 2.0, db_queries: requests, ..Default::default() };
        ServerSnapshot { endpoints: [(("GET".to_owned(), "/a/{id}".to_owned()), facts)].into(), ..Default::default() }
    }

    /// One request that took 30 ms since it was due.
    fn tally(since_sent: Option<Duration>) -> Tally {
        let recorder = Recorder::new(1);
        let id = recorder.endpoint(EndpointName::new("GET", "/a/{x}"), "/a/{x}");
        recorder.record(
            recorder.shard(0),
            Sample {
                endpoint: id,
                outcome: Outcome::Success,
                latency: Duration::from_millis(30),
                service: since_sent,
                first_byte: None,
                status: Some(200),
                bytes: 0,
                decoded_bytes: None,
                after_end: false,
                never_sent: false,
                exhausted: None,
                failure: None,
            },
        );
        let mut tally = Tally::default();
        tally.drain(&recorder, 1.0, 1.0);
        tally
    }

    fn watched(before: ServerSnapshot, after: ServerSnapshot) -> WatchedRun {
        WatchedRun { before, after: Some(after), fired: Vec::new(), earlier: Vec::new() }
    }

    #[test]
    fn what_began_before_or_concerns_others_is_left_out() {
        let bottleneck = |kind: &str, endpoints: &[&str]| Bottleneck {
            kind: kind.to_owned(),
            subject: endpoints.first().copied().unwrap_or("process").to_owned(),
            affected_endpoints: endpoints.iter().map(|name| (*name).to_owned()).collect(),
            ..Bottleneck::default()
        };
        let fired = |bottleneck| FiredBottleneck { first_seen: Some(3.0), bottleneck };
        let mut run = watched(snapshot(10.0, 1.0), snapshot(11.0, 1.01));
        run.fired =
            ["/a/{id}", "/elsewhere"].map(|path| fired(bottleneck("slow_endpoint", &[&format!("GET {path}")]))).into();
        run.fired.push(fired(bottleneck("memory_leak", &[])));
        run.earlier = vec![bottleneck("n_plus_one", &["GET /a/{id}"])];
        let side = join(&tally(None), run);
        let kept: Vec<&str> = side.bottlenecks.iter().map(|fired| fired.bottleneck.subject.as_str()).collect();
        assert_eq!(kept, ["GET /a/{id}", "process"]);
        let left_out: Vec<_> = side.left_out.iter().map(|left| (left.subject.as_str(), left.why)).collect();
        assert_eq!(left_out, [("GET /a/{id}", LeftOutWhy::BeganBefore), ("GET /elsewhere", LeftOutWhy::NotCalled)]);
    }

    #[test]
    fn waiting_for_a_free_user_is_not_waiting_outside() {
        let tally = tally(Some(Duration::from_millis(13)));
        let side = join(&tally, watched(snapshot(10.0, 1.0), snapshot(11.0, 1.01)));
        assert_eq!((side.endpoints[0].client_avg, side.endpoints[0].outside_avg), (0.03, 0.003));
    }

    #[test]
    fn waiting_outside_is_what_the_server_did_not_see() {
        let tally = tally(None);
        let side = join(&tally, watched(snapshot(10.0, 1.0), snapshot(11.0, 1.01)));
        let [endpoint] = side.endpoints.as_slice() else { panic!("one endpoint") };
        assert_eq!((endpoint.client_requests, endpoint.server_requests), (1, 1));
        assert!((endpoint.outside_avg - 0.02).abs() < 1e-6);
        assert!((endpoint.db_time_percent - 50.0).abs() < 0.01);
        let restarted = join(&tally, watched(snapshot(10.0, 1.0), snapshot(1.0, 0.1)));
        assert!(restarted.endpoints.is_empty());
    }
}
