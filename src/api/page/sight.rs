//! [`Sight`]: what every view of one page is written from, taken at one moment.

use std::sync::Arc;

use tokio::time::Instant;

use super::place::Place;
use crate::{
    api::{health::Health, status::StatusAnswer, timestamp},
    monitor::{Core, Judgement},
    rules::{Bottleneck, Severity, Unit},
    store::Window,
};

/// The moment that a page shows.
pub(super) struct Sight<'a> {
    pub(super) core: &'a Core,
    pub(super) here: &'a Place,
    pub(super) now: Instant,
    pub(super) judgement: Arc<Judgement>,
    pub(super) status: StatusAnswer,
    /// The health in one word, and its reason.
    pub(super) health: (&'static str, String),
    /// What the tables look at.
    pub(super) window: Window,
}

impl<'a> Sight<'a> {
    pub(super) fn of(core: &'a Core, here: &'a Place) -> Self {
        let now = Instant::now();
        let judgement = core.judgement();
        let health = Health::of(core, &judgement, now).verdict();
        let window = here.window.map_or_else(|| core.total(now), |length| core.window(now, length));
        Self { core, here, now, judgement, status: StatusAnswer::of(core), health, window }
    }

    /// Returns the firing bottlenecks by their share of all time, the largest first; those without one follow, worst first.
    pub(super) fn findings(&self) -> Vec<&Arc<Bottleneck>> {
        let mut all: Vec<_> = self.judgement.firing.iter().collect();
        let share = |one: &Bottleneck| one.evidence.time_share.unwrap_or(-1.0);
        all.sort_by(|a, b| share(b).total_cmp(&share(a)));
        all
    }

    /// Returns since when the health is what it is; `None` where that is not known.
    pub(super) fn since(&self) -> Option<String> {
        let (worst, since) = self.core.worst_since()?;
        // A word that something else decides, such as that no request came, has no beginning that is known.
        let word = match worst {
            Some(Severity::Critical) => "critical",
            Some(Severity::High) => "degraded",
            Some(Severity::Medium | Severity::Low) => "good",
            None => "excellent",
        };
        (word == self.health.0).then(|| timestamp::of_wall(since))
    }

    /// Writes how far back the tables look.
    pub(super) fn looks_back(&self) -> String {
        match self.here.window {
            Some(window) => format!("the last {}", Unit::Seconds.render(window.as_secs_f64())),
            None => format!("the last {}", Unit::Seconds.render(self.window.span().as_secs_f64())),
        }
    }
}
