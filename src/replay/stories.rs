//! [`Story`]: what is made of a test for another judge, beside the test itself.

use std::time::Duration;

use super::{
    promtool::{APART, SCRAPE},
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
/// Requests, calls or runs a second of which five minutes have two at most: the fewest that a shipped rule asks for are three.
const TOO_RARE: f64 = 1.5 / 300.0;

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
    let Life { traffic, series, step, lasts: end, before } = &test.life;
    let lasts = SCRAPE * (*end + APART).as_millis().div_ceil(SCRAPE.as_millis()) as u32;
    let itself = Life { lasts, ..test.life.clone() };
    let mut stories = vec![Story { name: test.name.clone(), lives: vec![itself], fails: false }];
    if traffic.is_empty() || !series.is_empty() || !before.is_empty() {
        return stories;
    }
    let other = |lasts, change: &dyn Fn(&Traffic) -> Traffic| {
        let spells =
            traffic.iter().map(|spell| Spell { traffic: change(&spell.traffic), from: Duration::ZERO, to: lasts });
        Life { before: Vec::new(), traffic: spells.collect(), series: Vec::new(), step: *step, lasts }
    };
    let mut tell = |what: &str, lives, fails| {
        stories.push(Story { name: format!("{}; {what}", test.name), lives, fails });
    };
    tell("but without a fault", vec![other(HEALTHY, &Traffic::healthy)], false);
    // Several that are described apart may be one endpoint's.
    let most = TOO_RARE / traffic.len() as f64;
    tell("but too rare to tell", vec![other(RARE, &|traffic| traffic.at_most(most))], false);
    if traffic.iter().all(|spell| spell.from.is_zero() && spell.to == *end) {
        let lives = [(); 2].map(|()| other(BEFORE_RESTART, &Traffic::clone));
        tell("with a restart and scrapes that fail", lives.into(), true);
    }
    stories
}
