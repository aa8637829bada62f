//! [`scraped`]: what a Prometheus calls the labels that a service gives its own metrics.
//!
//! `/metrics` spells them as Prometheus allows, a scrape renames those that the target has too, and an alert has labels of its own. The
//! invariant that a change could break: a label of a rule is exported by the name that it has then, or its rule is left out.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::query::{TARGET, quoted};
use crate::{
    names,
    rules::{
        Measure, MetricSelector, Rule,
        alert_labels::{ALERT_NAME, LEVEL},
    },
    store::label_name,
};

/// What stands before a label whose name is taken: Prometheus's own word for it.
const TAKEN: &str = "exported_";
/// Labels that an alert gets from its rule, and `ALERTS` from Prometheus.
const OF_ALERTS: [&str; 6] = [ALERT_NAME, "alertstate", names::SEVERITY, LEVEL, names::RULE, names::SUBJECT];
/// Label of the buckets of a histogram.
const BUCKET: &str = "le";

/// Returns what a label of a service's own metric is called after a scrape without `honor_labels`.
pub(crate) fn scraped(label: &str) -> Cow<'_, str> {
    let spelt = label_name(label);
    if TARGET.contains(&&*spelt) { format!("{TAKEN}{spelt}").into() } else { spelt }
}

/// Returns what a label is called in an alert.
fn alerted(label: &str) -> Cow<'_, str> {
    let scraped = scraped(label);
    if OF_ALERTS.contains(&&*scraped) { format!("{TAKEN}{scraped}").into() } else { scraped }
}

/// Checks that Prometheus tells the labels apart that a rule names.
///
/// # Errors
/// Returns which ones it does not.
pub(super) fn check(rule: &Rule) -> Result<(), String> {
    let Some(MetricSelector { matches, by, .. }) = &rule.metric else { return Ok(()) };
    let globs = rule.exclude.iter().chain(rule.overrides.iter().map(|other| &other.matches)).chain([matches]);
    let named = globs.flat_map(|globs| globs.0.iter().map(|(label, _)| label)).chain(by);
    each_by_its_name(named.clone(), scraped)?;
    each_by_its_name(by.iter(), alerted)?;
    if rule.measure != Measure::Value && named.into_iter().any(|label| **label == *BUCKET) {
        return Err(format!("{BUCKET} is the label of the buckets of a histogram"));
    }
    Ok(())
}

fn each_by_its_name<'a>(
    labels: impl Iterator<Item = &'a Arc<str>>,
    name: impl Fn(&str) -> Cow<'_, str>,
) -> Result<(), String> {
    let mut known: BTreeMap<String, &str> = BTreeMap::new();
    for label in labels {
        let name = name(label).into_owned();
        match known.get(&name) {
            Some(other) if *other != &**label => {
                return Err(format!("Prometheus would call both {other:?} and {label:?} {name}"));
            }
            _ => known.insert(name, label),
        };
    }
    Ok(())
}

/// Renames the labels of an expression that its alert would overwrite, so that two subjects stay two alerts.
pub(super) fn beside_those_of_alerts(expression: String, by: &[Arc<str>]) -> String {
    by.iter().fold(expression, |expression, label| {
        let (from, to) = (scraped(label), alerted(label));
        if from == to {
            return expression;
        }
        format!("label_replace(\n{expression},\n{}, \"$1\", {}, \"(.*)\"\n)", quoted(&to), quoted(&from))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_name_that_it_has_after_a_scrape_and_in_an_alert() {
        #[track_caller]
        fn check(label: &str, expected: (&str, &str)) {
            assert_eq!((&*scraped(label), &*alerted(label)), expected, "{label}");
        }
        check("queue", ("queue", "queue"));
        check("my-label", ("my_label", "my_label"));
        check("http.route", ("http_route", "http_route"));
        check("größe", ("U__gr_f6__df_e", "U__gr_f6__df_e"));
        check("job", ("exported_job", "exported_job"));
        check("instance", ("exported_instance", "exported_instance"));
        check("severity", ("severity", "exported_severity"));
        check("alertname", ("alertname", "exported_alertname"));
    }
}
