//! Memory under traffic that rises, falls and comes in waves: growth follows the traffic only if it falls with it.

use super::{
    LeakDetector, LeakVerdict, MemorySample,
    tests::{HOUR, MB, check_found, check_silent, daily, first_finding, noise, samples},
};

/// The resident memory and the traffic of a service that keeps what each request leaves behind, over an hour: age in
/// seconds, bytes, requests a second.
const CHANGING_TRAFFIC: &str = include_str!("../../../tests/fixtures/leak/changing_traffic.txt");

fn changing_traffic() -> Vec<MemorySample> {
    let sample = |line: &str| {
        let mut numbers = line.split(' ').map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("three numbers a line");
        MemorySample { age_seconds: next(), resident_bytes: next(), requests_per_second: Some(next()) }
    };
    CHANGING_TRAFFIC.lines().map(sample).collect()
}

/// Requests a second as they are counted: off by up to a sixth, as 150 requests within a sample are.
fn counted(rate: impl Fn(f64) -> f64) -> impl Fn(f64) -> f64 {
    move |age| rate(age) * (1.0 + noise(age * 7.0 + 3.0) / 6.0)
}

/// Samples under `rate`, with the memory that `step` returns, given the age and the rate.
fn stepped(hours: f64, rate: impl Fn(f64) -> f64, mut step: impl FnMut(f64, f64) -> f64) -> Vec<MemorySample> {
    let mut curve = samples(hours, |age| step(age, rate(age)));
    let rate = counted(rate);
    curve.iter_mut().for_each(|sample| sample.requests_per_second = Some(rate(sample.age_seconds)));
    curve
}

/// Memory by the request: each leaves `bytes` behind.
fn by_the_request(hours: f64, rate: impl Fn(f64) -> f64, bytes: f64) -> Vec<MemorySample> {
    let mut kept = 0.0;
    stepped(hours, rate, |_, rate| {
        kept += bytes * rate * 15.0;
        150.0 * MB + kept
    })
}

/// Memory of a cache with an entry for each user of the last while, which lasts `seconds`.
fn by_the_user(hours: f64, rate: impl Fn(f64) -> f64, seconds: f64, bytes: f64) -> Vec<MemorySample> {
    let mut users = rate(0.0);
    stepped(hours, rate, |_, rate| {
        users += (rate - users) * 15.0 / seconds;
        150.0 * MB + bytes * users
    })
}

/// Traffic that rises for `up` hours from 5 to 50 requests a second, and as long falls back.
fn up_and_down(up: f64) -> impl Fn(f64) -> f64 {
    move |age| 5.0 + 45.0 * (1.0 - (age / HOUR / up - 1.0).abs()).max(0.0)
}

/// Traffic in waves of some hours, between 5 and 45 requests a second.
fn waves(hours: f64) -> impl Fn(f64) -> f64 {
    move |age| 25.0 - 20.0 * (std::f64::consts::TAU * age / HOUR / hours).cos()
}

#[test]
fn leak_under_changing_traffic_is_found_and_never_called_steady() {
    let curve = changing_traffic();
    for seen in 1..=curve.len() {
        let verdict = LeakDetector::new().judge(&curve[..seen]);
        let minutes = curve[seen - 1].age_seconds / 60.0;
        let early = matches!(verdict, LeakVerdict::NotEnoughData { .. }) && minutes < 13.0;
        let found = matches!(verdict, LeakVerdict::Consistent(_));
        assert!(early || found || verdict == LeakVerdict::Rising, "after {minutes:.1} min: {verdict}");
    }
    check_found(&curve, 35.0 / 60.0);
    assert!(matches!(LeakDetector::new().judge(&curve), LeakVerdict::Consistent(_)));
    assert_eq!(LeakVerdict::Rising.to_string(), "memory grows; too early to say whether it leaks");
}

