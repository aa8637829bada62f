//! [`Sight`]: what every view of one page is written from, taken at one moment.

use std::sync::Arc;

use tokio::time::Instant;

use super::{html::Html, place::Place};
use crate::{
    api::{health::Health, status::StatusAnswer, timestamp},
    monitor::{Core, Happened, Judgement},
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
        let worst = self.judgement.firing.iter().map(|one| one.severity).max();
        let decisive = match worst {
            Some(Severity::Critical | Severity::High) => worst,
            _ => None,
        };
        if let Some(worst) = worst {
            let of = self.judgement.firing.iter().filter(|one| decisive.is_none_or(|_| one.severity == worst));
            return of.map(|one| one.since).min().map(timestamp::of_instant);
        }
        if self.health.0 != "excellent" {
            return None;
        }
        let ended = self.core.marks(std::time::Duration::ZERO).into_iter().rev().find(|mark| {
            matches!(
                &mark.happened,
                Happened::Bottleneck { change: crate::alert::Change::Resolved, .. } | Happened::Cleared
            )
        });
        Some(ended.map_or_else(|| self.status.started_at.clone(), |mark| timestamp::of_wall(mark.at)))
    }

    /// Writes how far back the tables look.
    pub(super) fn looks_back(&self) -> String {
        match self.here.window {
            Some(window) => format!("the last {}", Unit::Seconds.render(window.as_secs_f64())),
            None => format!("the last {}", Unit::Seconds.render(self.window.span().as_secs_f64())),
        }
    }
}

/// Writes a moment: as the server's clock has it, until the script writes it in the reader's zone.
pub(super) fn time(page: &mut Html, timestamp: &str) {
    page.raw("<time datetime=\"").text(timestamp).raw("\">");
    page.text(&crate::markup::numbers::moment(timestamp)).raw("</time>");
}
