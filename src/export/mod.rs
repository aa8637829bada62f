//! The rules as alerts of a Prometheus: files that it loads, written from this crate's catalogues.
//!
//! Owns what is written into a rule file and how. Takes every metric name from `names` and every word of a rule from
//! `rules`, so that a file and the process cannot mean different things by one name. Reads and writes no file: it returns
//! text. Invariant: the text depends on the catalogues and the rules alone, so that a test can hold the committed files
//! fresh.
//!
//! ```text
//! labels      how an alert is labelled and explained
//! document    one of several files that belong together
//! rule_file   groups, alerts and recording rules, and their YAML
//! in_process  alerts on what the monitor reports about itself
//! template    texts of alerts
//! query       the pieces of expressions
//! labels      what Prometheus calls a service's own labels
//! pairs       what endpoints do with statements, as expressions
//! usual       comparisons with the days before
//! promql      every measure as an expression
//! shared      expressions that several alerts read, recorded once
//! selection   which subjects an expression is about
//! service     endpoints that are hidden behind the service as a whole
//! alerts      the rules of a set as alerts
//! objectives  service-level objectives as recording rules and alerts
//! prometheus  their file
//! operator    both as resources of the Prometheus Operator
//! grafana     dashboards
//! mixin       all of it for jsonnet
//! ```

mod alerts;
mod document;
mod grafana;
mod in_process;
mod labels;
mod mixin;
mod objectives;
mod operator;
mod pairs;
mod prometheus;
mod promql;
mod query;
mod rule_file;
mod selection;
mod service;
mod shared;
mod template;
mod usual;

pub use alerts::LeftOut;
#[cfg(feature = "replay")]
pub(crate) use alerts::{expressions, subject};
pub use document::Document;
pub use grafana::grafana;
pub use in_process::in_process;
#[cfg(feature = "replay")]
pub(crate) use labels::scraped;
pub use mixin::{Mixin, mixin};
pub use operator::{InvalidName, LabelName, ObjectLabel, ObjectName, Operator, PortName, ScrapedBy, SecretKey};
pub use prometheus::{Exported, prometheus};
pub use query::Histograms;
#[cfg(feature = "replay")]
pub(crate) use query::quoted;
#[cfg(feature = "replay")]
pub(crate) use rule_file::prometheus_duration;
