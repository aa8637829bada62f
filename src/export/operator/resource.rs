//! [`Operator`]: the resources for one service.

use serde::Serialize;

use super::name::{LabelName, ObjectLabel, ObjectName, PortName, SecretKey};
use crate::{
    RuleSet,
    export::{
        alerts::Export,
        in_process,
        prometheus::Exported,
        query::Histograms,
        rule_file::{Groups, Labels},
    },
    rules::to_yaml,
};

const API_VERSION: &str = "monitoring.coreos.com/v1";
const COMMAND: &str = "pinchpoint rules export --to prometheus-operator";
/// What the monitor answers with, best first. Named, since a Prometheus that prefers native histograms drops the classic buckets that
/// the alerts and the dashboards read.
const TEXT: [&str; 3] = ["OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText0.0.4"];
const PROTOBUF: &str = "PrometheusProto";

/// What finds the service's processes for Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScrapedBy {
    /// A ServiceMonitor: the endpoints of a Service.
    #[default]
    Service,
    /// A PodMonitor: the pods themselves, where no Service has the port.
    Pod,
    /// Neither: Prometheus finds them already.
    Nothing,
}

/// The resources of the Prometheus Operator for one service: a PrometheusRule with its alerts, and a ServiceMonitor or a PodMonitor.
///
/// ```
/// use pinchpoint::export::Operator;
///
/// let resources = Operator::new("shop".parse()?).labels(vec!["release=prometheus".parse()?]).in_process();
/// assert!(resources.contains("kind: PrometheusRule") && resources.contains("kind: ServiceMonitor"));
/// # Ok::<_, pinchpoint::export::InvalidName>(())
/// ```
#[derive(Clone, Debug)]
pub struct Operator {
    name: ObjectName,
    namespace: Option<LabelName>,
    labels: Vec<ObjectLabel>,
    selector: Vec<ObjectLabel>,
    port: Option<PortName>,
    scraped_by: ScrapedBy,
    token: Option<SecretKey>,
}

impl Operator {
    /// Returns the resources of a service of this name, which its Service has as `app.kubernetes.io/name`, at a port named `http`.
    #[must_use]
    pub fn new(name: ObjectName) -> Self {
        Self {
            name,
            namespace: None,
            labels: Vec::new(),
            selector: Vec::new(),
            port: None,
            scraped_by: ScrapedBy::default(),
            token: None,
        }
    }

    /// Sets the namespace of the resources; without one `kubectl` takes that of its context.
    #[must_use]
    pub fn namespace(mut self, namespace: LabelName) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Sets labels of the resources: those by which the Prometheus of the cluster selects rules and monitors.
    #[must_use]
    pub fn labels(mut self, labels: Vec<ObjectLabel>) -> Self {
        self.labels = labels;
        self
    }

    /// Sets the labels that the Service, or the pods, are found by. Prometheus's `job` becomes the value of the first.
    #[must_use]
    pub fn selector(mut self, selector: Vec<ObjectLabel>) -> Self {
        self.selector = selector;
        self
    }

    /// Sets the name of the port that serves `/metrics`.
    #[must_use]
    pub fn port(mut self, port: PortName) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets what finds the service's processes.
    #[must_use]
    pub fn scraped_by(mut self, by: ScrapedBy) -> Self {
        self.scraped_by = by;
        self
    }

    /// Sets where the token of a guarded `/metrics` is. The resources name the Secret and never hold the token.
    #[must_use]
    pub fn token(mut self, token: SecretKey) -> Self {
        self.token = Some(token);
        self
    }

    /// Returns the resources, with the alerts of [`in_process`](crate::export::in_process()).
    #[must_use]
    pub fn in_process(&self) -> String {
        self.file(in_process::groups(), Histograms::Classic, COMMAND)
    }

    /// Returns the resources, with the alerts of [`prometheus`](crate::export::prometheus()).
    #[must_use]
    pub fn rules(&self, rules: &RuleSet, histograms: Histograms) -> Exported {
        let mut export = Export::of(rules, histograms);
        let left_out = std::mem::take(&mut export.left_out);
        let file = self.file(export.into_groups(), histograms, &format!("{COMMAND} --alerts rules"));
        Exported { file, left_out }
    }

    fn file(&self, groups: Groups, histograms: Histograms, command: &str) -> String {
        let mut documents = vec![self.document("PrometheusRule", groups)];
        match self.scraped_by {
            ScrapedBy::Service => {
                let spec = ServiceMonitor { common: self.scrape(histograms), endpoints: [self.endpoint()] };
                documents.push(self.document("ServiceMonitor", spec));
            }
            ScrapedBy::Pod => {
                let spec = PodMonitor { common: self.scrape(histograms), pod_metrics_endpoints: [self.endpoint()] };
                documents.push(self.document("PodMonitor", spec));
            }
            ScrapedBy::Nothing => {}
        }
        format!(
            "# Resources of the Prometheus Operator for `{}`: its alerts, and how it is scraped. docs/alerting.md explains them.\n\
             #\n# Generated by `{command}`; its options set names, labels, port and token.\n{}",
            self.name,
            documents.join("---\n")
        )
    }

    fn document(&self, kind: &'static str, spec: impl Serialize) -> String {
        let metadata = Metadata {
            name: self.name.to_string(),
            namespace: self.namespace.as_ref().map(ToString::to_string),
            labels: texts(&self.labels),
        };
        // The types hold text, lists and maps by text alone, which YAML has a form for.
        to_yaml(&Resource { api_version: API_VERSION, kind, metadata, spec }).expect("text, lists and maps are YAML")
    }

