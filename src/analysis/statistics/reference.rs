//! Compares every formula with a second implementation, and checks properties that hold for any series.
//!
//! `tests/fixtures/stats/reference.json` was written by the Python script beside it; the script says with which
//! library.

use proptest::prelude::*;
use serde::Deserialize;

use super::{MannKendall, RankSum, Step, TheilSen, benjamini_hochberg, holm, inflation, tail};

#[derive(Deserialize)]
struct Reference {
    series: Vec<Series>,
    inflation: Vec<Inflation>,
    histograms: Vec<Histograms>,
    normal_upper: Vec<(f64, f64)>,
    student_two_sided: Vec<(f64, u32, f64)>,
    student_95: Vec<(u32, f64)>,
    p_values: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[derive(Deserialize)]
struct Series {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    s: i64,
    variance: f64,
    z: f64,
    p: f64,
    exact_p: Option<f64>,
    slope: f64,
    low: f64,
    high: f64,
    intercept: f64,
    step: Option<StepReference>,
}

#[derive(Deserialize)]
struct StepReference {
    index: usize,
    before: f64,
    after: f64,
    p: f64,
    inflated_p: f64,
}

#[derive(Deserialize)]
struct Inflation {
    values: Vec<f64>,
    factor: f64,
}

#[derive(Deserialize)]
struct Histograms {
    name: String,
    first: Vec<f64>,
    second: Vec<f64>,
    u: f64,
    p: f64,
    delta: f64,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../../tests/fixtures/stats/reference.json")).expect("written by generate.py")
}

/// Fails unless the two agree to ten digits, or are both next to nothing.
#[track_caller]
fn check(what: &str, ours: f64, theirs: f64) {
    let far = (ours - theirs).abs();
    assert!(far <= 1e-10 * theirs.abs() || far <= 1e-13, "{what}: {ours:e}, reference {theirs:e}");
}

#[test]
fn mann_kendall_agrees_with_pymannkendall() {
    for case in reference().series {
        let ours = MannKendall::of(&case.y);
        assert_eq!(ours.s, case.s, "{}", case.name);
        check(&case.name, ours.variance, case.variance);
        check(&case.name, ours.z(1.0), case.z);
        if case.y.len() > super::mann_kendall::EXACT_UP_TO {
            check(&case.name, ours.p_value(1.0), case.p);
        }
    }
}

#[test]
fn short_series_get_the_exact_p_value() {
    let mut seen = 0;
    for (case, exact) in reference().series.into_iter().filter_map(|case| case.exact_p.map(|exact| (case, exact))) {
        check(&case.name, MannKendall::of(&case.y).p_value(1.0), exact);
        seen += 1;
    }
    assert!(seen >= 10);
}

#[test]
fn theil_sen_agrees_with_scipy() {
    for case in reference().series {
        let line = TheilSen::fit(&case.x, &case.y, &MannKendall::of(&case.y), 1.0).expect("x differ");
        check(&case.name, line.slope, case.slope);
        check(&case.name, line.low, case.low);
        check(&case.name, line.high, case.high);
        check(&case.name, line.intercept, case.intercept);
        assert_eq!(TheilSen::slope(&case.x, &case.y), Some(line.slope));
    }
}

#[test]
fn best_split_agrees_with_scipys_rank_sum_tests() {
    let (mut seen, mut none) = (0, 0);
    for case in reference().series {
        let (Some(ours), Some(theirs)) = (Step::locate(&case.y), &case.step) else {
            assert!(Step::locate(&case.y).is_none() && case.step.is_none(), "{}", case.name);
            none += 1;
            continue;
        };
        assert_eq!(ours.index, theirs.index, "{}", case.name);
        check(&case.name, ours.before, theirs.before);
        check(&case.name, ours.after, theirs.after);
        check(&case.name, ours.p_value(&case.y, 1.0), theirs.p);
        check(&case.name, ours.p_value(&case.y, 3.0), theirs.inflated_p);
        seen += 1;
    }
    assert!(seen >= 40 && none >= 5, "{seen} with a step, {none} without");
}

#[test]
fn inflation_agrees_with_a_whole_correlation_matrix() {
    for case in reference().inflation {
        check("inflation", inflation(&case.values), case.factor);
    }
}

#[test]
fn rank_sum_agrees_with_scipys_mann_whitney() {
    for case in reference().histograms {
        let ours = RankSum::of(&case.first, &case.second).expect("both have observations");
        check(&case.name, ours.u, case.u);
        check(&case.name, ours.p_value(1.0), case.p);
        check(&case.name, ours.delta, case.delta);
    }
}

#[test]
fn tails_agree_with_scipy() {
    let reference = reference();
    for (z, p) in reference.normal_upper {
        check("normal", tail::normal_upper(z), p);
        check("normal", tail::normal_two_sided(z), 2.0 * p.min(1.0 - p));
    }
    for (t, freedom, p) in reference.student_two_sided {
        check("student", tail::student_two_sided(t, freedom), p);
    }
    for (freedom, t) in reference.student_95 {
        check("95 %", tail::student_95(freedom), t);
    }
}

#[test]
fn adjusted_p_values_agree_with_statsmodels() {
    let reference = reference();
    for (ours, theirs) in holm(&reference.p_values).iter().zip(&reference.holm) {
        check("holm", *ours, *theirs);
    }
    for (ours, theirs) in benjamini_hochberg(&reference.p_values).iter().zip(&reference.benjamini_hochberg) {
        check("benjamini-hochberg", *ours, *theirs);
    }
}

/// Whole numbers, so that shifting and scaling them loses nothing, and ties occur.
fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-500_i32..500).prop_map(f64::from), 2..40)
}

