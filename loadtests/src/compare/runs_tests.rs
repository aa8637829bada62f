use super::*;
use crate::{record::rank_of, result::PointResult, scenario::Random};

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
            PointResult {
                start: f64::from(second),
                span: 1.0,
                requests: 500,
                p50: Some(p50),
                p95: Some(p95),
                ..PointResult::default()
            }
        })
        .collect();
    of_series(series)
}

/// A run whose only endpoint has these points.
fn of_series(series: Vec<PointResult>) -> RunResult {
    let endpoint =
        EndpointResult { endpoint: "/a".to_owned(), method: "GET".to_owned(), series, ..EndpointResult::default() };
    RunResult { total: endpoint.clone(), endpoints: vec![endpoint], ..RunResult::default() }
}

/// Of 400 pairs: how many are found to be worse, or changed at all.
fn found(ratio: f64, noise: Noise) -> (usize, usize) {
    let mut random = Random::new(42);
    let (mut worse, mut changed) = (0, 0);
    for _ in 0..PAIRS {
        let comparison = compare(&run(0.02, noise, &mut random), &run(0.02 * ratio, noise, &mut random));
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
fn a_build_three_times_as_slow_is_found_however_slowly_its_seconds_vary() {
    // Each second resembles the one before nearly exactly, as with a sleep in the handler and a timer that drifts.
    let steady = |level: f64| {
        let point = |second: i32| {
            let time = level + f64::from(second) * 1e-4;
            PointResult {
                start: f64::from(second),
                span: 1.0,
                requests: 9,
                p50: Some(time),
                p95: Some(time),
                ..PointResult::default()
            }
        };
        of_series((0..20).map(point).collect())
    };
    assert!(compare(&steady(0.15), &steady(0.45)).has_regression());
    // A drift that covers the distance is still no proof.
    assert!(!compare(&steady(0.015), &steady(0.0165)).has_regression());
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
    let error = check_comparable(&run(0.02, Noise::Independent, &mut random).load, &other.load).unwrap_err();
    assert!(matches!(error, CompareError::Load { .. }), "{error}");
}

#[test]
fn a_run_of_three_seconds_is_too_short() {
    let mut random = Random::new(1);
    let mut short = run(0.02, Noise::Independent, &mut random);
    short.endpoints[0].series.truncate(3);
    short.total.series.truncate(3);
    let comparison = compare(&short, &run(0.2, Noise::Independent, &mut random));
    assert!(comparison.changes.iter().all(|change| change.direction == Direction::TooLittleData));
    assert_eq!(check_conclusive(&comparison), Err(CompareError::TooLittleData));
}

#[test]
fn runs_without_a_common_endpoint_say_nothing() {
    let mut random = Random::new(1);
    let mut other = run(0.02, Noise::Independent, &mut random);
    other.endpoints[0].endpoint = "/b".to_owned();
    let comparison = compare(&run(0.02, Noise::Independent, &mut random), &other);
    assert_eq!(comparison.only_in_one, ["GET /b", "GET /a"]);
    assert_eq!(check_conclusive(&comparison), Err(CompareError::NoCommonEndpoint));
}

#[test]
fn what_too_many_comparisons_drown_is_too_little_data_and_not_the_same() {
    let mut random = Random::new(1);
    let mut run = |level| {
        let mut run = run(level, Noise::Independent, &mut random);
        // Five of them are compared.
        run.total.series.truncate(7);
        run.endpoints[0].series.truncate(7);
        let second = EndpointResult { endpoint: "/b".to_owned(), ..run.endpoints[0].clone() };
        run.endpoints.push(second);
        run
    };
    let comparison = compare(&run(0.02), &run(0.2));
    assert!(comparison.changes.iter().all(|change| change.direction == Direction::TooLittleData), "{comparison:?}");
}

/// A run as the tool records it: users who wait half a second between requests that take 20 ms, give or take as an
/// exponential distribution has it, looked at every `tick` seconds.
fn recorded(seconds: f64, tick: f64, mean: f64, random: &mut Random) -> RunResult {
    let ticks = (seconds / tick).round() as usize;
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); ticks];
    for _ in 0..3 {
        let mut now = random.unit() * 0.5;
        while now < seconds {
            let latency = -mean * (1.0 - random.unit()).ln();
            now += latency;
            if let Some(point) = samples.get_mut((now / tick) as usize) {
                point.push(latency);
            }
            now += 0.5;
        }
    }
    let point = |(index, mut latencies): (usize, Vec<f64>)| {
        latencies.sort_by(f64::total_cmp);
        let at = |q| latencies.get(rank_of(q, latencies.len() as u64) as usize - 1).copied().unwrap_or(0.0);
        // Steps of 1 % of the logarithm of microseconds.
        let cells = latencies.iter().map(|latency| format!("{:.0}:1 ", (latency * 1e6).max(1.0).ln() * 100.0));
        PointResult {
            start: index as f64 * tick,
            span: tick,
            requests: latencies.len() as u64,
            p50: Some(at(0.5)),
            p95: Some(at(0.95)),
            distribution: cells.collect::<String>().parse().unwrap(),
            ..PointResult::default()
        }
    };
    of_series(samples.into_iter().enumerate().map(point).collect())
}

/// Of 200 pairs of runs of such lengths and ticks: how many are called different, the second slower by `ratio`.
fn different(old: (f64, f64), new: (f64, f64), ratio: f64) -> usize {
    let mut random = Random::new(7);
    let differs = |_: &usize| {
        let (first, second) =
            (recorded(old.0, old.1, 0.02, &mut random), recorded(new.0, new.1, 0.02 * ratio, &mut random));
        compare(&first, &second)
            .changes
            .iter()
            .any(|change| matches!(change.direction, Direction::Worse | Direction::Better))
    };
    (0..200).filter(differs).count()
}

#[test]
fn runs_of_different_length_are_no_different_for_that() {
    for (old, new) in [
        ((12.0, 0.2), (30.0, 1.0)),
        ((30.0, 1.0), (12.0, 0.2)),
        ((20.0, 0.5), (12.0, 0.2)),
        // Ticks that do not fit into each other.
        ((12.0, 0.4), (30.0, 1.0)),
        // Of a long run two ticks make a point.
        ((30.0, 1.0), (300.0, 2.0)),
    ] {
        let changed = different(old, new, 1.0);
        assert!(changed * 100 <= 200 * 5, "{old:?} and {new:?}: {changed} of 200 called different");
    }
}

#[test]
fn a_change_is_found_between_runs_of_different_length() {
    let found = different((30.0, 1.0), (300.0, 2.0), 2.0);
    assert!(found * 100 >= 200 * 90, "only {found} of 200 found");
}
