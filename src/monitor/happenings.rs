//! [`Happenings`]: what the latest evaluations changed, for those who listen and those who come again.
//!
//! An evaluation is kept as what changed with it, and written once for all listeners. The invariants that a change could break: what is
//! kept has a bound in number and in changes, and so have the listeners; one that does not listen any more loses its place.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use super::Judgement;
use crate::{alert::Transition, lock::lock, rules::Severity};

/// Evaluations that are kept: half an hour of them by default.
const KEPT: usize = 360;
/// Changes that are kept, each with its evidence, in which the slowest requests take some ten kilobytes.
const CHANGES: usize = 200;
/// Listeners at a time: each costs a socket and a buffer.
const LISTENERS: usize = 64;
/// Evaluations that a listener may be behind before it loses its place: 80 s of them by default.
const LAG: u64 = 16;

/// What one evaluation changed.
#[derive(Debug)]
pub(crate) struct Happening {
    /// Of this run, from 1.
    pub(crate) number: u64,
    /// When the evaluation ended, since the Unix epoch.
    pub(crate) at: Duration,
    /// How many bottlenecks fire, by severity.
    pub(crate) firing: BTreeMap<Severity, usize>,
    pub(crate) transitions: Vec<Transition>,
    /// For how long no request has come, neither to the service nor to the API.
    pub(crate) quiet: Duration,
    texts: OnceLock<Vec<Text>>,
}