fn times(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64).collect()
}

fn line(y: &[f64]) -> TheilSen {
    TheilSen::fit(&times(y.len()), y, &MannKendall::of(y), 1.0).expect("times differ")
}

proptest! {
    #[test]
    fn shifting_and_scaling_change_no_result(y in values(), shift in -1000_i32..1000, scale in 1_i32..9) {
        let moved: Vec<f64> = y.iter().map(|v| v * f64::from(scale) + f64::from(shift)).collect();
        prop_assert_eq!(MannKendall::of(&y), MannKendall::of(&moved));
        let (one, other) = (line(&y), line(&moved));
        prop_assert!((one.slope * f64::from(scale) - other.slope).abs() < 1e-9);
        prop_assert_eq!(Step::locate(&y).map(|s| s.index), Step::locate(&moved).map(|s| s.index));
    }

    #[test]
    fn negated_series_has_the_opposite_trend(y in values()) {
        let turned: Vec<f64> = y.iter().map(|v| -v).collect();
        let (up, down) = (MannKendall::of(&y), MannKendall::of(&turned));
        prop_assert_eq!(up.s, -down.s);
        prop_assert_eq!(up.p_value(1.0), down.p_value(1.0));
        prop_assert!((line(&y).slope + line(&turned).slope).abs() < 1e-12);
    }

    #[test]
    fn rising_series_has_the_largest_score(mut y in prop::collection::btree_set(-500_i32..500, 3..40)) {
        let rising: Vec<f64> = std::mem::take(&mut y).into_iter().map(f64::from).collect();
        let n = rising.len() as i64;
        let found = MannKendall::of(&rising);
        prop_assert_eq!(found.s, n * (n - 1) / 2);
        prop_assert!(line(&rising).slope > 0.0);
        prop_assert!(n < 6 || found.p_value(1.0) < 0.01);
    }

    #[test]
    fn order_of_the_values_changes_only_the_score(y in values(), seed in any::<u64>()) {
        let mut shuffled = y.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(MannKendall::of(&y).variance, MannKendall::of(&shuffled).variance);
    }

    #[test]
    fn p_values_lie_between_zero_and_one(y in values(), factor in 1.0..20.0_f64) {
        let found = MannKendall::of(&y);
        let of_step = Step::locate(&y).map_or(1.0, |step| step.p_value(&y, factor));
        for p in [found.p_value(1.0), found.p_value(factor), of_step] {
            prop_assert!((0.0..=1.0).contains(&p), "{}", p);
        }
        let line = line(&y);
        prop_assert!(line.low <= line.slope && line.slope <= line.high);
    }

    #[test]
    fn swapping_the_histograms_negates_the_delta(a in prop::collection::vec(0_u32..50, 6), b in prop::collection::vec(0_u32..50, 6)) {
        let [a, b] = [a, b].map(|counts| counts.into_iter().map(f64::from).collect::<Vec<f64>>());
        if let (Some(one), Some(other)) = (RankSum::of(&a, &b), RankSum::of(&b, &a)) {
            prop_assert!((one.delta + other.delta).abs() < 1e-12);
            prop_assert!((one.p_value(1.0) - other.p_value(1.0)).abs() < 1e-12);
            prop_assert!((-1.0..=1.0).contains(&one.delta));
        }
    }
}
