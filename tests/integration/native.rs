//! The protobuf format and its native histograms: decoded with message types of their own, and scraped by a real Prometheus
//! beside the two formats of lines.

use std::{collections::BTreeSet, convert::Infallible, process::Command};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    routing::get,
};
use http_body_util::BodyExt as _;
use pinchpoint::{Monitor, track_async_task, track_db_query};
use prost::Message as _;
use tower::ServiceExt as _;

use crate::support::{
    Samples, monitor,
    prometheus::{Labels, Prometheus, find, parsed},
    serve,
};

const TEXT: &str = "text/plain;version=0.0.4";
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// The messages of prometheus/client_model that the tests read.
mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct MetricFamily {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) help: String,
        /// 0 a counter, 1 a gauge, 4 a histogram.
        #[prost(int32, tag = "3")]
        pub(super) kind: i32,
        #[prost(message, repeated, tag = "4")]
        pub(super) metric: Vec<Metric>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<Label>,
        #[prost(message, optional, tag = "2")]
        pub(super) gauge: Option<Number>,
        #[prost(message, optional, tag = "3")]
        pub(super) counter: Option<Number>,
        #[prost(message, optional, tag = "7")]
        pub(super) histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Number {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub(super) schema: i32,
        #[prost(double, tag = "6")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "12")]
        pub(super) span: Vec<Span>,
        #[prost(sint64, repeated, tag = "13")]
        pub(super) delta: Vec<i64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Bucket {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) edge: f64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    impl Histogram {
        /// Returns the native buckets, by number.
        pub(super) fn buckets(&self) -> Vec<(i32, i64)> {
            let (mut key, mut count, mut deltas) = (0, 0, self.delta.iter());
            let mut buckets = Vec::new();
            for span in &self.span {
                key += span.offset;
                for _ in 0..span.length {
                    count += deltas.next().expect("a count for each bucket");
                    buckets.push((key, count));
                    key += 1;
                }
            }
            assert_eq!(deltas.next(), None, "no count without a bucket");
            buckets
        }
    }
}

async fn scrape(app: &Router, accept: &str) -> Vec<u8> {
    let request = Request::builder().uri("/metrics").header(header::ACCEPT, accept).body(Body::empty());
    let response = app.clone().oneshot(request.expect("a request")).await.expect("a router never fails");
    response.into_body().collect().await.expect("a whole body").to_bytes().to_vec()
}

async fn families(app: &Router) -> Vec<message::MetricFamily> {
    let page = scrape(app, PROTOBUF).await;
    let mut rest = &*page;
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(message::MetricFamily::decode_length_delimited(&mut rest).expect("a whole message"));
    }
    families
}

