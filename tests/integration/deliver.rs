//! Alerts that are sent: to real Alertmanagers, to webhooks that are busy, slow or gone, and to none after a restart twice.
//!
//! Alertmanager has a clock of its own, so that these tests run in real time: they wait for what must come, and never for a
//! time to pass.

mod alertmanager;
mod restart;
mod webhook;

use std::{path::Path, time::Duration};

use axum::Router;
use metrics::Gauge;
use pinchpoint::{Monitor, MonitorBuilder};
use serde_json::Value;

use crate::{
    api::json,
    support::{built, prometheus::LOOKS},
};

/// Finds queues as soon as they are long, and no longer than that.
const RULES: &str = r#"rules:
  - { id: long_queue, scope: metric, metric: queue_depth, measure: value, by: [queue], window: 5s, for: 0s, keep_firing_for: 0s,
      thresholds: { high: "> 10", critical: "> 100" }, description: "The queue {subject} has {value} entries" }
"#;

/// A service whose queues a test fills.
struct Shop {
    monitor: Monitor,
    app: Router,
    _rules: tempfile::TempDir,
}

impl Shop {
    /// Starts one that evaluates its rules ten times a second and sends at once.
    fn open(builder: MonitorBuilder) -> Self {
        let rules = tempfile::tempdir().expect("a directory");
        std::fs::write(rules.path().join("queues.yaml"), RULES).expect("writes");
        let interval = Duration::from_millis(100);
        let monitor = built(builder.rules_dir(rules.path()).evaluation_interval(interval).without_sampling());
        let app = monitor.router();
        Self { monitor, app, _rules: rules }
    }

    /// Sets how many entries a queue has.
    fn fill(&self, queue: &str, entries: f64) {
        metrics::with_local_recorder(&self.monitor.recorder(), || -> Gauge {
            metrics::gauge!("queue_depth", "queue" => queue.to_owned())
        })
        .set(entries);
    }

    /// Returns the state of each receiver.
    async fn receivers(&self) -> Vec<Value> {
        let status = json(&self.app, "/performance/status").await;
        status["receivers"].as_array().expect("a list").clone()
    }

    /// Waits for two evaluations of the rules.
    async fn until_evaluated(&self) {
        let at = || async { json(&self.app, "/performance/status").await["evaluated_at"].clone() };
        for _ in 0..2 {
            let before = at().await;
            for _ in 0..LOOKS {
                if at().await != before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until the state of the receiver of a name is as wanted, and returns it.
    async fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS {
            let receivers = self.receivers().await;
            if let Some(found) = receivers.iter().find(|receiver| receiver["name"] == name && wanted(receiver)) {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name}: {:?}", self.receivers().await);
    }
}

/// Returns what a queue is called as the subject of a finding.
fn subject(queue: &str) -> String {
    format!("queue_depth{{queue=\"{queue}\"}}")
}

/// Returns a builder of a service with a name, a grace of nothing and a short time between two sendings.
fn builder() -> MonitorBuilder {
    Monitor::builder()
        .service("shop", "1.2.3")
        .service_instance_id("shop-7")
        .alert_grace(Duration::ZERO)
        .alert_resend(Duration::from_secs(1))
}

/// The same, with a history file.
fn builder_with(history: &Path) -> MonitorBuilder {
    builder().history_file(history)
}
