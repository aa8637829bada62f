//! [`Story`]: what is made of a test for another judge, beside the test itself.

use std::time::Duration;

use super::{
    promtool::{APART, FORGOTTEN, SCRAPE},
    test_file::{Life, Spell, Test},
    traffic::Traffic,
};

/// Of twenty scrapes, these fail where some do: one alone, and two in a row.
const MISSED: [u32; 3] = [5, 9, 10];
/// How long a service lives that is restarted.
const BEFORE_RESTART: Duration = Duration::from_secs(3 * 60);
/// How long traffic lasts that has no fault, and traffic that is too rare to tell.
const HEALTHY: Duration = Duration::from_secs(2 * 60);
const RARE: Duration = Duration::from_secs(7 * 60);
/// How long a fault lasts that comes and goes, and the time before it.
const FAULT: Duration = Duration::from_secs(150);
const BEFORE_FAULT: Duration = Duration::from_secs(60);
/// The time between two of them: longer than the windows.
const IDLE: Duration = Duration::from_secs(7 * 60);
/// How long a spike lasts: one evaluation of the process.
const SPIKE: Duration = Duration::from_secs(5);
/// Requests, calls or runs a second of which five minutes have two at most: the fewest that a shipped rule asks for are three.
const TOO_RARE: f64 = 1.5 / 300.0;

/// From when to when the traffic of a test is changed in some way.
type Course<'a> = (Duration, Duration, &'a dyn Fn(&Traffic) -> Traffic);

/// What happens to a service.
pub(super) struct Story {
    pub(super) name: String,
    /// What it does from each start on.
    pub(super) lives: Vec<Life>,
    fails: bool,
}

impl Story {
    /// Returns whether a scrape fails.
    pub(super) fn misses(&self, scrape: u32) -> bool {
        self.fails && MISSED.contains(&(scrape % 20))
    }
}

/// Returns the stories of a test.
pub(super) fn of(test: &Test) -> Vec<Story> {
    let Life { traffic, series, step, lasts: end, before, .. } = &test.life;
    let lasts = SCRAPE * (*end + APART).as_millis().div_ceil(SCRAPE.as_millis()) as u32;
    let itself = Life { lasts, ..test.life.clone() };
    let mut stories = vec![Story { name: test.name.clone(), lives: vec![itself], fails: false }];
    if traffic.is_empty() || !series.is_empty() || !before.is_empty() {
        return stories;
    }
    let life = |lasts, spells: &[Course<'_>]| {
        let spell =
            |of: &Spell, (from, to, change): &Course<'_>| Spell { traffic: change(&of.traffic), from: *from, to: *to };
        let spells = spells.iter().flat_map(|course| traffic.iter().map(move |of| spell(of, course)));
        let traffic = spells.collect();
        Life { before: Vec::new(), traffic, series: Vec::new(), step: *step, lasts, is_past_limit: false }
    };
    let all = |lasts, change| life(lasts, &[(Duration::ZERO, lasts, change)]);
    let mut tell = |what: &str, lives, fails| {
        stories.push(Story { name: format!("{}; {what}", test.name), lives, fails });
    };
    tell("but without a fault", vec![all(HEALTHY, &Traffic::healthy)], false);
    // Several that are described apart may be one endpoint's.
    let most = TOO_RARE / traffic.len() as f64;
    let rare = move |traffic: &Traffic| traffic.at_most(most);
    tell("but too rare to tell", vec![all(RARE, &rare)], false);
    if traffic.iter().any(|spell| !spell.from.is_zero() || spell.to != *end) {
        return stories;
    }
    let restarted = [(); 2].map(|()| all(BEFORE_RESTART, &Traffic::clone));
    tell("with a restart and scrapes that fail", restarted.into(), true);
    // Its series are new each time that a process begins, and the second has none of them.
    let gone = life(FORGOTTEN + 2 * APART, &[]);
    tell("until a restart after which it is gone", vec![all(FAULT + APART, &Traffic::clone), gone], false);
    let first = BEFORE_FAULT + FAULT;
    let (again, lasts) = (first + IDLE, first + IDLE + FAULT + APART);
    let comes_and_goes: [Course<'_>; 2] = [(BEFORE_FAULT, first, &Traffic::clone), (again, lasts, &Traffic::clone)];
    tell("that comes late, is idle and comes again", vec![life(lasts, &comes_and_goes)], false);
    let (begins, lasts) = (BEFORE_FAULT * 2, BEFORE_FAULT * 9);
    let spike: [Course<'_>; 3] = [
        (Duration::ZERO, begins, &Traffic::healthy),
        (begins, begins + SPIKE, &Traffic::clone),
        (begins + SPIKE, lasts, &Traffic::healthy),
    ];
    tell("in one tick", vec![life(lasts, &spike)], false);
    let past_limit = Life { is_past_limit: true, ..all(FAULT, &Traffic::clone) };
    tell("past the limit of series", vec![past_limit], false);
    stories
}
