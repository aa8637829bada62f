//! The catalogue beside the conventions that its names are from; `tests/fixtures/conventions/metrics.json` has their tables.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

/// Labels that a metric has beyond OpenTelemetry's table, and why.
const OURS: &[(&str, &str, &str)] = &[
    (HTTP_DURATION.name, RPC_STATUS, "a gRPC call is a request too, and its HTTP status is 200 whatever happened"),
    (
        POOL_WAIT.name,
        ERROR_TYPE,
        "a wait that gave up is no wait that got a connection, and an alert must tell them apart",
    ),
    (DB_DURATION.name, DB_QUERY_ID, "a rule judges single statements, of which many have one summary"),
];

/// Names of ours without the prefix, and why.
const NAMED: &[(&str, &str)] = &[(
    DB_QUERY_INFO.name,
    "it is joined with metrics of OpenTelemetry's by a label, as `target_info` is, and named alike",
)];

#[derive(Deserialize)]
struct Conventions {
    opentelemetry: Vec<Convention>,
    target_info: Vec<String>,
    prometheus_process: BTreeMap<String, String>,
    tokio_metrics: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Convention {
    name: String,
    instrument: String,
    unit: String,
    required: Vec<String>,
    conditional: Vec<String>,
    recommended: Vec<String>,
    opt_in: Vec<String>,
    buckets: Vec<f64>,
}

impl Convention {
    /// Returns the name in its Prometheus form.
    fn prometheus_name(&self) -> String {
        let unit = match &*self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            annotation if annotation.starts_with('{') => "",
            unit => panic!("{unit} of {}", self.name),
        };
        let total = if self.instrument == "counter" { "_total" } else { "" };
        format!("{}{unit}{total}", underscored(&self.name))
    }

    fn kind(&self) -> Kind {
        match &*self.instrument {
            "counter" => Kind::Counter,
            "updowncounter" | "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            other => panic!("{other} of {}", self.name),
        }
    }
}

fn underscored(name: &str) -> String {
    name.replace('.', "_")
}

fn conventions() -> Conventions {
    serde_json::from_str(include_str!("../../tests/fixtures/conventions/metrics.json")).expect("the tables")
}

#[test]
fn every_metric_of_opentelemetry_is_as_its_table_says() {
    for convention in conventions().opentelemetry {
        let name = convention.prometheus_name();
        let metric = CATALOGUE.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(metric.kind, convention.kind(), "{name}");
        for required in &convention.required {
            assert!(metric.labels.contains(&&*underscored(required)), "{name} lacks {required}");
        }
        let Convention { required, conditional, recommended, opt_in, buckets, .. } = &convention;
        let table: Vec<String> = [required, conditional, recommended, opt_in]
            .into_iter()
            .flatten()
            .map(|label| underscored(label))
            .collect();
        for label in metric.labels.iter().filter(|label| !table.contains(&label.to_string())) {
            let ours = OURS.iter().any(|(metric, ours, _)| *metric == name && ours == label);
            assert!(ours, "{name} has {label}, which the table has not, for no reason");
        }
        for edge in buckets {
            assert!(metric.buckets.contains(edge), "{name} lacks the edge {edge}");
        }
    }
}

#[test]
fn every_reason_for_a_label_of_ours_is_needed() {
    for (name, label, reason) in OURS {
        let metric = CATALOGUE.iter().find(|metric| metric.name == *name);
        assert!(metric.is_some_and(|metric| metric.labels.contains(label)), "{name} has no {label} any more: {reason}");
    }
}

#[test]
fn every_name_is_of_a_convention_or_has_the_prefix() {
    let conventions = conventions();
    let of_opentelemetry: Vec<String> = conventions.opentelemetry.iter().map(Convention::prometheus_name).collect();
    for Metric { name, kind, labels, .. } in CATALOGUE {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let other = conventions.prometheus_process.get(*name).or(conventions.tokio_metrics.get(*name));
        if *name == TARGET_INFO.name {
            let expected: Vec<String> = conventions.target_info.iter().map(|label| underscored(label)).collect();
            assert_eq!((kind, labels.to_vec()), ("gauge", expected.iter().map(|label| &**label).collect()));
        } else if let Some(expected) = other {
            assert_eq!((kind, labels.len()), (&**expected, 0), "{name}");
        } else {
            let is_named = NAMED.iter().any(|(known, _)| known == name);
            let is_known =
                is_named || of_opentelemetry.iter().any(|known| known == name) || name.starts_with("pinchpoint_");
            assert!(is_known, "{name} is of no convention and has no prefix");
        }
    }
}
