//! False alarms and missed leaks of the leak detector, on generated memory curves of 24 hours each.
//!
//! Every curve is judged as the monitor judges, repeatedly while it grows (every minute in the first half hour, every
//! ten minutes later), and one alarm at any of some 170 moments is a false alarm of the whole curve. For leaks the
//! table shows how long one had to run before the detector reported it.
//!
//! `cargo run --release -p pinchpoint-benches --bin leak_curves` prints the table that the README shows; an argument is
//! another seed.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::f64::consts::TAU;

use pinchpoint::analysis::{LeakDetector, LeakVerdict, MemorySample};

const MB: f64 = 1e6;
const HOUR: f64 = 3600.0;
/// Seconds between samples.
const STEP: f64 = 15.0;
/// Length of a curve.
const LENGTH: f64 = 24.0 * HOUR;

/// Curves of each kind.
const EACH: u64 = 20;

/// Draws numbers that look random and are the same on every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws from between two positive numbers, log-uniformly: each order of magnitude is equally likely.
    fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.between(1e-12, 1.0).ln()).sqrt() * (TAU * self.between(0.0, 1.0)).cos()
    }
}

/// The memory of a process without a leak: a level, a warm-up, noise.
struct Process {
    base: f64,
    warm_bytes: f64,
    warm_seconds: f64,
    noise: f64,
}

impl Process {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            base: dice.magnitude(30.0 * MB, 1500.0 * MB),
            warm_bytes: dice.between(5.0 * MB, 60.0 * MB),
            warm_seconds: dice.magnitude(10.0, 600.0),
            noise: dice.magnitude(0.1 * MB, 4.0 * MB),
        }
    }

    fn at(&self, age: f64, dice: &mut Dice) -> f64 {
        self.base + self.warm_bytes * (1.0 - (-age / self.warm_seconds).exp()) + self.noise * dice.normal()
    }
}

/// Requests per second over a day: a daily wave from a random hour on, with noise.
struct Traffic {
    mean: f64,
    swing: f64,
    phase: f64,
}

impl Traffic {
    fn draw(dice: &mut Dice) -> Self {
        Self { mean: dice.magnitude(5.0, 2000.0), swing: dice.between(0.4, 0.9), phase: dice.between(0.0, TAU) }
    }

    fn at(&self, age: f64, dice: &mut Dice) -> f64 {
        let wave = 1.0 + self.swing * (TAU * age / LENGTH + self.phase).sin();
        self.mean * (wave + 0.08 * dice.normal()).max(0.0)
    }
}

type Curve = Vec<MemorySample>;

/// Builds a curve from a function of the process's age and its request rate at that time that returns the bytes held.
fn curve(dice: &mut Dice, traffic: Option<&Traffic>, mut held: impl FnMut(f64, f64, &mut Dice) -> f64) -> Curve {
    (1..=(LENGTH / STEP) as u32)
        .map(|index| f64::from(index) * STEP)
        .map(|age_seconds| {
            let rate = traffic.map(|traffic| traffic.at(age_seconds, dice));
            let resident_bytes = held(age_seconds, rate.unwrap_or(0.0), dice).max(MB);
            MemorySample { age_seconds, resident_bytes, requests_per_second: rate }
        })
        .collect()
}

/// A kind of curve: its name, and a function that draws one and the age in seconds from which it leaks, if it does.
struct Kind {
    name: &'static str,
    draw: fn(&mut Dice) -> (Curve, Option<f64>),
}

fn steady(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    (curve(dice, None, |age, _, dice| process.at(age, dice)), None)
}

fn warm_up(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (from, by) = (50.0 * MB, dice.between(40.0, 120.0) * MB);
    let (lasts, noise) = (dice.magnitude(30.0, 2.0 * HOUR), dice.between(0.1, 2.0) * MB);
    // After three time constants 95 % of the warm-up is done (1 - e^-3).
    (curve(dice, None, |age, _, dice| from + by * (1.0 - (-3.0 * age / lasts).exp()) + noise * dice.normal()), None)
}

fn straight_warm_up(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (by, seconds) = (dice.between(40.0, 120.0) * MB, dice.magnitude(30.0, 0.5 * HOUR));
    let noise = dice.between(0.1, 2.0) * MB;
    (curve(dice, None, |age, _, dice| 50.0 * MB + by * (age / seconds).min(1.0) + noise * dice.normal()), None)
}

fn sawtooth(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    let (height, period) = (dice.between(10.0, 150.0) * MB, dice.magnitude(60.0, 2.0 * HOUR));
    let mut filled = 0.0;
    let held = move |age: f64, _: f64, dice: &mut Dice| {
        filled += STEP / period * dice.between(0.6, 1.4);
        if filled > 1.0 {
            filled = dice.between(0.0, 0.1);
        }
        process.at(age, dice) + height * filled
    };
    (curve(dice, None, held), None)
}