/// Returns the samples of a page as the formats of lines have them, with the labels that Prometheus would give them.
fn samples(families: &[message::MetricFamily]) -> Vec<(Labels, f64)> {
    let mut samples = Vec::new();
    for family in families {
        for metric in &family.metric {
            let mut add = |suffix: &str, edge: Option<f64>, value: f64| {
                let labels = metric.label.iter().filter(|label| !label.value.is_empty());
                let labels = labels.map(|label| (label.name.clone(), label.value.clone()));
                let own = [("__name__".to_owned(), format!("{}{suffix}", family.name))];
                let edge = edge.map(|edge| ("le".to_owned(), canonical(edge)));
                samples.push((labels.chain(own).chain(edge).collect(), value));
            };
            match (family.kind, &metric.counter, &metric.gauge, &metric.histogram) {
                (0, Some(number), None, None) | (1, None, Some(number), None) => add("", None, number.value),
                (4, None, None, Some(histogram)) => {
                    histogram.bucket.iter().for_each(|one| add("_bucket", Some(one.edge), one.count as f64));
                    add("_sum", None, histogram.sum);
                    add("_count", None, histogram.count as f64);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    samples
}

/// Spells an edge as Prometheus does for one that it reads in protobuf; enough for those of the test.
fn canonical(edge: f64) -> String {
    match edge {
        f64::INFINITY => "+Inf".to_owned(),
        _ if edge >= 1e6 => format!("{edge:e}").replace('e', "e+0"),
        _ if edge.fract() == 0.0 => format!("{edge}.0"),
        _ => edge.to_string(),
    }
}

/// A service whose requests make series of an endpoint, a statement and a task.
pub(crate) fn app(monitor: &Monitor) -> Router {
    let user = async || {
        let _ = track_db_query("SELECT name FROM users WHERE id = 7", async { Ok::<_, Infallible>(()) }).await;
        let _ = track_async_task("greet", async { Ok::<_, Infallible>(()) }).await;
        axum::Json("ok")
    };
    Router::new().route("/users/{id}", get(user)).layer(monitor.layer()).merge(monitor.router())
}

#[tokio::test]
async fn protobuf_has_the_samples_of_the_text_format() {
    let monitor = monitor();
    let app = app(&monitor);
    for path in ["/users/1", "/none"] {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        let answer = app.clone().oneshot(request).await.expect("a router never fails");
        answer.into_body().collect().await.expect("a whole body");
    }
    metrics::with_local_recorder(&monitor.recorder(), || {
        metrics::counter!("jobs", "größe" => "klein\n\"").increment(2);
        metrics::counter!("jobs_total").increment(u64::from(u32::MAX));
        metrics::gauge!("depth", "empty" => "").set(-1.5);
        metrics::histogram!("size_bytes", "le" => "1").record(5e5);
        for number in 0..4_000 {
            metrics::histogram!("many_seconds", "number" => number.to_string()).record(f64::from(number));
        }
    });
    let families = families(&app).await;
    let text = Samples::of(&monitor);
    let text: Vec<(Labels, f64)> = text.all().map(|(series, value)| (parsed(series), value)).collect();
    let names = |samples: &[(Labels, f64)]| samples.iter().map(|(labels, _)| labels.clone()).collect::<BTreeSet<_>>();
    let protobuf = samples(&families);
    let difference: Vec<_> = names(&text).symmetric_difference(&names(&protobuf)).cloned().collect();
    assert_eq!(difference, [] as [Labels; 0]);
    assert_eq!(text.len(), protobuf.len());
    let steady = |samples: &[(Labels, f64)]| -> Vec<(Labels, String)> {
        let own = ["jobs", "jobs_total", "depth", "size_bytes_bucket", "many_seconds_sum", "many_seconds_bucket"];
        let own = samples.iter().filter(|(labels, _)| own.contains(&&*labels["__name__"]));
        let mut own: Vec<_> = own.map(|(labels, value)| (labels.clone(), value.to_string())).collect();
        own.sort();
        own
    };
    assert_eq!(steady(&text), steady(&protobuf));
    // A metric of many series takes several messages, each with its name and type.
    assert!(families.iter().filter(|family| family.name == "many_seconds").count() > 1);
    let help = families.iter().find(|family| family.name == "http_server_request_duration_seconds");
    assert!(help.is_some_and(|family| family.help.starts_with("Duration of HTTP server requests")));
}

#[tokio::test]
async fn native_histograms_have_the_observations_in_prometheus_buckets() {
    let monitor = monitor();
    let app = app(&monitor);
    metrics::with_local_recorder(&monitor.recorder(), || {
        let record = |name: &'static str, values: &[f64]| {
            values.iter().for_each(|value| metrics::histogram!(name).record(*value));
        };
        record("some_seconds", &[0.0, 0.000_000_1, 0.5, 0.500_001, 1.0, 1.0, 1.05, 4.0, 1e6]);
        record("none_seconds", &[]);
        record("negative_seconds", &[-1.0, 1.0]);
        let _ = metrics::histogram!("none_seconds");
    });
    let families = families(&app).await;
    let native = |name: &str| {
        let family = families.iter().find(|family| family.name == name).expect("it is exposed");
        family.metric[0].histogram.clone().expect("a histogram")
    };
    let some = native("some_seconds");
    assert_eq!((some.schema, some.zero_threshold, some.zero_count, some.count), (3, 2_f64.powi(-20), 2, 9));
    let filled: Vec<_> = some.buckets().into_iter().filter(|(_, count)| *count != 0).collect();
    // 0.5 is the upper edge of bucket -8. What is above every edge is known to be above the highest: 128 s, or that of a rule.
    assert_eq!(filled[..5], [(-8, 1), (-7, 1), (0, 2), (1, 1), (16, 1)]);
    assert!(filled.len() == 6 && filled[5].0 >= 57 && filled[5].1 == 1, "{filled:?}");
    let counted: i64 = some.buckets().iter().map(|(_, count)| count).sum();
    assert_eq!(counted + 2, 9);
    let none = native("none_seconds");
    assert_eq!((none.schema, none.count, none.buckets()), (3, 0, vec![]));
    assert!(none.zero_threshold > 0.0, "it is a native histogram without observations");
    let negative = native("negative_seconds");
    assert_eq!((negative.zero_threshold, negative.buckets(), negative.count), (0.0, vec![], 2), "classic alone");
}

/// Prometheus takes the first histogram of a message for what all of them are.
#[tokio::test]
async fn histograms_with_negative_values_are_in_no_message_with_native_ones() {
    let monitor = monitor();
    let app = app(&monitor);
    metrics::with_local_recorder(&monitor.recorder(), || {
        for (name, value) in [("a", 1.0), ("b", -1.0), ("c", -2.0), ("d", 3.0), ("e", -1.0)] {
            metrics::histogram!("change_seconds", "of" => name).record(value);
            metrics::histogram!("turned_seconds", "of" => name).record(-value);
        }
    });
    for name in ["change_seconds", "turned_seconds"] {
        let families = families(&app).await;
        let messages: Vec<_> = families.iter().filter(|family| family.name == name).collect();
        let is_native =
            |metric: &message::Metric| metric.histogram.as_ref().is_some_and(|one| one.zero_threshold > 0.0);
        assert_eq!(messages.iter().map(|family| family.metric.len()).sum::<usize>(), 5);
        for message in messages {
            let native = message.metric.iter().filter(|metric| is_native(metric)).count();
            assert!(native == 0 || native == message.metric.len(), "{message:?}");
            assert_eq!(message.kind, 4);
        }
    }
}

/// Serves the three formats each under a path of its own, as three scrape configurations with `scrape_protocols` ask for them:
/// the versions of Prometheus before 2.49 cannot ask.
fn with_each_format(monitor: &Monitor) -> Router {
    let page = app(monitor);
    let format = |accept: &'static str| {
        let page = page.clone();
        get(move |mut request: Request| async move {
            *request.uri_mut() = "/metrics".parse().expect("a path");
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
            page.oneshot(request).await
        })
    };
    Router::new()
        .route("/text", format(TEXT))
        .route("/openmetrics", format(OPENMETRICS))
        .route("/protobuf", format(PROTOBUF))
        .merge(page.clone())
}

/// What a Prometheus needs to ask for native histograms: a feature or, since 3.8, a setting of its configuration, to which `global`
/// is added. The feature only causes a warning since 3.9.
pub(crate) fn native_settings(program: &std::path::Path, global: &str) -> (&'static [&'static str], String) {
    let version = Command::new(program).arg("--version").output().expect("it runs").stdout;
    if takes_a_setting(&String::from_utf8_lossy(&version)) {
        (&[], format!("global: {{ {global}, scrape_native_histograms: true }}\n"))
    } else {
        (&["--enable-feature=native-histograms"], format!("global: {{ {global} }}\n"))
    }
}

/// Returns whether a Prometheus that says this of its version scrapes native histograms by a setting: since 3.8.
fn takes_a_setting(version: &str) -> bool {
    let numbers = version.split("version ").nth(1).unwrap_or_default().split(['.', ' ', ',', '+', '-']);
    let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).take(2).collect();
    numbers >= vec![3, 8]
}

