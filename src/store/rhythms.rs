//! [`Rhythms`]: how often each endpoint and each task usually runs.
//!
//! It follows the differences of the ticks and outlives the windows and, with an archive, the process. The invariants that a change
//! could break: it has at most [`MOST_SUBJECTS`] subjects, whatever the service does, and a subject that this version of the service
//! has not had yet is not judged, since a deployment may have removed it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{History, Moment, series::Index};
use crate::{
    analysis::{MeasuredTime, Rhythm},
    names,
};

/// Endpoints and tasks whose rhythm is learned: those that come first. Each takes two kilobytes.
const MOST_SUBJECTS: usize = 2_000;
const DAY: u64 = 24 * 3600;
/// Seconds after which a subject that does not come again is forgotten: it is in none of the half hours that are kept.
const FORGOTTEN_AFTER: u64 = 9 * DAY;

/// What a rhythm is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum RhythmOf {
    Endpoint { method: String, route: String },
    Task(String),
}

/// One endpoint or task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Regular {
    pub(crate) of: RhythmOf,
    pub(crate) rhythm: Rhythm,
    /// Whether this version of the service has had it.
    pub(crate) is_current: bool,
}

/// The rhythms of all endpoints and tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rhythms {
    /// Version of the service; empty if none was set.
    version: String,
    time: MeasuredTime,
    /// Requests of all endpoints together.
    service: Rhythm,
    all: Vec<Regular>,
    #[serde(skip)]
    places: HashMap<RhythmOf, usize>,
    #[serde(skip)]
    followed: Followed,
}

/// The series of the last tick.
#[derive(Clone, Debug, Default)]
struct Followed {
    index: Index,
    /// Of each series its place among the subjects; the outer `None` where it was not asked for yet.
    places: Vec<Option<Option<usize>>>,
}

impl Rhythms {
    /// Returns the rhythms of a version of which nothing is known yet.
    pub(crate) fn new(version: String) -> Self {
        Self { version, ..Self::default() }
    }

    /// Adds the latest tick of `history`.
    pub(crate) fn record(&mut self, history: &History, moment: Moment) {
        let Some((delta, index)) = history.latest() else { return };
        if !moment.measuring {
            return;
        }
        if index.is_newer_than(&self.followed.index) {
            self.followed = Followed { index: index.clone(), places: Vec::new() };
        }
        let now = moment.wall.as_secs();
        let took = delta.end.saturating_duration_since(delta.start);
        let is_new_day = self.time.until().is_some_and(|until| until / DAY != now / DAY);
        self.time.add(moment.wall.saturating_sub(took).as_secs(), now);
        if is_new_day {
            self.forget(now);
        }
        let mut of_service = 0;
        for entry in delta.entries.iter() {
            let Some(place) = self.place_of(entry.series) else { continue };
            let count = delta.buckets(entry).map(|(_, count)| u64::from(count)).sum();
            let Regular { of, rhythm, is_current } = &mut self.all[place];
            rhythm.add(now, count, &self.time);
            *is_current |= count > 0;
            of_service += if matches!(of, RhythmOf::Endpoint { .. }) { count } else { 0 };
        }
        self.service.add(now, of_service, &self.time);
    }

    /// Adds what an archive kept of earlier runs.
    ///
    /// What was recorded meanwhile is dropped: a few seconds at a start. Nothing is restored that lies in the future, since a clock was
    /// wrong then or is now.
    #[cfg(any(test, feature = "archive"))]
    pub(crate) fn restore(&mut self, stored: Self, now: u64) {
        if stored.time.until().is_none_or(|until| until > now) {
            return;
        }
        let is_same_version = !self.version.is_empty() && self.version == stored.version;
        let version = self.version.clone();
        *self = Self { version, followed: Followed::default(), ..stored };
        self.all.truncate(MOST_SUBJECTS);
        self.all.iter_mut().for_each(|regular| regular.is_current &= is_same_version);
        self.forget(now);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.version.clone());
    }

    /// Returns every subject, each in its place.
    pub(crate) fn all(&self) -> &[Regular] {
        &self.all
    }

    /// Returns the place of a subject.
    pub(crate) fn find(&self, of: &RhythmOf) -> Option<usize> {
        self.places.get(of).copied()
    }

    pub(crate) fn service(&self) -> &Rhythm {
        &self.service
    }

    pub(crate) fn time(&self) -> &MeasuredTime {
        &self.time
    }

    /// Drops the subjects that have not come for long, and gives the others their places anew.
    fn forget(&mut self, now: u64) {
        self.all.retain(|regular| regular.rhythm.last().is_some_and(|last| last.saturating_add(FORGOTTEN_AFTER) > now));
        self.places = self.all.iter().enumerate().map(|(place, regular)| (regular.of.clone(), place)).collect();
        self.followed.places.clear();
    }

    /// Returns the subject of a series of request durations or of runs of a task; `None` of all others.
    fn place_of(&mut self, series: u32) -> Option<usize> {
        let at = series as usize;
        if self.followed.places.len() <= at {
            self.followed.places.resize(at + 1, None);
        }
        if let Some(known) = self.followed.places[at] {
            return known;
        }
        let place = of(&self.followed.index, series).and_then(|of| self.place(of));
        self.followed.places[at] = Some(place);
        place
    }

    fn place(&mut self, of: RhythmOf) -> Option<usize> {
        if let Some(place) = self.places.get(&of) {
            return Some(*place);
        }
        if self.all.len() >= MOST_SUBJECTS {
            return None;
        }
        self.all.push(Regular { of: of.clone(), rhythm: Rhythm::default(), is_current: false });
        self.places.insert(of, self.all.len() - 1);
        Some(self.all.len() - 1)
    }
}

/// Returns what a series counts. Mixtures have no rhythm of their own.
fn of(index: &Index, series: u32) -> Option<RhythmOf> {
    let meta = &index.series.get(series as usize)?.meta;
    if meta.name() == names::HTTP_DURATION.name {
        let [method, route] = meta.labels([names::METHOD, names::ROUTE]);
        let endpoint = RhythmOf::Endpoint { method: method?.into(), route: route?.into() };
        return (!index.facts(series).is_mixture).then_some(endpoint);
    }
    let task = (meta.name() == names::TASK_DURATION.name).then(|| meta.label(names::TASK_NAME)).flatten();
    task.filter(|task| *task != names::OTHER).map(|task| RhythmOf::Task(task.into()))
}
