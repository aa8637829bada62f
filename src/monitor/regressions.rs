//! [`Regressions`]: this version of the service beside the one before, as rules read it.
//!
//! Every few minutes a blocking thread compares what this version has measured with the snapshot of the version before; a tick reads the
//! latest result. The invariant that a change could break: the first minutes of a run do not count, in which caches are cold,
//! connections are made and code is read from the disk.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    analysis::{Comparison, RouteLatency, VersionSnapshot, compare},
    lock::lock,
    rules::{Regression, VersionNames, latencies},
    store::Window,
};

/// How long the first minutes of a run are.
const WARM_UP: Duration = Duration::from_secs(10 * 60);
/// Time between two marks. What is newest reaches back to a mark that is between half and one and a half of it old.
const MARK_EVERY: Duration = Duration::from_secs(60 * 60);

/// The latest comparison for the rules, and what the next one is made from.
#[derive(Debug, Default)]
pub(super) struct Regressions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When this run was last cleared: what was measured before is gone.
    cleared: Option<Instant>,
    /// When what is counted since began to be measured.
    began: Option<Instant>,
    /// From when requests count.
    first: Option<Mark>,
    /// Later marks, the oldest first.
    later: VecDeque<Mark>,
    latest: Option<Arc<Regression>>,
}

/// What had been measured at a time.
#[derive(Clone, Debug)]
struct Mark {
    at: Instant,
    routes: Arc<[RouteLatency]>,
}

/// What a comparison needs to know of this run.
pub(super) struct ThisRun<'a> {
    pub(super) started: Instant,
    pub(super) version: &'a str,
    /// Everything since the start or the last clear.
    pub(super) total: &'a Window,
    pub(super) now: Instant,
    /// `now`, since the Unix epoch.
    pub(super) wall: Duration,
}

impl Regressions {
    /// Compares what this run has measured with the version before. Reads all histograms: not for a thread that must not block.
    pub(super) fn compare(&self, previous: &VersionSnapshot, run: &ThisRun<'_>) {
        let routes: Arc<[RouteLatency]> = latencies(run.total).into();
        let Some((first, lately)) = self.mark(run, &routes) else { return };
        let Some(comparison) = compared(previous, &routes, &first) else { return };
        let lately = lately.and_then(|lately| compared(previous, &routes, &lately));
        let span = run.now.saturating_duration_since(first.at);
        let since = Timestamp::from_second(run.wall.saturating_sub(span).as_secs() as i64).unwrap_or_default();
        let until = previous.written_at.parse::<Timestamp>().and_then(|at| Timestamp::from_second(at.as_second()));
        let names = VersionNames {
            previous: previous.version.clone(),
            previous_until: until.map_or_else(|_| previous.written_at.clone(), |until| until.to_string()),
            version: run.version.to_owned(),
            since: since.to_string(),
        };
        let regression = Regression::of(names, span, comparison, lately.as_ref());
        let mut state = lock(&self.state);
        // Otherwise there was a clear in the meantime.
        if state.began == Some(run.total.start()) {
            state.latest = Some(Arc::new(regression));
        }
    }

    /// Takes what has been measured, and returns the marks from which requests count: all of them, and the newest, where those are
    /// fewer. `None` in the first minutes.
    fn mark(&self, run: &ThisRun<'_>, routes: &Arc<[RouteLatency]>) -> Option<(Mark, Option<Mark>)> {
        let (began, warm) = (run.total.start(), run.started + WARM_UP);
        let state = &mut *lock(&self.state);
        if state.cleared.is_some_and(|cleared| began < cleared) {
            return None;
        }
        if state.began != Some(began) {
            *state = State { cleared: state.cleared, began: Some(began), ..State::default() };
        }
        if run.now < warm {
            return None;
        }
        let Some(first) = &state.first else {
            let is_warm = began >= warm;
            let (at, routes) = if is_warm { (began, Arc::default()) } else { (run.now, routes.clone()) };
            let first = state.first.insert(Mark { at, routes });
            return is_warm.then(|| (first.clone(), None));
        };
        let age = |mark: &Mark| run.now.saturating_duration_since(mark.at);
        if age(state.later.back().unwrap_or(first)) >= MARK_EVERY {
            state.later.push_back(Mark { at: run.now, routes: routes.clone() });
        }
        // The next one is old enough to take its place.
        while state.later.get(1).is_some_and(|next| age(next) >= MARK_EVERY / 2) {
            state.later.pop_front();
        }
        let lately = state.later.front().filter(|mark| age(mark) >= MARK_EVERY / 2);
        Some((first.clone(), lately.cloned()))
    }

    /// Returns the latest comparison; `None` where there is none yet.
    pub(super) fn latest(&self) -> Option<Arc<Regression>> {
        lock(&self.state).latest.clone()
    }

    /// Forgets everything, as a clear does: what it rests on is gone.
    pub(super) fn clear(&self, now: Instant) {
        *lock(&self.state) = State { cleared: Some(now), ..State::default() };
    }
}

/// Compares what came after a mark with the version before.
fn compared(previous: &VersionSnapshot, routes: &[RouteLatency], mark: &Mark) -> Option<Comparison> {
    // Both are sorted by method and route.
    let since = |route: &RouteLatency| {
        let key = (&route.method, &route.route);
        let place = mark.routes.binary_search_by(|known| (&known.method, &known.route).cmp(&key));
        place.map_or_else(|_| route.clone(), |place| route.since(&mark.routes[place]))
    };
    let routes = routes.iter().map(since).collect();
    let this = VersionSnapshot::new(&*previous.service, "", "", routes).ok()?;
    Some(compare(previous, &this))
}

#[cfg(all(test, feature = "replay"))]
#[path = "regressions_tests.rs"]
mod tests;
