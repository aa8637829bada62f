//! A real Prometheus beside the process while findings begin and end: both fire for the same subjects, and at the same times.
//!
//! The windows are short, so that a course of traffic takes less than a minute. Both are asked of Prometheus, which scrapes what fires in
//! the process: thus both have the same clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::get,
};
use pinchpoint::{Monitor, RuleSet, export, track_wait};
use tokio::time::{Instant, interval, sleep, sleep_until};
use tower::ServiceExt as _;

use crate::support::{
    built,
    prometheus::{Prometheus, find},
    serve,
};

/// A finding needs a quarter of its window: of 10 requests of 100 ms among 40 the mean is above 20 ms.
const RULES: &str = r#"
x-all: &all { window: 8s, min_samples: 10, for: 1s, keep_firing_for: 1s, description: "{subject}", impact: "{value}" }

rules:
  - { <<: *all, id: slow, scope: endpoint, measure: own_avg_duration, thresholds: { high: "> 20ms" } }
  - { <<: *all, id: failing, scope: endpoint, measure: error_ratio, thresholds: { high: "> 25%" } }
"#;
/// How far apart a beginning or an end may be: the window is 8 s, a course changes once in ten seconds or more, and the judges look
/// at what is half a second old.
const APART: f64 = 4.0;
/// Apart beside a restart: Prometheus goes on with what its window has, and the process begins anew.
const RESTART: f64 = 8.0 + APART;

/// Seconds from the start in which requests come, and what they ask for: milliseconds, or to fail.
type Course = &'static [(u64, u64, &'static str)];

const SLOW: &str = "?100";
const FAST: &str = "?0";
const BROKEN: &str = "?broken";

/// Each with its route, and how often it must fire.
const COURSES: &[(&str, Course, usize)] = &[
    ("/always", &[(0, 50, SLOW)], 1),
    ("/never", &[(0, 50, FAST)], 0),
    ("/step", &[(0, 12, FAST), (12, 28, SLOW), (28, 50, FAST)], 1),
    ("/spike", &[(0, 20, FAST), (20, 21, SLOW), (21, 50, FAST)], 0),
    ("/gap", &[(0, 12, SLOW), (30, 44, SLOW)], 2),
    ("/late", &[(15, 32, SLOW)], 1),
    ("/gone", &[(0, 15, SLOW)], 1),
    ("/failing", &[(0, 10, FAST), (10, 25, BROKEN), (25, 50, FAST)], 1),
];
/// Of the service that is started again after 22 s.
const AGAIN: &[(&str, Course, usize)] = &[
    ("/well", &[(0, 50, FAST)], 0),
    ("/ill", &[(0, 50, SLOW)], 1),
    ("/recovered", &[(0, 22, SLOW), (22, 50, FAST)], 1),
];
const RESTARTED: u64 = 22;
/// Seconds in which nothing of that service answers, its metrics neither.
const DOWN: u64 = 2;
const END: u64 = 50;

/// A service that can be replaced while it is asked.
type Service = Arc<Mutex<Router>>;

async fn replaceable(State(service): State<Service>, request: Request<Body>) -> Response {
    let now = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
    now.oneshot(request).await.into_response()
}

async fn started(service: &Service) -> SocketAddr {
    serve(Router::new().fallback(replaceable).with_state(service.clone())).await
}