fn cache_loads(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    let count = 1 + dice.next() % 3;
    let loads: Vec<(f64, f64)> =
        (0..count).map(|_| (dice.between(0.0, LENGTH), dice.between(20.0, 300.0) * MB)).collect();
    let ramp = dice.magnitude(15.0, 300.0);
    let loaded =
        move |age: f64| loads.iter().map(|(at, bytes)| bytes * ((age - at) / ramp).clamp(0.0, 1.0)).sum::<f64>();
    (curve(dice, None, |age, _, dice| process.at(age, dice) + loaded(age)), None)
}

fn follows_traffic(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (process, traffic) = (Process::draw(dice), Traffic::draw(dice));
    let (share, lag) = (dice.between(0.1, 0.8), dice.magnitude(15.0, 1200.0));
    let mut smooth: Option<f64> = None;
    let held = |age: f64, rate: f64, dice: &mut Dice| {
        let now = smooth.map_or(rate, |last| last + (rate - last) * (STEP / lag).min(1.0));
        smooth = Some(now);
        process.at(age, dice) + process.base * share * now / traffic.mean
    };
    (curve(dice, Some(&traffic), held), None)
}

fn keeps_the_peak(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (process, traffic) = (Process::draw(dice), Traffic::draw(dice));
    let share = dice.between(0.1, 0.6);
    let (mut smooth, mut peak): (f64, f64) = (0.0, 0.0);
    let held = |age: f64, rate: f64, dice: &mut Dice| {
        smooth = if smooth == 0.0 { rate } else { smooth + (rate - smooth) * 0.1 };
        peak = peak.max(smooth);
        process.at(age, dice) + process.base * share * peak / traffic.mean
    };
    (curve(dice, Some(&traffic), held), None)
}

fn wanders(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    let (stride, pull) = (dice.magnitude(0.05 * MB, 0.6 * MB), dice.magnitude(1e-4, 1e-2));
    let mut off = 0.0;
    let held = move |age: f64, _: f64, dice: &mut Dice| {
        off += stride * dice.normal() - pull * off;
        process.at(age, dice) + off
    };
    (curve(dice, None, held), None)
}

fn jobs(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    let (every, lasts) = (dice.magnitude(1800.0, 6.0 * HOUR), dice.between(60.0, 900.0));
    let (height, phase) = (dice.between(30.0, 500.0) * MB, dice.between(0.0, 1.0));
    let held = move |age: f64, _: f64, dice: &mut Dice| {
        let into = (age + phase * every) % every;
        // A job fills its memory over its first third and frees it at its end.
        let share = if into < lasts { (3.0 * into / lasts).min(1.0) } else { 0.0 };
        process.at(age, dice) + height * share
    };
    (curve(dice, None, held), None)
}

fn leak(dice: &mut Dice, per_hour: f64, from: f64) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    (curve(dice, None, |age, _, dice| process.at(age, dice) + per_hour * (age - from).max(0.0) / HOUR), Some(from))
}

fn leak_10(dice: &mut Dice) -> (Curve, Option<f64>) {
    leak(dice, 10.0 * MB, 0.0)
}

fn leak_30(dice: &mut Dice) -> (Curve, Option<f64>) {
    leak(dice, 30.0 * MB, 0.0)
}

fn leak_100(dice: &mut Dice) -> (Curve, Option<f64>) {
    leak(dice, 100.0 * MB, 0.0)
}

fn leak_400(dice: &mut Dice) -> (Curve, Option<f64>) {
    leak(dice, 400.0 * MB, 0.0)
}

fn leak_3600(dice: &mut Dice) -> (Curve, Option<f64>) {
    leak(dice, 3600.0 * MB, 0.0)
}

fn late_leak(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (per_hour, from) = (dice.magnitude(30.0, 300.0) * MB, dice.between(2.0, 12.0) * HOUR);
    leak(dice, per_hour, from)
}

fn leak_under_sawtooth(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (mut samples, _) = sawtooth(dice);
    let per_hour = dice.magnitude(20.0, 200.0) * MB;
    samples.iter_mut().for_each(|sample| sample.resident_bytes += per_hour * sample.age_seconds / HOUR);
    (samples, Some(0.0))
}

fn leak_per_request(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (process, traffic) = (Process::draw(dice), Traffic::draw(dice));
    let each = dice.magnitude(20.0, 200.0) * MB / HOUR / traffic.mean;
    let share = dice.between(0.0, 0.3);
    let mut leaked = 0.0;
    let held = |age: f64, rate: f64, dice: &mut Dice| {
        leaked += each * rate * STEP;
        process.at(age, dice) + process.base * share * rate / traffic.mean + leaked
    };
    (curve(dice, Some(&traffic), held), Some(0.0))
}