    fn scrape(&self, histograms: Histograms) -> Scrape {
        let is_native = histograms == Histograms::Native;
        let app = [ObjectLabel::of_app(&self.name)];
        let selector = if self.selector.is_empty() { &app[..] } else { &self.selector[..] };
        Scrape {
            job_label: selector[0].name().to_owned(),
            selector: Selector { match_labels: texts(selector) },
            scrape_protocols: is_native.then_some(PROTOBUF).into_iter().chain(TEXT).collect(),
            scrape_classic_histograms: is_native,
        }
    }

    fn endpoint(&self) -> Endpoint {
        let credentials = self.token.as_ref().map(|token| Authorization {
            kind: "Bearer",
            credentials: Reference { name: token.name().to_string(), key: token.key().to_owned() },
        });
        Endpoint {
            port: self.port.as_ref().map_or_else(|| "http".to_owned(), ToString::to_string),
            path: "/metrics",
            authorization: credentials,
        }
    }
}

fn texts(labels: &[ObjectLabel]) -> Labels {
    labels.iter().map(|label| (label.name(), label.value())).collect()
}

/// Any resource.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource<S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: S,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
}

#[derive(Serialize)]
struct ServiceMonitor {
    #[serde(flatten)]
    common: Scrape,
    endpoints: [Endpoint; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodMonitor {
    #[serde(flatten)]
    common: Scrape,
    pod_metrics_endpoints: [Endpoint; 1],
}

/// What ServiceMonitor and PodMonitor have in common.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scrape {
    job_label: String,
    selector: Selector,
    scrape_protocols: Vec<&'static str>,
    /// Beside native histograms, for what reads classic buckets: the dashboards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    scrape_classic_histograms: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Labels,
}

#[derive(Serialize)]
struct Endpoint {
    port: String,
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<Authorization>,
}

#[derive(Serialize)]
struct Authorization {
    #[serde(rename = "type")]
    kind: &'static str,
    credentials: Reference,
}

#[derive(Serialize)]
struct Reference {
    name: String,
    key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Operator {
        Operator::new("shop".parse().expect("a name"))
    }

    /// Returns the file without the rules, which have tests of their own.
    fn without_rules(file: &str) -> String {
        let (before, after) = file.split_once("  groups:\n").expect("rules");
        let after = after.split_once("---\n").map_or("", |(_, after)| after);
        format!("{before}  groups: …\n---\n{after}")
    }

    #[test]
    fn the_committed_file_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/pinchpoint.operator.yml");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let command = "cargo run -p pinchpoint-cli -- rules export --to prometheus-operator";
        assert!(
            committed == Operator::new("pinchpoint".parse().expect("a name")).in_process(),
            "prometheus/pinchpoint.operator.yml is stale: run `{command} > prometheus/pinchpoint.operator.yml`"
        );
    }

    #[test]
    fn without_options_a_service_of_the_name_is_scraped() {
        let expected = "\
# Resources of the Prometheus Operator for `shop`: its alerts, and how it is scraped. docs/alerting.md explains them.
#
# Generated by `pinchpoint rules export --to prometheus-operator`; its options set names, labels, port and token.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shop
spec:
  groups: …
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: shop
spec:
  jobLabel: app.kubernetes.io/name
  selector:
    matchLabels:
      app.kubernetes.io/name: shop
  scrapeProtocols:
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText0.0.4
  endpoints:
  - port: http
    path: /metrics
";
        assert_eq!(without_rules(&shop().in_process()), expected);
    }

    #[test]
    fn every_option_is_in_the_resources() {
        let labels = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a label")).collect();
        let operator = shop()
            .namespace("web".parse().expect("a name"))
            .labels(labels(&["release=prometheus"]))
            .selector(labels(&["app=shop", "tier=front"]))
            .port("metrics".parse().expect("a port"))
            .scraped_by(ScrapedBy::Pod)
            .token("shop-monitor:token".parse().expect("a key"));
        let file = operator.rules(&RuleSet::embedded(), Histograms::Native).file;
        let expected = "\
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: shop
  namespace: web
  labels:
    release: prometheus
spec:
  jobLabel: app
  selector:
    matchLabels:
      app: shop
      tier: front
  scrapeProtocols:
  - PrometheusProto
  - OpenMetricsText1.0.0
  - OpenMetricsText0.0.1
  - PrometheusText0.0.4
  scrapeClassicHistograms: true
  podMetricsEndpoints:
  - port: metrics
    path: /metrics
    authorization:
      type: Bearer
      credentials:
        name: shop-monitor
        key: token
";
        assert_eq!(without_rules(&file).split_once("---\n").expect("two documents").1, expected);
        assert!(file.contains("- alert: SlowEndpointHigh") && file.contains("histogram_count(increase("));
        assert!(file.contains(
            "kind: PrometheusRule\nmetadata:\n  name: shop\n  namespace: web\n  labels:\n    release: prometheus\n"
        ));
    }

    #[test]
    fn what_is_scraped_already_gets_rules_alone() {
        let file = shop().scraped_by(ScrapedBy::Nothing).in_process();
        assert!(file.contains("kind: PrometheusRule") && !file.contains("---"), "{file}");
    }
}
