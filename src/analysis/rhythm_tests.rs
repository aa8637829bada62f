//! Rhythms of made-up days: what is silent, rare or dropped, and what is not.

use super::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// A Monday, in seconds since the Unix epoch.
const MONDAY: u64 = 4 * DAY + 100 * WEEK;

/// A service that runs, with one subject.
struct Course {
    time: MeasuredTime,
    rhythm: Rhythm,
    now: u64,
    random: u64,
}

impl Course {
    fn new() -> Self {
        let mut time = MeasuredTime::default();
        time.add(MONDAY, MONDAY);
        Self { time, rhythm: Rhythm::default(), now: MONDAY, random: 0x9E37_79B9_7F4A_7C15 }
    }

    fn seeded(seed: u64) -> Self {
        Self { random: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), ..Self::new() }
    }

    /// Lets the time go on to `age` after the beginning, in steps of a minute; `rate` returns how many there are in the minute that
    /// begins at an age.
    fn run(&mut self, age: u64, mut rate: impl FnMut(u64) -> u64) -> &mut Self {
        while self.now < MONDAY + age {
            let from = self.now;
            self.now += MINUTE;
            self.time.add(from, self.now);
            let count = rate(from - MONDAY);
            self.rhythm.add(self.now, count, &self.time);
        }
        self
    }

    /// As `run`, with Poisson counts of these means.
    fn run_random(&mut self, age: u64, mean: impl Fn(u64) -> f64) -> &mut Self {
        let mut random = self.random;
        self.run(age, |at| poisson(mean(at), &mut random));
        self.random = random;
        self
    }

    /// The service does not run until `age`.
    fn pause(&mut self, age: u64) -> &mut Self {
        self.now = MONDAY + age;
        self
    }

    fn absent(&self) -> Option<f64> {
        self.rhythm.silence(self.now, &self.time).map(|silence| silence.absent_seconds)
    }

    fn dropped(&self) -> Option<f64> {
        self.rhythm.drop(self.now, &self.time).map(|drop| drop.ratio(1.0))
    }
}

/// xorshift64*.
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
}

fn poisson(mean: f64, state: &mut u64) -> u64 {
    let (limit, mut product, mut count) = ((-mean).exp(), uniform(state), 0);
    while product > limit {
        product *= uniform(state);
        count += 1;
    }
    count
}

/// Ten a minute on working days from 8 to 18 o'clock, half as many in the first hour and the last, none at night.
fn office(at: u64) -> u64 {
    let (day, hour) = (at / DAY % 7, at % DAY / HOUR);
    match (day, hour) {
        (5 | 6, _) => 0,
        (_, 8 | 17) => 5,
        (_, 9..=16) => 10,
        _ => 0,
    }
}

fn every(period: u64) -> impl Fn(u64) -> u64 {
    move |at| u64::from(at.is_multiple_of(period))
}

#[test]
fn a_job_every_ten_minutes_is_absent_once_it_is_late() {
    let mut course = Course::new();
    course.run(2 * DAY, every(10 * MINUTE));
    assert_eq!(course.absent(), Some(0.0));
    assert_eq!(course.run(2 * DAY + 5 * MINUTE, |_| 0).absent(), Some(0.0), "it is not due yet");
    let absent = course.run(2 * DAY + 30 * MINUTE, |_| 0).absent().expect("its rhythm is known");
    assert!((30.0 * 60.0..=40.0 * 60.0).contains(&absent), "{absent}");
    assert_eq!(course.run(2 * DAY + 40 * MINUTE, every(10 * MINUTE)).absent(), Some(0.0), "it is back");
}

