use super::*;
use crate::scenario::Random;

/// How the seconds of a simulated run vary.
#[derive(Clone, Copy, Debug)]
enum Noise {
    /// Each second by itself.
    Independent,
    /// Each second resembles the one before, as on a machine with neighbours.
    Drifting,
    /// Now and then a pause, as of a garbage collector or a disk.
    Bursts,
    /// A level of its own for each run, as memory layout gives it, and independent seconds.
    RunLevel,
}

fn normal(random: &mut Random) -> f64 {
    // Sum of twelve uniform values: near enough in the middle, which is what ranks see.
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// A run of 30 seconds whose latency is `level` seconds, give or take the noise.
fn run(level: f64, noise: Noise, random: &mut Random) -> RunResult {
    let mut drift = 0.0;
    let run_level = if matches!(noise, Noise::RunLevel) { (normal(random) * 0.02).exp() } else { 1.0 };
    let series = (0..30)
        .map(|second| {
            let wobble = match noise {
                Noise::Independent | Noise::RunLevel => normal(random) * 0.05,
                Noise::Drifting => {
                    drift = drift * 0.7 + normal(random) * 0.05;
                    drift
                }
                Noise::Bursts => normal(random) * 0.03 + if random.unit() < 0.1 { 0.8 } else { 0.0 },
            };
            let p50 = level * run_level * wobble.exp();
            let p95 = p50 * 2.0 * (normal(random) * 0.08).exp();
            PointResult { start: f64::from(second), span: 1.0, requests: 500, p50, p95, ..PointResult::default() }
        })
        .collect();
    let endpoint = EndpointResult {
        endpoint: "/a".to_owned(),
        method: "GET".to_owned(),
        total_requests: 15_000,
        series,
        ..EndpointResult::default()
    };
    RunResult { endpoints: vec![endpoint], ..RunResult::default() }
}

/// Of 400 pairs: how many are found to be worse, or changed at all.
fn found(ratio: f64, noise: Noise) -> (usize, usize) {
    let mut random = Random::new(42);
    let (mut worse, mut changed) = (0, 0);
    for _ in 0..PAIRS {
        let comparison = compare(&run(0.02, noise, &mut random), &run(0.02 * ratio, noise, &mut random)).unwrap();
        worse += usize::from(comparison.has_regression());
        changed += usize::from(comparison.changes.iter().any(|change| change.direction != Direction::Same));
    }
    (worse, changed)
}

const PAIRS: usize = 400;

#[test]
fn two_runs_of_one_build_pass_at_least_95_times_of_100() {
    for noise in [Noise::Independent, Noise::Drifting, Noise::Bursts, Noise::RunLevel] {
        let (_, changed) = found(1.0, noise);
        assert!(changed * 100 <= PAIRS * 5, "{noise:?}: {changed} of {PAIRS} called different");
    }
}

#[test]
fn a_build_slower_by_a_quarter_is_found() {
    for noise in [Noise::Independent, Noise::Drifting, Noise::Bursts, Noise::RunLevel] {
        let (worse, _) = found(1.25, noise);
        assert!(worse * 100 >= PAIRS * 90, "{noise:?}: only {worse} of {PAIRS} found");
    }
}

#[test]
fn a_faster_build_is_no_regression() {
    let (worse, changed) = found(0.7, Noise::Independent);
    assert_eq!((worse, changed), (0, PAIRS));
}

#[test]
fn different_loads_do_not_compare() {
    let mut random = Random::new(1);
    let mut other = run(0.02, Noise::Independent, &mut random);
    other.load.users = Some(50);
    let error = compare(&run(0.02, Noise::Independent, &mut random), &other).unwrap_err();
    assert!(matches!(error, Incomparable::Load { .. }), "{error}");
}

#[test]
fn a_run_of_three_seconds_is_too_short() {
    let mut random = Random::new(1);
    let mut short = run(0.02, Noise::Independent, &mut random);
    short.endpoints[0].series.truncate(3);
    let comparison = compare(&short, &run(0.2, Noise::Independent, &mut random)).unwrap();
    assert!(comparison.changes.iter().all(|change| change.direction == Direction::TooLittleData));
}
