//! The catalogue of measures: its names, and the units of metrics.

use super::*;
use std::collections::HashSet;

#[test]
fn names_are_unique_within_their_scope() {
    let names: HashSet<_> = CATALOGUE.iter().map(|entry| (entry.scope, entry.name)).collect();
    assert_eq!(names.len(), CATALOGUE.len());
}

#[test]
fn a_measure_stands_once_in_a_scope() {
    let measures: HashSet<_> = CATALOGUE.iter().map(|entry| (entry.scope, entry.measure)).collect();
    assert_eq!(measures.len(), CATALOGUE.len());
}

#[test]
fn the_end_of_a_metrics_name_is_its_unit() {
    assert_eq!(metric_unit("queue_wait_seconds", Measure::Quantile(99)), Unit::Seconds);
    assert_eq!(metric_unit("queue_wait_seconds", Measure::Rate), Unit::PerSecond);
    assert_eq!(metric_unit("gc_pause_seconds_total", Measure::Rate), Unit::Ratio);
    assert_eq!(metric_unit("sent_bytes_total", Measure::Rate), Unit::BytesPerSecond);
    assert_eq!(metric_unit("cache_hit_ratio", Measure::Value), Unit::Ratio);
    assert_eq!(metric_unit("queue_depth", Measure::Value), Unit::Count);
}