#[test]
fn a_nightly_job_is_not_absent_by_day_and_is_when_a_night_passes_without_it() {
    let at_two = |at: u64| u64::from(at % DAY == 2 * HOUR);
    let mut course = Course::new();
    for hour in 0..8 * 24 {
        course.run(hour * HOUR, at_two);
        assert!(course.absent().is_none_or(|absent| absent == 0.0), "hour {hour}");
    }
    assert_eq!(course.run(8 * DAY + HOUR, |_| 0).absent(), Some(0.0));
    assert_eq!(course.run(8 * DAY + 3 * HOUR, |_| 0).absent(), Some(0.0), "an hour late");
    assert!(course.run(8 * DAY + 15 * HOUR, |_| 0).absent() > Some(30.0 * 3600.0));
}

#[test]
fn office_hours_end_without_a_finding_on_every_day_of_two_weeks() {
    let mut course = Course::new();
    for half_hour in 1..=14 * 48 {
        course.run(half_hour * HALF_HOUR, office);
        assert!(course.absent().is_none_or(|absent| absent == 0.0), "half hour {half_hour}");
        assert!(course.dropped().is_none_or(|ratio| ratio < 0.5), "half hour {half_hour}");
    }
}

#[test]
fn an_outage_in_office_hours_is_found_and_one_at_night_is_none() {
    let mut course = Course::new();
    course.run(8 * DAY + 11 * HOUR, office);
    course.run(8 * DAY + 11 * HOUR + 10 * MINUTE, |_| 0);
    assert!(course.absent() >= Some(600.0), "a hundred are missing: {:?}", course.absent());
    assert_eq!(course.run(8 * DAY + 11 * HOUR + 35 * MINUTE, |_| 0).dropped(), Some(1.0));
    let mut course = Course::new();
    course.run(8 * DAY + 20 * HOUR, office);
    assert!(course.run(9 * DAY + 3 * HOUR, |_| 0).absent().is_none_or(|absent| absent == 0.0));
}

#[test]
fn a_silence_of_days_stays_a_silence() {
    let mut course = Course::new();
    course.run(8 * DAY, |_| 10);
    for hours in [2, 20, 30, 50, 100] {
        let absent = course.run(8 * DAY + hours * HOUR, |_| 0).absent();
        assert!(absent >= Some((hours * HOUR) as f64), "{hours} hours: {absent:?}");
    }
}

#[test]
fn nothing_is_said_on_the_first_day_and_on_the_first_weekend() {
    let mut course = Course::new();
    course.run(12 * HOUR, |_| 20);
    assert_eq!((course.run(18 * HOUR, |_| 0).absent(), course.dropped()), (None, None));
    let mut course = Course::new();
    course.run(5 * DAY, |_| 20);
    course.run(5 * DAY + 12 * HOUR, |_| 0);
    assert_eq!((course.absent(), course.dropped()), (None, None), "Saturday after a Friday");
}

#[test]
fn a_rare_route_never_drops_and_is_not_absent_for_hours() {
    for seed in 0..20 {
        let mut course = Course::seeded(seed);
        for half_hour in 1..=10 * 48 {
            // Three an hour.
            course.run_random(half_hour * HALF_HOUR, |_| 0.05);
            assert_eq!(course.dropped(), None);
            assert!(course.absent().is_none_or(|absent| absent == 0.0), "seed {seed}, half hour {half_hour}");
        }
        assert!(course.run(10 * DAY + 2 * HOUR, |_| 0).absent().is_none_or(|absent| absent == 0.0), "seed {seed}");
        assert!(course.run(11 * DAY, |_| 0).absent() > Some(0.0), "72 are missing");
    }
}

