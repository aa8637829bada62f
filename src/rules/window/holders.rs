//! [`Holders`]: who holds what is waited for, by the name of the wait.

use super::{
    durations::{NANOS, divide},
    endpoints::{Endpoints, HashMap},
    queries::Uses,
};
use crate::{
    context::{Part, Place},
    names,
    rules::evidence::{HeldBy, Holder},
    store::{SeriesView, Window},
};

/// The holders of everything that is waited for in a window.
#[derive(Debug, Default)]
pub(super) struct Holders(HashMap<String, Held>);

/// The holds of one name.
#[derive(Debug, Default)]
struct Held {
    all: Time,
    owners: Vec<Owner>,
}

/// An endpoint or a task, with its holds.
#[derive(Debug)]
struct Owner {
    who: HeldBy,
    time: Time,
    place: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Time {
    seconds: f64,
    holds: f64,
}

impl Holders {
    pub(super) fn of(window: &Window, uses: &Uses<'_>, endpoints: &Endpoints<'_>) -> Self {
        let mut holders = Self::default();
        for used in uses.held() {
            let Some(endpoint) = endpoints.all.get(used.endpoint) else { continue };
            let owner = Owner {
                who: HeldBy::Endpoint(endpoint.subject().name.clone()),
                time: Time { seconds: used.held_seconds, holds: used.holds },
                place: used.place,
            };
            holders.0.entry(used.name.to_owned()).or_default().owners.push(owner);
        }
        holders.add_tasks(window);
        for metric in [&names::HOLD_DURATION, &names::POOL_USE] {
            for series in window.series(metric.name) {
                let Some((name, view)) = title(&series).zip(series.histogram()) else { continue };
                let all = &mut holders.0.entry(name).or_default().all;
                all.seconds += view.sum();
                all.holds += view.count() as f64;
            }
        }
        holders
    }

    fn add_tasks(&mut self, window: &Window) {
        let mut each = |metric: &names::Metric, add: &dyn Fn(&mut Owner, &SeriesView<'_>)| {
            for series in window.series(metric.name) {
                let task = series.label(names::TASK_NAME).filter(|name| *name != names::OTHER);
                let Some((task, name)) = task.zip(series.label(names::WAIT_NAME)) else { continue };
                let owners = &mut self.0.entry(name.to_owned()).or_default().owners;
                let is_it = |owner: &Owner| matches!(&owner.who, HeldBy::Task(name) if **name == *task);
                let at = owners.iter().position(is_it).unwrap_or_else(|| {
                    owners.push(Owner { who: HeldBy::Task(task.into()), time: Time::default(), place: None });
                    owners.len() - 1
                });
                add(&mut owners[at], &series);
            }
        };
        each(&names::TASK_HELD_NANOS, &|owner, series| owner.time.seconds += series.increase() * NANOS);
        each(&names::TASK_HOLDS, &|owner, series| owner.time.holds += series.increase());
        each(&names::TASK_HOLD_PLACE, &|owner, series| {
            owner.place = series.last().and_then(|number| Place::from_number(number as u16).text());
        });
    }

    /// Returns who holds something for the most time in all; `None` where nobody was measured to hold it.
    pub(super) fn longest(&self, name: &str) -> Option<Holder> {
        let Held { all, owners } = self.0.get(name)?;
        let owned = owners.iter().fold(Time::default(), |sum, owner| Time {
            seconds: sum.seconds + owner.time.seconds,
            holds: sum.holds + owner.time.holds,
        });
        // What a request held counts for it at its end, so that the sum may be ahead or behind by what is in flight.
        let rest = Time { seconds: all.seconds - owned.seconds, holds: all.holds - owned.holds };
        let others = Owner { who: HeldBy::Others, time: rest, place: None };
        let each = owners.iter().chain([&others]).filter(|owner| owner.time.seconds > 0.0 && owner.time.holds > 0.0);
        // Of two that hold it as long the one that comes first in the alphabet, so that it is the same at each tick.
        let top = each.max_by(|a, b| a.time.seconds.total_cmp(&b.time.seconds).then_with(|| b.name().cmp(a.name())))?;
        Some(Holder {
            who: top.who.clone(),
            avg_seconds: divide(top.time.seconds, top.time.holds)?,
            ratio: divide(top.time.seconds, all.seconds.max(owned.seconds))?,
            place: top.place,
        })
    }
}

impl Owner {
    fn name(&self) -> &str {
        match &self.who {
            HeldBy::Endpoint(name) | HeldBy::Task(name) => name,
            HeldBy::Others => "",
        }
    }
}

/// Returns the name of a wait as endpoints and tasks have it: its kind and its own name.
fn title(series: &SeriesView<'_>) -> Option<String> {
    let pool = series.label(names::POOL_NAME).map(|name| (Part::Pool.label(), name));
    let (kind, name) = pool.or_else(|| series.label(names::WAIT_KIND).zip(series.label(names::WAIT_NAME)))?;
    Some(format!("{kind} {name}"))
}