/// The kind of an event, and its data.
pub(crate) type Text = (&'static str, String);

impl Happening {
    /// Returns its events in order, written by `write` unless they have been.
    pub(crate) fn texts(&self, write: impl FnOnce(&Self) -> Vec<Text>) -> &[Text] {
        self.texts.get_or_init(|| write(self))
    }
}

/// A listener's place. It is given back when it is dropped, and taken back from a listener that is too far behind.
#[derive(Debug)]
pub(crate) struct Place {
    /// The evaluation that it has last seen.
    seen: AtomicU64,
}

/// Stands in [`Place::seen`] where the place was taken back.
const TAKEN_BACK: u64 = u64::MAX;

impl Place {
    /// Notes what was seen. Returns whether the place is still the listener's.
    pub(crate) fn sees(&self, number: u64) -> bool {
        self.seen.fetch_update(Relaxed, Relaxed, |seen| (seen != TAKEN_BACK).then_some(number)).is_ok()
    }
}

/// The kept evaluations, the oldest first, and who listens.
#[derive(Debug, Default)]
struct State {
    /// Of the newest evaluation.
    number: u64,
    kept: VecDeque<Arc<Happening>>,
    changes: usize,
    listeners: Vec<Weak<Place>>,
}

/// What the latest evaluations changed, and the listeners to those to come.
#[derive(Debug)]
pub(super) struct Happenings {
    run_id: String,
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

impl Default for Happenings {
    fn default() -> Self {
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { run_id: format!("{:x}", began.as_nanos()), state: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl Happenings {
    /// Keeps what a judgement changed, wakes the listeners, and takes back the places of those that do not listen.
    pub(super) fn add(&self, judgement: &Judgement, at: Duration) {
        let mut firing = BTreeMap::new();
        for bottleneck in &judgement.firing {
            *firing.entry(bottleneck.severity).or_default() += 1;
        }
        let state = &mut *lock(&self.state);
        state.number += 1;
        let number = state.number;
        let (transitions, quiet, texts) = (judgement.transitions.clone(), judgement.quiet, OnceLock::new());
        state.changes += transitions.len();
        state.kept.push_back(Arc::new(Happening { number, at, firing, transitions, quiet, texts }));
        while state.kept.len() > KEPT || (state.changes > CHANGES && state.kept.len() > 1) {
            state.changes -= state.kept.pop_front().map_or(0, |oldest| oldest.transitions.len());
        }
        state.listeners.retain(|listener| {
            let Some(place) = listener.upgrade() else { return false };
            let is_behind = place.seen.load(Relaxed).saturating_add(LAG) < number;
            if is_behind {
                place.seen.store(TAKEN_BACK, Relaxed);
            }
            !is_behind
        });
        self.newest.send_replace(number);
    }

    /// Returns a place among the listeners, and a channel with the number of the newest evaluation; `None` where all are taken.
    pub(super) fn listen(&self) -> Option<(Arc<Place>, watch::Receiver<u64>)> {
        let state = &mut *lock(&self.state);
        state.listeners.retain(|listener| listener.strong_count() > 0);
        if state.listeners.len() >= LISTENERS {
            return None;
        }
        let place = Arc::new(Place { seen: AtomicU64::new(state.number) });
        state.listeners.push(Arc::downgrade(&place));
        Some((place, self.newest.subscribe()))
    }

    /// Returns what tells this run from others: when it began, in hexadecimal digits.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Returns the number of the newest evaluation.
    #[cfg(feature = "page")]
    pub(super) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Returns what is kept of the evaluations from `number` on, the oldest first.
    pub(super) fn since(&self, number: u64) -> Vec<Arc<Happening>> {
        let state = lock(&self.state);
        let first = state.kept.partition_point(|kept| kept.number < number);
        state.kept.range(first..).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        alert::Lifecycle,
        rules::fixed::{self, endpoint},
    };

    fn numbers(happenings: &Happenings, since: u64) -> Vec<u64> {
        happenings.since(since).iter().map(|kept| kept.number).collect()
    }

    fn add(happenings: &Happenings, times: usize) {
        (0..times).for_each(|_| happenings.add(&Judgement::default(), Duration::ZERO));
    }

    #[test]
    fn the_latest_are_kept() {
        let happenings = Happenings::default();
        assert_eq!(numbers(&happenings, 0), [] as [u64; 0]);
        add(&happenings, 3);
        assert_eq!((numbers(&happenings, 0), numbers(&happenings, 3)), (vec![1, 2, 3], vec![3]));
        assert_eq!(numbers(&happenings, 4), [] as [u64; 0]);
        add(&happenings, KEPT);
        assert_eq!((numbers(&happenings, 0).len(), numbers(&happenings, 0)[0]), (KEPT, 4));
    }

    #[test]
    fn what_is_kept_has_a_bound_in_changes_too() {
        let happenings = Happenings::default();
        let rules = fixed::rules("{ high: '> 1s' }", "for: 0s");
        let findings = fixed::findings(&rules, [(endpoint("GET", "/slow"), 2.0)]);
        let started = Lifecycle::default().advance(&rules, findings, Instant::now()).swap_remove(0);
        let transitions = vec![started; CHANGES / 2];
        for _ in 0..5 {
            let judgement = Judgement { transitions: transitions.clone(), ..Judgement::default() };
            happenings.add(&judgement, Duration::ZERO);
        }
        assert_eq!(numbers(&happenings, 0), [4, 5]);
        let judgement = Judgement { transitions: vec![transitions[0].clone(); 2 * CHANGES], ..Judgement::default() };
        happenings.add(&judgement, Duration::ZERO);
        assert_eq!(numbers(&happenings, 0), [6], "the newest is kept whatever it holds");
    }

    #[test]
    fn a_listener_that_is_too_far_behind_loses_its_place_and_another_may_have_it() {
        let happenings = Happenings::default();
        let places: Vec<_> = (0..LISTENERS).filter_map(|_| happenings.listen()).collect();
        assert!(places.len() == LISTENERS && happenings.listen().is_none());
        let (reader, other) = (&places[0].0, &places[1].0);
        for number in 1..=LAG + 1 {
            add(&happenings, 1);
            assert!(reader.sees(number));
        }
        assert!(!other.sees(LAG + 1), "and it does not get it back");
        assert!(happenings.listen().is_some());
        drop(places);
        assert_eq!((0..2 * LISTENERS).filter_map(|_| happenings.listen()).map(std::mem::forget).count(), LISTENERS);
    }

    #[test]
    fn an_evaluation_is_written_once() {
        let happenings = Happenings::default();
        add(&happenings, 1);
        let kept = &happenings.since(1)[0];
        assert_eq!(kept.texts(|kept| vec![("evaluation", kept.number.to_string())]), [("evaluation", "1".to_owned())]);
        assert_eq!(kept.texts(|_| panic!("it is written already")).len(), 1);
    }
}
