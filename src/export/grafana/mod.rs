//! Dashboards of Grafana, generated: every expression is made of the catalogue's constants, so that a renamed metric cannot leave an
//! empty panel behind.
//!
//! Owns what is shown, and how. Reads and writes no file. Invariant: each panel says what it shows and what to do about it, and why it may
//! be empty.
//!
//! ```text
//! model      the JSON of a dashboard
//! panel      panels, and their places on the grid
//! series     expressions over what the variables of a dashboard select
//! frame      what all dashboards have: variables, annotations, links
//! overview, endpoint, database, runtime, fleet, load_test   the dashboards
//! ```

mod database;
mod endpoint;
mod fleet;
mod frame;
mod load_test;
mod model;
mod overview;
mod panel;
mod runtime;
mod series;

use super::document::Document;
use crate::RuleSet;

/// File names of the dashboards, without `.json`.
pub(super) const DASHBOARDS: [&str; 6] = ["overview", "endpoint", "database", "runtime", "fleet", "load-test"];

/// Returns the dashboards of Grafana: overview, endpoint, database, runtime, fleet and load test, a file each.
///
/// They read what the monitor exposes at `/metrics` by classic buckets, and draw the thresholds in force beside what the rules of the set
/// measure. Their UIDs are the same in every version, so that links to them stay. They need Grafana 10.4 or later.
///
/// ```
/// let dashboards = pinchpoint::export::grafana(&pinchpoint::RuleSet::embedded());
/// assert!(dashboards.iter().any(|file| file.path == "overview.json"));
/// ```
#[must_use]
pub fn grafana(rules: &RuleSet) -> Vec<Document> {
    let dashboards = [
        overview::dashboard(rules),
        endpoint::dashboard(rules),
        database::dashboard(rules),
        runtime::dashboard(rules),
        fleet::dashboard(rules),
        load_test::dashboard(rules),
    ];
    let name = |at: usize| format!("{}.json", DASHBOARDS[at]);
    dashboards.iter().enumerate().map(|(at, dashboard)| Document::json(&name(at), dashboard)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::names;

    fn dashboards() -> Vec<Value> {
        grafana(&RuleSet::embedded()).iter().map(|file| serde_json::from_str(&file.text).expect("JSON")).collect()
    }

    fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
        dashboard["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row")
    }

    #[test]
    fn the_committed_files_are_the_generated_ones() {
        for Document { path, text } in grafana(&RuleSet::embedded()) {
            let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/grafana/").to_owned() + &path;
            let command = "cargo run -p pinchpoint-cli -- rules export --to grafana --output prometheus/grafana";
            let committed = std::fs::read_to_string(committed).unwrap_or_default();
            assert!(committed == text, "prometheus/grafana/{path} is stale: run `{command}`");
        }
    }

    #[test]
    fn every_panel_has_a_title_a_description_and_a_place_of_its_own() {
        for dashboard in dashboards() {
            let uid = dashboard["uid"].as_str().expect("a UID");
            assert!(uid.len() <= 40, "Grafana takes no longer UIDs: {uid}");
            let (mut titles, mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for panel in panels(&dashboard) {
                let title = panel["title"].as_str().expect("a title");
                assert!(titles.insert(title), "{uid}: two panels have the title {title}");
                assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{uid}: {title}");
                let description = panel["description"].as_str().unwrap_or_default();
                assert!(panel["type"] == "text" || description.len() > 40, "{uid}: {title}: {description:?}");
                let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a number"));
                assert!(x + w <= 24, "{uid}: {title} is out of the grid");
                for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                    assert!(cells.insert(cell), "{uid}: {title} lies on another panel");
                }
            }
        }
    }

    /// Returns the words of an expression that may be names of metrics.
    fn words(expr: &str) -> impl Iterator<Item = &str> {
        expr.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(|word| word.contains('_'))
    }

    #[test]
    fn links_lead_to_dashboards_that_exist() {
        let all = dashboards();
        let uids: BTreeSet<&str> = all.iter().filter_map(|dashboard| dashboard["uid"].as_str()).collect();
        assert_eq!(uids.len(), DASHBOARDS.len());
        for dashboard in &all {
            let text = dashboard.to_string();
            let linked = text.split("/d/").skip(1).filter_map(|after| after.split(['?', '"', '/']).next());
            for uid in linked {
                assert!(uids.contains(uid), "{uid}");
            }
        }
    }

    /// What is in no dashboard, and why.
    const NOT_SHOWN: &[&names::Metric] = &[
        // What a dashboard shows of them is shown of another metric.
        &names::HTTP_ACTIVE,
        &names::ENDPOINT_LATE_DB_NANOS,
        &names::PROCESS_VIRTUAL,
        &names::PROCESS_VIRTUAL_MAX,
        &names::RULES_RELOAD,
        &names::RULES_RELOAD_TIMESTAMP,
        &names::CPU_THROTTLED,
        &names::TASK_BUSY_NANOS,
        &names::TASK_OVERLAP_NANOS,
        &names::TOKIO_WORKER_PARKS,
        &names::VERSION_REQUESTS,
        // Of services that have such requests: no service of the demo has.
        &names::RPC_DURATION,
        &names::HTTP_OPEN_STREAMS,
        &names::STREAM_DURATION,
        &names::STREAM_MESSAGES,
        // Of damaged files and of receivers that are down; alerts are on them.
        &names::NOTIFICATIONS,
        &names::ARCHIVE_ERRORS,
        &names::ARCHIVE_LOST,
        &names::ARCHIVE_SET_ASIDE,
    ];

    #[test]
    fn every_metric_is_in_a_dashboard_or_on_the_list_of_those_that_are_not() {
        let all: String = grafana(&RuleSet::embedded()).into_iter().map(|file| file.text).collect();
        let words: BTreeSet<&str> = words(&all).collect();
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let is_shown =
            |metric: &names::Metric| suffixes.iter().any(|suffix| words.contains(&*format!("{}{suffix}", metric.name)));
        for metric in names::CATALOGUE {
            let is_listed = NOT_SHOWN.iter().any(|other| other.name == metric.name);
            assert!(is_shown(metric) != is_listed, "{}: shown: {}", metric.name, is_shown(metric));
        }
    }

    #[test]
    fn thresholds_are_those_of_the_rules_of_the_set() {
        let text = &grafana(&RuleSet::embedded())[0].text;
        assert!(text.contains(names::RULE_THRESHOLD.name) && text.contains("slow_tail"), "{text}");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("none.yaml"), "rules: []\n").expect("writes");
        let none = RuleSet::load_dir(directory.path()).expect("good rules");
        assert!(grafana(&none).iter().all(|file| !file.text.contains(names::RULE_THRESHOLD.name)));
    }
}