/// A process of the service: a monitor of its own, with new counters.
fn process(rules: &Path, courses: &[(&'static str, Course, usize)]) -> Router {
    let monitor = built(Monitor::builder().rules_dir(rules).evaluation_interval(Duration::from_millis(500)));
    let work = |uri: Uri| async move {
        match uri.query().unwrap_or_default() {
            "broken" => StatusCode::INTERNAL_SERVER_ERROR,
            milliseconds => {
                let milliseconds = milliseconds.parse().expect("a number");
                track_wait("lock", "ledger", sleep(Duration::from_millis(milliseconds))).await;
                StatusCode::OK
            }
        }
    };
    let routes = courses.iter().fold(Router::new(), |app, (route, ..)| app.route(route, get(work)));
    routes.layer(monitor.layer()).merge(monitor.router())
}

/// Makes the requests of a course, five a second.
async fn visit(address: SocketAddr, route: &'static str, course: Course, began: Instant) {
    let client = reqwest::Client::new();
    for (from, to, asked) in course {
        sleep_until(began + Duration::from_secs(*from)).await;
        let mut beat = interval(Duration::from_millis(200));
        while began.elapsed() < Duration::from_secs(*to) {
            beat.tick().await;
            let _ = client.get(format!("http://{address}{route}{asked}")).send().await;
        }
    }
}

/// When something fired, from and to, in seconds of the Unix epoch.
type Spells = BTreeMap<(String, String, String), Vec<(f64, f64)>>;

async fn spells(prometheus: &Prometheus, query: &str, from: f64, to: f64) -> Spells {
    const STEP: f64 = 0.5;
    let (from, to) = (from.to_string(), to.to_string());
    let parameters = [("query", query), ("start", &*from), ("end", &*to), ("step", "0.5")];
    let answer = prometheus.get("/api/v1/query_range", &parameters).await.expect("an answer");
    let mut all = Spells::new();
    for series in answer["data"]["result"].as_array().expect("series") {
        let text = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        let spells = all.entry((text("instance"), text("rule"), text("subject"))).or_default();
        for value in series["values"].as_array().expect("values") {
            let at = value[0].as_f64().expect("a time");
            match spells.last_mut() {
                Some((_, last)) if at - *last < 2.0 * STEP => *last = at,
                _ => spells.push((at, at)),
            }
        }
    }
    all
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_fires_when_the_process_does() {
    let Some(program) = find("prometheus") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("rules");
    std::fs::create_dir(&rules).expect("writes");
    std::fs::write(rules.join("rules.yaml"), RULES).expect("writes");
    let exported = export::prometheus(&RuleSet::load_dir(&rules).expect("good rules"), export::Histograms::Classic);
    let file = directory.path().join("pinchpoint.rules.yml");
    std::fs::write(&file, exported.file).expect("writes");

    let steady = started(&Service::new(Mutex::new(process(&rules, COURSES)))).await;
    let service = Service::new(Mutex::new(process(&rules, AGAIN)));
    let again = started(&service).await;
    let targets = [steady, again].map(|address| address.to_string());
    let configuration = format!(
        "global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}\nrule_files: [{file:?}]\n\
         scrape_configs: [{{ job_name: shop, static_configs: [{{ targets: {targets:?} }}] }}]\n"
    );
    let prometheus = Prometheus::start(&program, &configuration, &[]);
    prometheus.settles("count(up == 1)", 2.0).await;

    let (began, from) = (Instant::now(), now());
    let of_both =
        || [(steady, COURSES), (again, AGAIN)].into_iter().flat_map(|(at, all)| all.iter().map(move |one| (at, one)));
    let visitors: Vec<_> =
        of_both().map(|(address, (route, course, _))| tokio::spawn(visit(address, route, course, began))).collect();
    let replace = |process| *service.lock().unwrap_or_else(PoisonError::into_inner) = process;
    sleep_until(began + Duration::from_secs(RESTARTED)).await;
    replace(Router::new());
    sleep_until(began + Duration::from_secs(RESTARTED + DOWN)).await;
    replace(process(&rules, AGAIN));
    sleep_until(began + Duration::from_secs(END)).await;
    for visitor in visitors {
        visitor.await.expect("no panic");
    }

    let to = now();
    let inside = spells(&prometheus, "pinchpoint_bottleneck == 1", from, to).await;
    let outside = spells(&prometheus, "ALERTS{alertstate=\"firing\"}", from, to).await;
    let restarted = from + (RESTARTED + DOWN) as f64;
    let known: BTreeSet<_> = inside.keys().chain(outside.keys()).collect();
    let mut differences = Vec::new();
    let of = |spells: &Spells, key| spells.get(key).cloned().unwrap_or_default();
    for key in known {
        let (inside, outside) = (of(&inside, key), of(&outside, key));
        let is_restarted = key.0 == again.to_string();
        // The process forgets at a restart what it found, and Prometheus does not: there one spell may be two.
        let (inside, outside) = if is_restarted { (joined(inside), joined(outside)) } else { (inside, outside) };
        let is_near = |a: f64, b: f64| {
            let apart = if is_restarted && (a.min(b) - restarted).abs() < RESTART { RESTART } else { APART };
            (a - b).abs() <= apart
        };
        let agree = inside.len() == outside.len()
            && inside.iter().zip(&outside).all(|(a, b)| is_near(a.0, b.0) && is_near(a.1, b.1));
        if !agree {
            let since = |spells: Vec<(f64, f64)>| spells.iter().map(|(a, b)| (a - from, b - from)).collect::<Vec<_>>();
            differences.push(format!("{key:?}: {:?} in the process, {:?} outside", since(inside), since(outside)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    for (address, (route, _, times)) in of_both() {
        let is_own = |key: &&(String, String, String)| key.0 == address.to_string() && key.2 == format!("GET {route}");
        let fired: Vec<_> = inside.keys().filter(is_own).flat_map(|key| of(&inside, key)).collect();
        let fired = if address == again { joined(fired) } else { fired };
        assert_eq!(fired.len(), *times, "{route}: {fired:?}");
    }
}

/// Joins spells that are closer than a window and a restart.
fn joined(spells: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    spells.into_iter().fold(Vec::new(), |mut joined: Vec<(f64, f64)>, (from, to)| {
        match joined.last_mut() {
            Some((_, last)) if from - *last < RESTART + DOWN as f64 => *last = to,
            _ => joined.push((from, to)),
        }
        joined
    })
}