#[test]
fn native_histograms_are_asked_for_as_the_version_takes_it() {
    let of = |version| takes_a_setting(&format!("prometheus, version {version} (branch: HEAD, revision: 1a2b)\n"));
    for old in ["2.42.0+ds", "2.53.3", "3.0.0-rc.1", "3.7.3"] {
        assert!(!of(old), "{old}");
    }
    for new in ["3.8.0", "3.8.0-rc.0", "3.8.1+ds1", "3.10.0", "4.0.0"] {
        assert!(of(new), "{new}");
    }
    assert!(!takes_a_setting("no version at all"));
}

/// Starts a Prometheus that scrapes each of the formats with a job of its own.
pub(crate) async fn scraped(monitor: &Monitor) -> Option<Prometheus> {
    let program = find("prometheus")?;
    let address = serve(with_each_format(monitor)).await;
    let (feature, global) = native_settings(&program, "scrape_interval: 250ms");
    let mut configuration = format!("{global}scrape_configs:\n");
    for job in ["text", "openmetrics", "protobuf"] {
        configuration += &format!(
            "  - job_name: {job}\n    metrics_path: /{job}\n    static_configs:\n      - targets: ['{address}']\n"
        );
    }
    Some(Prometheus::start(&program, &configuration, &[feature, &["--enable-feature=exemplar-storage"]].concat()))
}

