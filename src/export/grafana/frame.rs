//! What all dashboards have: variables, annotations and links to each other.

use serde_json::json;

use super::{
    model::{Annotation, DATASOURCE, Dashboard, Link, List, PROMETHEUS, Range, SCHEMA_VERSION, Variable},
    panel::{Row, laid_out},
    series::{INSTANCE, JOB, Series, label},
};
use crate::{
    export::query::{TARGET, one_of},
    names::{self, Metric},
};

/// A dashboard's name and address.
#[derive(Clone, Copy)]
pub(super) struct Title {
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    /// What a link to it says.
    pub(super) link: &'static str,
    pub(super) shows: &'static str,
}

pub(super) const OVERVIEW: Title = Title {
    uid: "pinchpoint-overview",
    title: "Pinchpoint: overview",
    link: "Overview",
    shows: "What the monitor has found, requests by endpoint, where their time goes, and what is nearly full.",
};
pub(super) const ENDPOINT: Title = Title {
    uid: "pinchpoint-endpoint",
    title: "Pinchpoint: endpoint",
    link: "Endpoint",
    shows: "One endpoint: how fast it is, how it fails, what its time is spent in, and its statements.",
};
pub(super) const DATABASE: Title = Title {
    uid: "pinchpoint-database",
    title: "Pinchpoint: database and dependencies",
    link: "Database",
    shows: "Statements, pools of connections, calls to other services, locks and other waits.",
};
pub(super) const RUNTIME: Title = Title {
    uid: "pinchpoint-runtime",
    title: "Pinchpoint: runtime and memory",
    link: "Runtime",
    shows: "The tokio runtime, tracked tasks, processor, memory, descriptors, and the monitor itself.",
};
pub(super) const FLEET: Title = Title {
    uid: "pinchpoint-fleet",
    title: "Pinchpoint: fleet",
    link: "Fleet",
    shows: "Instances and versions of the services side by side.",
};
pub(super) const LOAD_TEST: Title = Title {
    uid: "pinchpoint-load-test",
    title: "Pinchpoint: load test",
    link: "Load test",
    shows: "What the service saw while load was sent to it: throughput, latency, errors, and what ran out first.",
};
const ALL: [Title; 6] = [OVERVIEW, ENDPOINT, DATABASE, RUNTIME, FLEET, LOAD_TEST];

/// Returns a dashboard with the variables that all have, and those of its own.
pub(super) fn dashboard(title: Title, range: &'static str, own: Vec<Variable>, rows: Vec<Row>) -> Dashboard {
    let others = ALL.into_iter().filter(|other| other.uid != title.uid);
    Dashboard {
        uid: title.uid,
        title: title.title,
        description: title.shows,
        tags: ["pinchpoint"],
        schema_version: SCHEMA_VERSION,
        editable: true,
        graph_tooltip: 1,
        refresh: "30s",
        time: Range { from: range, to: "now" },
        timezone: "browser",
        links: others.map(link).collect(),
        templating: List { list: common().into_iter().chain(own).collect() },
        annotations: List { list: vec![findings(), starts()] },
        panels: laid_out(rows),
    }
}

fn link(to: Title) -> Link {
    Link {
        title: to.link,
        kind: "link",
        url: format!("/d/{}", to.uid),
        icon: "dashboard",
        tooltip: to.shows,
        tags: [],
        as_dropdown: false,
        include_vars: true,
        keep_time: true,
        target_blank: false,
    }
}

/// Returns a variable with the values that a label of a metric has.
pub(super) fn values(name: &'static str, title: &'static str, label: &str, metric: &Metric, of: &[String]) -> Variable {
    let matchers = if of.is_empty() { String::new() } else { format!("{{{}}}", of.join(",")) };
    let query = format!("label_values({}{matchers}, {label})", metric.name);
    Variable {
        name,
        kind: "query",
        label: title,
        datasource: Some(PROMETHEUS),
        query: json!({ "query": query, "refId": "StandardVariableQuery" }),
        refresh: 2,
        sort: 1,
        multi: false,
        include_all: false,
        all_value: None,
        current: serde_json::Value::Null,
    }
}

/// Returns it with several values at a time, all of them at first.
pub(super) fn several(variable: Variable) -> Variable {
    let current = json!({ "selected": true, "text": ["All"], "value": ["$__all"] });
    Variable { multi: true, include_all: true, all_value: Some(".+"), current, ..variable }
}

/// Returns the matcher of what a variable selects.
pub(super) fn by(label: &str, variable: &str) -> String {
    format!("{label}=~\"${variable}\"")
}

fn common() -> [Variable; 3] {
    let prometheus = Variable {
        name: DATASOURCE,
        kind: DATASOURCE,
        label: "Prometheus",
        datasource: None,
        query: json!("prometheus"),
        refresh: 1,
        ..values(DATASOURCE, "", "", &names::BUILD_INFO, &[])
    };
    // Every monitor has it.
    let known = &names::BUILD_INFO;
    [
        prometheus,
        several(values(JOB, "Service", JOB, known, &[])),
        several(values(INSTANCE, "Instance", INSTANCE, known, &[by(JOB, JOB)])),
    ]
}

/// When a bottleneck was there.
fn findings() -> Annotation {
    Annotation {
        name: "Findings",
        datasource: PROMETHEUS,
        enable: true,
        icon_color: "orange",
        expr: format!("{} > 0", Series::selected().of(&names::BOTTLENECK, &[])),
        step: "15s",
        title_format: format!("{} ({})", label(names::RULE), label(names::SEVERITY)),
        text_format: format!("{} on {}", label(names::SUBJECT), label(INSTANCE)),
        tag_keys: format!("{},{}", names::SEVERITY, names::RULE),
        use_value_for_time: false,
    }
}

/// When a process started, with its version where the service has one: a deployment, or a restart.
fn starts() -> Annotation {
    let series = Series::selected();
    let start = format!("{} * 1000", series.of(&names::PROCESS_START, &[]));
    let target = TARGET.join(", ");
    let (on, version) = (format!("on ({target})"), one_of(&target, &series.of(&names::TARGET_INFO, &[])));
    Annotation {
        name: "Starts and deployments",
        datasource: PROMETHEUS,
        enable: true,
        icon_color: "blue",
        expr: format!("({start} * {on} group_left ({}) {version})\nor {on} ({start})", names::SERVICE_VERSION),
        step: "1m",
        title_format: format!("Start {}", label(names::SERVICE_VERSION)),
        text_format: format!("{} of {}", label(INSTANCE), label(JOB)),
        tag_keys: names::SERVICE_VERSION.to_owned(),
        use_value_for_time: true,
    }
}
