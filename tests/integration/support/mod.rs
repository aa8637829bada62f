//! Helpers of all integration tests: building monitors, sending requests, reading the samples of `/metrics`.

pub(crate) mod alertmanager;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod server;
pub(crate) mod tls;

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{Router, body::Body};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use pinchpoint::{Monitor, MonitorBuilder};
use serde_json::Value;
use tower::ServiceExt as _;

/// Builds a monitor that shares nothing with other tests in the process: not installed, with a recorder of its own.
pub(crate) fn monitor() -> Monitor {
    built(Monitor::builder())
}

/// Builds a monitor from its settings.
pub(crate) fn built(builder: MonitorBuilder) -> Monitor {
    builder.build().expect("inside a runtime, with good settings")
}

/// Sends one request and returns the status and the whole body of its answer.
pub(crate) async fn send(app: &Router, method: &str, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router never fails");
    read(response).await
}

/// Serves a router on a free port of this machine.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Sends a GET.
pub(crate) async fn get(app: &Router, path: &str) -> (u16, String) {
    send(app, "GET", path).await
}

/// Sends one request with headers and returns its status and its JSON body.
pub(crate) async fn ask(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::empty()).expect("a request");
    let (status, body) = read(app.clone().oneshot(request).await.expect("a router never fails")).await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// Reads an answer to its end and returns its status and body.
pub(crate) async fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(bytes.to_vec()).expect("text"))
}

/// The samples of an exposition, by series.
#[derive(Debug)]
pub(crate) struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads the samples that a monitor exposes now.
    pub(crate) fn of(monitor: &Monitor) -> Self {
        Self::parse(&monitor.recorder().render())
    }

    /// Parses the text format.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let (series, value) = line.rsplit_once(' ').expect("series and value");
                    (series.to_owned(), value.parse().expect("a number"))
                })
                .collect(),
        )
    }

    /// Returns every series and its value.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(series, value)| (series.as_str(), *value))
    }

    /// Returns the series that may only grow: counters, and the buckets, sums and counts of histograms.
    pub(crate) fn monotonic(&self) -> impl Iterator<Item = (&str, f64)> {
        let grows = |series: &str| {
            let name = series.split_once('{').map_or(series, |(name, _)| name);
            ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
        };
        self.all().filter(move |(series, _)| grows(series))
    }

    /// Returns the sum over the series of `name` whose labels contain all of `labels`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    /// Returns the series of `name` whose labels contain all of `labels`.
    pub(crate) fn series<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let (its_name, its_labels) = series.split_once('{').unwrap_or((series, ""));
            let fits = its_name == name && labels.iter().all(|label| its_labels.contains(label));
            fits.then_some((series.as_str(), *value))
        })
    }

    /// Returns the labels with the ids of the statements whose text contains `text`.
    fn statements<'a>(&'a self, text: &str) -> Vec<&'a str> {
        let info = self.0.keys().filter(|series| series.starts_with("db_query_info{") && series.contains(text));
        info.filter_map(|series| series.split(['{', ',']).nth(1)).collect()
    }

    /// Returns the label of the one statement whose text contains `text`.
    #[track_caller]
    pub(crate) fn statement<'a>(&'a self, text: &str) -> &'a str {
        let found = self.statements(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0]
    }

    /// Returns the sum over the series of `name`, with `labels`, of the statements whose text contains `text`.
    pub(crate) fn of_statements(&self, name: &str, text: &str, labels: &[&str]) -> f64 {
        self.statements(text).into_iter().map(|id| self.sum(name, &[&[id], labels].concat())).sum()
    }

    /// Returns how many calls of statements whose text contains `text` were counted.
    pub(crate) fn calls(&self, text: &str) -> f64 {
        self.of_statements("db_client_operation_duration_seconds_count", text, &[])
    }

    /// Returns how many requests were counted with these labels.
    pub(crate) fn requests(&self, labels: &[&str]) -> f64 {
        self.sum("http_server_request_duration_seconds_count", labels)
    }

    /// Returns how many responses have a recorded size.
    pub(crate) fn response_sizes(&self, labels: &[&str]) -> f64 {
        self.sum("http_server_response_body_size_bytes_count", labels)
    }

    /// Returns how many requests are in flight.
    pub(crate) fn active(&self) -> f64 {
        self.sum("http_server_active_requests", &[])
    }
}
