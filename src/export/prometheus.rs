//! [`prometheus`]: a set of rules as a rule file of Prometheus.

use super::{
    alerts::{Export, LeftOut},
    query::Histograms,
};
use crate::RuleSet;

/// A rule file, and what is not in it.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file, in YAML.
    pub file: String,
    /// Rules without an alert, in the order of the set.
    pub left_out: Vec<LeftOut>,
}

/// Returns the rules as alerts of Prometheus: one for each rule and severity, with plain PromQL over what the monitor exposes at
/// `/metrics`.
///
/// A rule that Prometheus cannot judge, because the evidence that it needs is in the process only, is left out and reported with the
/// reason. Alerts have the labels `severity`, `level` (`critical`, `warning` or `info`) and `rule`, and the annotations `summary`,
/// `description` and `runbook_url`.
///
/// ```
/// use pinchpoint::{RuleSet, export};
///
/// let exported = export::prometheus(&RuleSet::embedded(), export::Histograms::Classic);
/// assert!(exported.file.contains("alert: SlowEndpointCritical"));
/// ```
#[must_use]
pub fn prometheus(rules: &RuleSet, histograms: Histograms) -> Exported {
    let mut export = Export::of(rules, histograms);
    let left_out = std::mem::take(&mut export.left_out);
    let mut about = "Alerts of the rules in rules/*.yaml, for Prometheus.".to_owned();
    if !left_out.is_empty() {
        about += "\n\nLeft out, since Prometheus cannot judge them (pinchpoint.in-process.rules.yml alerts on them):";
    }
    for LeftOut { rule, reason } in &left_out {
        about += &format!("\n- {rule}: {reason}");
    }
    let command = match histograms {
        Histograms::Classic => "pinchpoint rules export --to prometheus",
        Histograms::Native => "pinchpoint rules export --to prometheus --native",
    };
    Exported { file: export.into_groups().to_yaml(&about, command), left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(rules: &str) -> Exported {
        exported_for(rules, Histograms::Classic)
    }

    fn exported_for(rules: &str, histograms: Histograms) -> Exported {
        let directory = tempfile::tempdir().expect("a place for temporary files");
        std::fs::write(directory.path().join("rules.yaml"), rules).expect("it can be written");
        prometheus(&RuleSet::load_dir(directory.path()).expect("good rules"), histograms)
    }

    /// Returns the expression of an alert, in one line, with what it reads of recording rules.
    fn expression(exported: &Exported, alert: &str) -> String {
        let (_, after) = exported.file.split_once(&format!("alert: {alert}\n")).expect("the alert is there");
        let (_, expression) = after.split_once("expr: ").expect("an alert has an expression");
        let lines = expression.trim_start_matches("|-").lines().take_while(|line| !line.trim().starts_with("for:"));
        let expression = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        let records = exported.file.split("- record: ").skip(1).filter_map(|record| record.split_once("\n"));
        let mut names = std::collections::HashSet::new();
        records.fold(expression, |expression, (name, rest)| {
            assert!(names.insert(name), "{name} is recorded twice");
            let recorded = rest.trim().trim_start_matches("expr: ").lines().next().unwrap_or_default();
            expression.replace(name, recorded)
        })
    }

    const RULE: &str = "
rules:
  - id: slow_shop
    scope: endpoint
    measure: avg_duration
    min_samples: 7
    for: 30s
    match: { http_request_method: GET, http_route: \"/shop/*\" }
    exclude: [{ http_route: \"/shop/{id}\" }, { http_request_method: GET, http_route: \"*.pdf\" }]
    overrides:
      - match: { http_route: \"/shop/import*\" }
        thresholds: { high: \"> 10s\", critical: off }
    only_if: \"error_ratio < 10% or not (request_rate <= 2/s)\"
    thresholds: { high: \"> 1s\", critical: \">= 5s\" }
    description: \"{subject} is slow\"
    impact: \"{value}\"
";

    #[test]
    fn every_shipped_rule_has_its_alerts() {
        for histograms in [Histograms::Classic, Histograms::Native] {
            assert_eq!(prometheus(&RuleSet::embedded(), histograms).left_out, []);
        }
        assert!(prometheus(&RuleSet::embedded(), Histograms::Native).file.contains("histogram_count(increase("));
    }

    #[test]
    fn subjects_are_selected_as_the_rule_selects_them() {
        let exported = exported(RULE);
        let high = expression(&exported, "SlowShopHigh");
        let (own, other) = high.split_once("])) or (").expect("the rule's own and the override's");
        for part in [own, other] {
            assert!(part.contains(r#"http_request_method="GET""#), "{part}");
            assert!(part.contains(r#"http_route=~"/shop/.*""#), "{part}");
            assert!(part.contains(r#"http_route!="/shop/{id}""#), "{part}");
            assert!(part.contains(") >= 7 and on ("), "{part}");
            assert!(part.contains(r#"unless on (job, instance, http_request_method, http_route) group by"#), "{part}");
            assert!(part.contains(r#"http_route=~".*\\.pdf""#), "{part}");
        }
        assert!(own.contains(r#"http_route!~"/shop/import.*""#) && own.contains(") > 1 "), "{own}");
        assert!(other.contains(r#"http_route=~"/shop/import.*""#) && other.contains(") > 10 "), "{other}");
        let critical = expression(&exported, "SlowShopCritical");
        assert!(critical.contains(">= 5 ") && !critical.contains(r#"http_route=~"/shop/import"#), "{critical}");
    }

    #[test]
    fn native_histograms_have_no_series_of_counts() {
        let native = exported_for(RULE, Histograms::Native).file;
        assert!(
            native.contains("(http_server_request_duration_seconds{http_request_method=\"GET\",http_route=~"),
            "{native}"
        );
        assert!(
            !native.contains("_seconds_count") && !native.contains("_seconds_sum") && !native.contains("_bucket"),
            "{native}"
        );
    }

    #[test]
    fn a_metric_of_the_service_is_read_by_its_labels() {
        let rule = "
rules:
  - id: mail_queue
    scope: metric
    metric: mail_queue_length
    measure: value
    match: { kind: \"mail*\" }
    by: [queue]
    exclude: [{ queue: test }]
    thresholds: { high: \"> 100\" }
    description: \"{subject} is long\"
    impact: \"{value} wait\"
";
        let exported = exported(rule);
        let labels = r#"kind=~"mail.*",queue!="test""#;
        let expected = format!("(sum by (job, instance, queue) (mail_queue_length{{{labels}}})) > 100");
        assert!(exported.file.contains(&expected), "{}", exported.file);
        assert!(
            exported.file.contains(r#"mail_queue_length{queue="{{ $labels.queue }}"} is long"#),
            "{}",
            exported.file
        );
    }

    #[test]
    fn what_only_the_process_knows_is_left_out_with_its_reason() {
        let rule = RULE.replace("avg_duration", "max_duration").replace("subject} is slow", "subject}");
        let left_out = exported(&rule).left_out;
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].rule, "slow_shop");
        assert!(left_out[0].reason.starts_with("max_duration: a histogram of Prometheus"), "{left_out:?}");
        let rule = RULE.replace("error_ratio < 10% or not (request_rate <= 2/s)", "longest_poll > 10ms");
        let reason = &exported(&rule).left_out[0].reason;
        assert!(reason.starts_with("only_if: longest_poll: a histogram"), "{reason}");
        let rule = RULE.replace("error_ratio < 10%", "cause == computing");
        assert_eq!(exported(&rule).left_out[0].reason, "only_if: cause is a word, which the process alone knows");
    }
}
