//! Compares shifts and error ratios with a second implementation.
//!
//! `tests/fixtures/stats/reference.json` was written by the Python script beside it; the script says with which
//! library.

use serde::Deserialize;

use super::{
    errors::ErrorChange,
    shift::Shift,
    snapshot::{LatencyBucket, LatencyHistogram, RouteLatency},
};

#[derive(Deserialize)]
struct Reference {
    shifts: Vec<ShiftCase>,
    errors: Vec<ErrorCase>,
}

#[derive(Deserialize)]
struct ShiftCase {
    name: String,
    q: f64,
    histograms: [Counts; 2],
    values: [f64; 2],
    ratio_interval: [f64; 2],
    p: f64,
    exact_ratio_interval: [f64; 2],
}

#[derive(Deserialize)]
struct Counts {
    edges: Vec<f64>,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
struct ErrorCase {
    before: [u64; 2],
    after: [u64; 2],
    interval: [f64; 2],
    p: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../../tests/fixtures/stats/reference.json")).expect("written by generate.py")
}

/// Fails unless the two agree to nine digits, or are both next to nothing.
#[track_caller]
fn check(what: &str, ours: f64, theirs: f64) {
    let far = (ours - theirs).abs();
    assert!(far <= 1e-9 * theirs.abs() || far <= 1e-13, "{what}: {ours:e}, reference {theirs:e}");
}

impl Counts {
    fn histogram(&self) -> LatencyHistogram {
        let bucket = |(edges, &count): (&[f64], &u64)| LatencyBucket::from((edges[0], edges[1], count));
        LatencyHistogram {
            sum_seconds: 1.0,
            min_seconds: self.edges[0],
            max_seconds: self.edges[self.edges.len() - 1],
            buckets: self.edges.windows(2).zip(&self.counts).map(bucket).collect(),
        }
    }
}

#[test]
fn shift_of_a_percentile_agrees_with_numpys_interpolation() {
    for case in reference().shifts {
        let [before, after] = [&case.histograms[0], &case.histograms[1]].map(Counts::histogram);
        let ours = Shift::of(case.q, &before, &after).expect("both have requests");
        check(&case.name, ours.before_seconds, case.values[0]);
        check(&case.name, ours.after_seconds, case.values[1]);
        check(&case.name, ours.ratio_interval.0, case.ratio_interval[0]);
        check(&case.name, ours.ratio_interval.1, case.ratio_interval[1]);
        check(&case.name, ours.p_value, case.p);
    }
}

#[test]
fn interval_of_a_shift_is_within_a_bucket_of_scipys_exact_one() {
    for case in reference().shifts {
        let [before, after] = [&case.histograms[0], &case.histograms[1]].map(Counts::histogram);
        let ours = Shift::of(case.q, &before, &after).expect("both have requests").ratio_interval;
        for (ours, exact) in [ours.0, ours.1].into_iter().zip(case.exact_ratio_interval) {
            assert!((ours / exact).ln().abs() < 0.05, "{}: {ours}, exactly {exact}", case.name);
        }
    }
}

#[test]
fn error_ratios_agree_with_statsmodels() {
    for case in reference().errors {
        let route = |[failed, requests]: [u64; 2]| RouteLatency {
            method: "GET".into(),
            route: "/".into(),
            latency: LatencyHistogram {
                buckets: vec![(0.0, 1.0, requests - failed).into()],
                ..LatencyHistogram::default()
            },
            failed,
            refused: 0,
        };
        let ours = ErrorChange::of(&route(case.before), &route(case.after)).expect("enough requests");
        check("low", ours.difference_interval.0, case.interval[0]);
        check("high", ours.difference_interval.1, case.interval[1]);
        check("p", ours.p_value, case.p);
    }
}