/// A distribution: its name, and the value that a share of the observations does not exceed.
type Distribution = (&'static str, fn(f64) -> f64);

/// A rough inverse of the normal distribution, by Tukey's lambda: it only has to be bell-shaped.
fn normal(share: f64) -> f64 {
    (share.powf(0.14) - (1.0 - share).powf(0.14)) / 0.1975
}

const DISTRIBUTIONS: [Distribution; 20] = [
    ("uniform", |share| share),
    ("uniform_fast", |share| 0.000_1 + 0.000_9 * share),
    ("uniform_slow", |share| 20.0 + 60.0 * share),
    ("exponential", |share| -0.1 * (1.0 - share).ln()),
    ("exponential_fast", |share| -0.000_5 * (1.0 - share).ln()),
    ("exponential_slow", |share| -5.0 * (1.0 - share).ln()),
    ("lognormal", |share| (0.5 * normal(share) - 3.0).exp()),
    ("lognormal_wide", |share| (1.5 * normal(share) - 4.0).exp()),
    ("lognormal_narrow", |share| (0.2 * normal(share) - 1.0).exp()),
    ("normal", |share| 1.0 + 0.2 * normal(share)),
    ("bimodal", |share| if share < 0.7 { 0.01 + 0.01 * share } else { 1.0 + share }),
    ("hit_or_miss", |share| if share < 0.8 { 0.000_2 + 0.000_2 * share } else { 0.05 + 0.1 * share }),
    ("heavy_tail", |share| 0.01 * (1.0 - share).powf(-0.5)),
    ("heavier_tail", |share| 0.001 * (1.0 - share).powf(-0.9)),
    ("weibull", |share| 0.2 * (-(1.0 - share).ln()).powf(0.7)),
    ("triangular", |share| 2.0 * share.sqrt()),
    ("logistic", |share| 2.0 + 0.1 * (share / (1.0 - share)).ln()),
    ("constant", |_| 0.25),
    ("constant_large", |_| 2.1),
    ("up_to_an_edge", |share| 0.8 + 0.2 * share),
];

const OBSERVATIONS: u32 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn quantiles_of_native_histograms_are_within_five_per_cent() {
    let monitor = monitor();
    metrics::with_local_recorder(&monitor.recorder(), || {
        for (name, quantile) in DISTRIBUTIONS {
            let histogram = metrics::histogram!("distribution_seconds", "of" => name);
            for number in 0..OBSERVATIONS {
                histogram.record(quantile((f64::from(number) + 0.5) / f64::from(OBSERVATIONS)));
            }
        }
    });
    let Some(prometheus) = scraped(&monitor).await else { return };
    let mut wrong = Vec::new();
    for share in [0.5, 0.9, 0.95, 0.99] {
        let query = format!("histogram_quantile({share}, distribution_seconds{{job=\"protobuf\"}})");
        let found = prometheus.query(&query).await;
        assert_eq!(found.len(), DISTRIBUTIONS.len());
        for (labels, found) in found {
            let name = labels["of"].as_str().expect("a name");
            let (_, quantile) = DISTRIBUTIONS.iter().find(|(other, _)| *other == name).expect("it is known");
            let truth = quantile(share);
            if (found / truth - 1.0).abs() > 0.05 {
                wrong.push(format!("{name}, {share}: {found} for {truth}"));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
    let count = format!("sum(histogram_count(distribution_seconds{{job=\"protobuf\"}})) == {}", 20 * OBSERVATIONS);
    assert_eq!(prometheus.query(&count).await.len(), 1);
    prometheus.assert_no_complaints();
}