fn leak_in_steps(dice: &mut Dice) -> (Curve, Option<f64>) {
    let process = Process::draw(dice);
    let (per_hour, every) = (dice.magnitude(20.0, 200.0) * MB, dice.magnitude(30.0, 1200.0));
    let held = move |age: f64, _: f64, dice: &mut Dice| {
        process.at(age, dice) + per_hour / HOUR * every * (age / every).floor()
    };
    (curve(dice, None, held), Some(0.0))
}

fn leak_after_cache_load(dice: &mut Dice) -> (Curve, Option<f64>) {
    let (mut samples, _) = cache_loads(dice);
    let per_hour = dice.magnitude(20.0, 200.0) * MB;
    samples.iter_mut().for_each(|sample| sample.resident_bytes += per_hour * sample.age_seconds / HOUR);
    (samples, Some(0.0))
}

const HARMLESS: [Kind; 9] = [
    Kind { name: "steady", draw: steady },
    Kind { name: "warm-up from 50 MB by 40 to 120 MB, slowing down, lasting up to 2 h", draw: warm_up },
    Kind {
        name: "warm-up from 50 MB by 40 to 120 MB in a straight line, lasting up to 30 min",
        draw: straight_warm_up,
    },
    Kind { name: "sawtooth of 10 to 150 MB, each 1 min to 2 h", draw: sawtooth },
    Kind { name: "one to three caches loaded, 20 to 300 MB each", draw: cache_loads },
    Kind { name: "follows daily traffic, up to 20 min late", draw: follows_traffic },
    Kind { name: "keeps what the traffic's peak needed", draw: keeps_the_peak },
    Kind { name: "wanders at random", draw: wanders },
    Kind { name: "jobs of 30 to 500 MB, every 30 min to 6 h", draw: jobs },
];

const LEAKS: [Kind; 10] = [
    Kind { name: "10 MB/h", draw: leak_10 },
    Kind { name: "30 MB/h", draw: leak_30 },
    Kind { name: "100 MB/h", draw: leak_100 },
    Kind { name: "400 MB/h", draw: leak_400 },
    Kind { name: "1 MB/s", draw: leak_3600 },
    Kind { name: "30 to 300 MB/h, from 2 to 12 h on", draw: late_leak },
    Kind { name: "20 to 200 MB/h under a sawtooth", draw: leak_under_sawtooth },
    Kind { name: "20 to 200 MB/h by the request, under daily traffic", draw: leak_per_request },
    Kind { name: "20 to 200 MB/h in steps, each 0.5 to 20 min", draw: leak_in_steps },
    Kind { name: "20 to 200 MB/h beside one to three caches loaded", draw: leak_after_cache_load },
];

/// Returns the age at which the curve is first called consistent with a leak.
fn first_alarm(samples: &[MemorySample]) -> Option<f64> {
    let detector = LeakDetector::new();
    let mut moments = (4..30).map(|minute| f64::from(minute) * 60.0).chain((3..=144).map(|ten| f64::from(ten) * 600.0));
    moments.find(|&moment| {
        let seen = samples.partition_point(|sample| sample.age_seconds <= moment);
        matches!(detector.judge(&samples[..seen]), LeakVerdict::Consistent(_))
    })
}

fn minutes(seconds: f64) -> String {
    if seconds < 2.0 * HOUR { format!("{:.0} min", seconds / 60.0) } else { format!("{:.1} h", seconds / HOUR) }
}

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut dice = Dice(seed);
    println!("| harmless curve, 24 h | curves | false alarms |\n|---|---:|---:|");
    let (mut curves, mut alarms) = (0, 0);
    for kind in HARMLESS {
        let raised = (0..EACH).filter(|_| first_alarm(&(kind.draw)(&mut dice).0).is_some()).count();
        println!("| {} | {EACH} | {raised} |", kind.name);
        curves += EACH;
        alarms += raised;
    }
    println!("| **all** | **{curves}** | **{alarms}** ({:.1} %) |\n", 100.0 * alarms as f64 / curves as f64);

    println!("| leak, 24 h | curves | missed | found after (median) | at the latest |\n|---|---:|---:|---:|---:|");
    let (mut curves, mut missed) = (0, 0);
    for kind in LEAKS {
        let mut found: Vec<f64> = Vec::new();
        for _ in 0..EACH {
            let (samples, from) = (kind.draw)(&mut dice);
            found.extend(first_alarm(&samples).map(|at| (at - from.unwrap_or(0.0)).max(0.0)));
        }
        found.sort_by(f64::total_cmp);
        let lost = EACH as usize - found.len();
        let median = found.get(found.len() / 2).map_or("never".to_owned(), |&at| minutes(at));
        let last = found.last().map_or("never".to_owned(), |&at| minutes(at));
        println!("| {} | {EACH} | {lost} | {median} | {last} |", kind.name);
        curves += EACH;
        missed += lost;
    }
    println!("| **all** | **{curves}** | **{missed}** ({:.1} %) | | |", 100.0 * missed as f64 / curves as f64);
}