#[test]
fn cache_by_the_user_is_no_leak_while_traffic_rises_nor_when_it_falls() {
    for up in [3.0, 8.0] {
        for lasts in [60.0, 600.0, 1800.0] {
            check_silent(&by_the_user(2.0 * up + 2.0, up_and_down(up), lasts, 8.0 * MB));
        }
    }
}

#[test]
fn cache_that_keeps_every_user_is_accused_only_once_traffic_has_fallen() {
    for up in [3.0, 6.0, 12.0] {
        let found = first_finding(&by_the_request(2.0 * up, up_and_down(up), 1e3));
        assert!(found.is_some_and(|hours| hours > up && hours < up + 2.0), "traffic rose for {up} h: {found:?}");
        let rising = by_the_request(up, up_and_down(up), 1e3);
        assert_eq!(LeakDetector::new().judge(&rising), LeakVerdict::FollowsTraffic);
    }
}

#[test]
fn cache_by_the_user_in_waves_is_no_leak() {
    for hours in [0.5, 1.0, 3.0, 12.0] {
        for lasts in [60.0, 600.0, 1800.0] {
            check_silent(&by_the_user(12.0, waves(hours), lasts, 8.0 * MB));
        }
    }
}

#[test]
fn memory_that_never_comes_back_is_found_within_two_waves() {
    for (hours, bytes) in [(0.5, 5e3), (1.0, 2e3), (3.0, 1e3), (6.0, 500.0), (6.0, 200.0)] {
        check_found(&by_the_request(2.0 * hours, waves(hours), bytes), 2.0 * hours);
    }
}

#[test]
fn growth_that_goes_on_after_traffic_has_risen_is_found() {
    for up in [0.5, 2.0, 6.0] {
        let rate = |age: f64| 5.0 + 45.0 * (age / HOUR / up).min(1.0);
        for bytes in [5e3, 1e3, 500.0] {
            check_found(&by_the_request(up + 2.0, rate, bytes), up + 2.0);
        }
        check_silent(&by_the_user(up + 12.0, rate, 600.0, 8.0 * MB));
    }
}

#[test]
fn warm_up_then_plateau_under_falling_traffic_is_no_leak() {
    for minutes in [3.0, 20.0, 60.0] {
        for down in [1.0, 4.0, 12.0] {
            let rate = |age: f64| 50.0 - 45.0 * (age / HOUR / down).min(1.0);
            check_silent(&stepped(12.0, rate, |age, _| 300.0 * MB - 200.0 * MB * (-age / 60.0 / minutes).exp()));
        }
    }
}

#[test]
fn allocator_that_keeps_the_pages_of_a_peak_is_no_leak() {
    fn kept(rate: impl Fn(f64) -> f64) -> Vec<MemorySample> {
        let mut peak: f64 = 0.0;
        stepped(12.0, rate, |_, rate| {
            peak = peak.max(rate);
            100.0 * MB + 8.0 * MB * peak
        })
    }
    for hours in [0.5, 3.0, 8.0] {
        check_silent(&kept(up_and_down(hours)));
        check_silent(&kept(waves(hours)));
    }
}

#[test]
fn slow_leak_beside_a_daily_wave_is_found_and_the_wave_alone_is_none() {
    let day = |swing: f64, leak: f64| {
        let held = move |age: f64, _| 400.0 * MB + swing * MB * daily(age) + leak * MB * age / HOUR;
        stepped(25.0, |age| 50.0 * daily(age), held)
    };
    for swing in [0.0, 30.0, 100.0] {
        check_found(&day(swing, 10.0), 24.0);
        check_silent(&day(swing, 0.0));
    }
}

#[test]
fn growing_memory_is_not_called_steady_before_it_can_be_judged() {
    let slow = samples(2.0, |age| 200.0 * MB + 10.0 * MB * age / HOUR);
    assert_eq!(LeakDetector::new().judge(&slow), LeakVerdict::Rising);
    let level = samples(2.0, |_| 200.0 * MB);
    assert_eq!(LeakDetector::new().judge(&level), LeakVerdict::Steady);
}
