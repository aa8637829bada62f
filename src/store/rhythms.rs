//! [`Rhythms`]: how often each endpoint and each task usually runs.
//!
//! It follows the differences of the ticks and outlives the windows and, with an archive, the process. The invariants that a change
//! could break: it has at most [`MOST_SUBJECTS`] subjects, whatever the service does, and a subject that this version of the service
//! has not had yet is not judged, since a deployment may have removed it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{History, Moment, series::Index};
use crate::{
    analysis::{MeasuredTime, Rhythm},
    names,
};

/// Endpoints and tasks whose rhythm is learned: those that come first. After nine days each takes two kilobytes.
const MOST_SUBJECTS: usize = 2_000;
const DAY: u64 = 24 * 3600;
/// Seconds after which a subject that does not come again is forgotten: it is in none of the half hours that are kept.
const FORGOTTEN_AFTER: u64 = 9 * DAY;

/// What a rhythm is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Rhythms {
    known: KnownRhythms,
    /// The places of all subjects, in the order of the subjects: a map would hold their names again.
    sorted: Vec<usize>,
    followed: Followed,
}

/// What an archive keeps of the rhythms. A clone shares each subject until one of both changes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownRhythms {
    pub(crate) service: ServiceRhythm,
    pub(crate) all: Vec<Arc<Regular>>,
}

#[cfg(test)]
impl KnownRhythms {
    /// Returns what a file that this is written to gives back.
    pub(crate) fn restored(&self) -> Self {
        fn read<T: Serialize + serde::de::DeserializeOwned>(written: &T) -> T {
            let json = serde_json::to_vec(written).expect("numbers and texts are JSON");
            serde_json::from_slice(&json).expect("just written")
        }
        Self { service: read(&self.service), all: self.all.iter().map(|regular| Arc::new(read(&**regular))).collect() }
    }
}

/// What is known of the service as a whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ServiceRhythm {
    /// Version of the service; empty if none was set.
    version: String,
    time: MeasuredTime,
    /// Requests of all endpoints together.
    #[serde(rename = "service")]
    rhythm: Rhythm,
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
        let service = ServiceRhythm { version, ..ServiceRhythm::default() };
        Self { known: KnownRhythms { service, all: Vec::new() }, ..Self::default() }
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
        let time = &mut self.known.service.time;
        let is_new_day = time.until().is_some_and(|until| until / DAY != now / DAY);
        time.add(moment.wall.saturating_sub(took).as_secs(), now);
        if is_new_day {
            self.forget(now);
        }
        let mut of_service = 0;
        for entry in delta.entries.iter() {
            let Some(place) = self.place_of(entry.series) else { continue };
            let count = delta.buckets(entry).map(|(_, count)| u64::from(count)).sum();
            let KnownRhythms { service, all } = &mut self.known;
            let Regular { of, rhythm, is_current } = Arc::make_mut(&mut all[place]);
            rhythm.add(now, count, &service.time);
            *is_current |= count > 0;
            of_service += if matches!(of, RhythmOf::Endpoint { .. }) { count } else { 0 };
        }
        let ServiceRhythm { rhythm, time, .. } = &mut self.known.service;
        rhythm.add(now, of_service, time);
    }

    /// Adds what an archive kept of earlier runs.
    ///
    /// What was recorded meanwhile is dropped: a few seconds at a start. Nothing is restored that lies in the future, since a clock was
    /// wrong then or is now.
    #[cfg(any(test, feature = "archive"))]
    pub(crate) fn restore(&mut self, stored: KnownRhythms, now: u64) {
        if stored.service.time.until().is_none_or(|until| until > now) {
            return;
        }
        let version = std::mem::take(&mut self.known.service.version);
        let is_same_version = !version.is_empty() && version == stored.service.version;
        *self = Self { known: stored, ..Self::default() };
        self.known.service.version = version;
        self.known.all.truncate(MOST_SUBJECTS);
        self.known.all.iter_mut().for_each(|regular| Arc::make_mut(regular).is_current &= is_same_version);
        self.forget(now);
    }

    /// Returns what an archive is to keep. It shares what is known until it changes.
    #[cfg(any(test, feature = "archive"))]
    pub(crate) fn known(&self) -> &KnownRhythms {
        &self.known
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(std::mem::take(&mut self.known.service.version));
    }

    /// Returns every subject, each in its place.
    pub(crate) fn all(&self) -> &[Arc<Regular>] {
        &self.known.all
    }

    /// Returns the place of a subject.
    pub(crate) fn find(&self, of: &RhythmOf) -> Option<usize> {
        self.search(of).ok().map(|at| self.sorted[at])
    }

    pub(crate) fn service(&self) -> &Rhythm {
        &self.known.service.rhythm
    }

    pub(crate) fn time(&self) -> &MeasuredTime {
        &self.known.service.time
    }

    /// Drops the subjects that have not come for long, and gives the others their places anew.
    fn forget(&mut self, now: u64) {
        let is_kept = |last: u64| last.saturating_add(FORGOTTEN_AFTER) > now;
        self.known.all.retain(|regular| regular.rhythm.last().is_some_and(is_kept));
        self.sorted = (0..self.known.all.len()).collect();
        self.sorted.sort_by(|a, b| self.known.all[*a].of.cmp(&self.known.all[*b].of));
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
        let at = match self.search(&of) {
            Ok(at) => return Some(self.sorted[at]),
            Err(at) => at,
        };
        let place = self.known.all.len();
        if place >= MOST_SUBJECTS {
            return None;
        }
        self.known.all.push(Arc::new(Regular { of, rhythm: Rhythm::default(), is_current: false }));
        self.sorted.insert(at, place);
        Some(place)
    }

    /// Returns where among the [`sorted`](Self::sorted) a subject is, or would be.
    fn search(&self, of: &RhythmOf) -> Result<usize, usize> {
        self.sorted.binary_search_by(|place| self.known.all[*place].of.cmp(of))
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
