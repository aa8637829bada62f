//! Resources of the Prometheus Operator: the alerts, and how the service is scraped.
//!
//! ```text
//! name      names and labels as Kubernetes accepts them
//! resource  PrometheusRule, ServiceMonitor and PodMonitor, and their YAML
//! ```

mod name;
mod resource;

pub use name::{InvalidName, LabelName, ObjectLabel, ObjectName, PortName, SecretKey};
pub use resource::{Operator, ScrapedBy};