#[test]
fn random_traffic_makes_no_finding_whatever_its_rate() {
    let daily = |at: u64| 1.0 + 0.9 * ((at % DAY) as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let (mut drops, mut absences, mut looks) = (0, 0, 0);
    for seed in 0..12 {
        let rate = [0.2, 2.0, 20.0][seed as usize % 3];
        let mut course = Course::seeded(seed);
        for look in 1..=12 * 144 {
            course.run_random(look * 10 * MINUTE, |at| rate * daily(at));
            drops += usize::from(course.dropped() > Some(0.0));
            absences += usize::from(course.absent() > Some(0.0));
            looks += 1;
        }
    }
    assert_eq!((drops, absences), (0, 0), "of {looks} looks");
}

#[test]
fn a_drop_is_a_share_of_the_usual_and_ends_with_it() {
    let mut course = Course::seeded(1);
    course.run_random(9 * DAY, |_| 10.0);
    assert_eq!(course.dropped(), Some(0.0));
    course.run_random(9 * DAY + 30 * MINUTE, |_| 1.0);
    let ratio = course.dropped().expect("300 are usual");
    assert!((0.85..0.95).contains(&ratio), "{ratio}");
    assert_eq!(course.absent(), Some(0.0));
    assert_eq!(course.run_random(9 * DAY + 2 * HOUR, |_| 10.0).dropped(), Some(0.0));
}

#[test]
fn a_drop_that_lasts_for_a_day_is_the_new_usual() {
    let mut course = Course::new();
    course.run(9 * DAY, |_| 10);
    assert!(course.run(9 * DAY + 20 * HOUR, |_| 1).dropped() > Some(0.85));
    assert_eq!(course.run(10 * DAY + 2 * HOUR, |_| 1).dropped(), Some(0.0));
}

#[test]
fn a_drop_below_what_is_to_be_expected_counts_alone() {
    let drop = Drop { count: 50.0, usual: 1000.0, dispersion: Some(1.0), seconds: 1800.0 };
    assert!((drop.ratio(1.0) - 0.95).abs() < 1e-9);
    assert_eq!(drop.ratio(0.05), 0.0, "all have dropped so far");
    assert!((drop.ratio(0.5) - 0.9).abs() < 1e-9);
}

#[test]
fn bursts_scatter_and_are_no_drop() {
    let mut course = Course::seeded(3);
    let mut random = 7;
    // On average once an hour a client sends 500 at once.
    let mut bursts = |_| if uniform(&mut random) < 1.0 / 60.0 { 500 } else { 0 };
    for look in 1..=10 * 48 {
        course.run(look * HALF_HOUR, &mut bursts);
        assert!(course.dropped().is_none_or(|ratio| ratio == 0.0), "half hour {look}");
        assert!(course.absent().is_none_or(|absent| absent == 0.0), "half hour {look}");
    }
}

#[test]
fn a_stop_of_the_service_is_no_silence_of_its_routes() {
    let mut course = Course::new();
    course.run(8 * DAY + 10 * HOUR, |_| 10);
    course.pause(8 * DAY + 11 * HOUR);
    assert_eq!(course.run(8 * DAY + 11 * HOUR + MINUTE, |_| 0).absent(), Some(0.0), "it has just begun");
    assert_eq!(course.dropped(), None, "most of the half hour is unknown");
    let absent = course.run(8 * DAY + 11 * HOUR + 10 * MINUTE, |_| 0).absent();
    assert_eq!(absent, Some(600.0), "since the start, and not since before the stop");
}

#[test]
fn a_stop_yesterday_is_not_compared_with() {
    let mut course = Course::new();
    course.run(2 * DAY + 10 * HOUR, |_| 10).pause(2 * DAY + 14 * HOUR);
    course.run(3 * DAY + 12 * HOUR, |_| 10);
    assert_eq!(course.dropped(), None);
    assert_eq!(course.run(3 * DAY + 15 * HOUR, |_| 10).dropped(), Some(0.0));
}

#[test]
fn what_is_read_back_from_a_file_judges_alike() {
    let mut course = Course::new();
    course.run(8 * DAY + 12 * HOUR, office);
    let json = serde_json::to_string(&(&course.rhythm, &course.time)).expect("numbers are JSON");
    let (rhythm, time) = serde_json::from_str(&json).expect("just written");
    let mut read = Course { rhythm, time, ..Course::new() };
    read.now = course.now;
    for course in [&mut course, &mut read] {
        assert!(course.run(8 * DAY + 12 * HOUR + 20 * MINUTE, |_| 0).absent() >= Some(1200.0));
    }
    assert_eq!(read.absent(), course.absent());
}
