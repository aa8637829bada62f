//! [`QueryTable`] and [`TaskTable`]: the queries and tasks that were recorded, each with its metric handles.
//!
//! A lookup reads an immutable map behind an atomic pointer. A new entry copies the map under a lock, which is
//! expensive and rare: both tables are bounded, and further names share the entry `other`, which is found without the
//! lock.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use super::{DynRecorder, labelled, running::Runs, statements::Statements};
use crate::{lock::lock, names};

/// Statements remembered for each fingerprint that is allowed. A fingerprint has several statements, such as one for
/// each length of an `IN` list.
const STATEMENTS_PER_FINGERPRINT: usize = 4;

/// A statement without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlShape {
    /// The fingerprint.
    pub(crate) summary: Arc<str>,
    /// First keyword.
    pub(crate) operation: Arc<str>,
}

/// A query fingerprint and its series.
#[derive(Debug)]
pub(crate) struct QuerySeries {
    pub(crate) id: u32,
    pub(crate) shape: SqlShape,
    pub(crate) durations: OutcomeDurations,
}

/// How a query or a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// Its future was dropped, because the client disconnected or a timeout ended it.
    Cancelled,
    /// Its poll unwound.
    Panicked,
}

/// A duration histogram for each outcome, registered with its first duration: most queries and tasks never fail.
pub(crate) struct OutcomeDurations {
    handles: [OnceLock<Histogram>; 4],
    make: Box<dyn Fn(Outcome) -> Histogram + Send + Sync>,
}

impl std::fmt::Debug for OutcomeDurations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutcomeDurations").field("handles", &self.handles).finish_non_exhaustive()
    }
}

impl OutcomeDurations {
    fn new(make: impl Fn(Outcome) -> Histogram + Send + Sync + 'static) -> Self {
        Self { handles: Default::default(), make: Box::new(make) }
    }

    pub(crate) fn record(&self, outcome: Outcome, duration: Duration) {
        self.handles[outcome as usize].get_or_init(|| (self.make)(outcome)).record(duration.as_secs_f64());
    }
}

/// A task name and its series.
#[derive(Debug)]
pub(crate) struct TaskSeries {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    pub(crate) active: Gauge,
    /// Nanoseconds inside poll, of runs that have ended.
    pub(crate) busy: Counter,
    /// Nanoseconds of the runs that ended inside a request.
    pub(crate) in_requests: Counter,
    pub(crate) runs: Runs,
    oldest: Gauge,
    pub(crate) durations: OutcomeDurations,
}

/// A bounded table of series by name, each with a number of its own.
struct NamedTable<S> {
    limit: usize,
    /// Counts the lookups that were folded into `other`.
    dropped: Counter,
    entries: ArcSwap<Entries<S>>,
    writing: Mutex<()>,
}

struct Entries<S> {
    by_name: HashMap<Arc<str>, Arc<S>, foldhash::fast::RandomState>,
    by_id: Vec<Arc<S>>,
}

impl<S> Default for Entries<S> {
    fn default() -> Self {
        Self { by_name: HashMap::default(), by_id: Vec::new() }
    }
}

impl<S> NamedTable<S> {
    fn new(limit: usize, dropped: Counter) -> Self {
        Self { limit, dropped, entries: ArcSwap::default(), writing: Mutex::new(()) }
    }

    /// Returns the series of a name: its own, or that of `other` if the table is full. `make` makes it from its number
    /// and the name that it got.
    fn resolve(&self, name: &str, make: impl FnOnce(u32, Arc<str>) -> S) -> Arc<S> {
        if let Some(known) = self.known_or_other(&self.entries.load(), name) {
            return known;
        }
        let _writing = lock(&self.writing);
        let entries = self.entries.load();
        // Another thread may have made it while this one waited for the lock.
        if let Some(known) = self.known_or_other(&entries, name) {
            return known;
        }
        let name: Arc<str> = if entries.by_id.len() < self.limit {
            name.into()
        } else {
            self.dropped.increment(1);
            names::OTHER.into()
        };
        let id = u32::try_from(entries.by_id.len()).expect("max_fingerprints bounds the table far below 2^32");
        let series = Arc::new(make(id, name.clone()));
        let mut next = Entries { by_name: entries.by_name.clone(), by_id: entries.by_id.clone() };
        next.by_id.push(series.clone());
        next.by_name.insert(name, series.clone());
        self.entries.store(Arc::new(next));
        series
    }

    fn known_or_other(&self, entries: &Entries<S>, name: &str) -> Option<Arc<S>> {
        let is_full = entries.by_id.len() >= self.limit;
        let other = || {
            let other = entries.by_name.get(names::OTHER).filter(|_| is_full);
            other.inspect(|_| self.dropped.increment(1))
        };
        entries.by_name.get(name).or_else(other).cloned()
    }

    fn get(&self, name: &str) -> Option<Arc<S>> {
        self.entries.load().by_name.get(name).cloned()
    }

    fn by_id(&self, id: u32) -> Option<Arc<S>> {
        self.entries.load().by_id.get(id as usize).cloned()
    }
}

/// Every query that was recorded, by fingerprint.
pub(super) struct QueryTable {
    recorder: DynRecorder,
    system: Arc<str>,
    hasher: foldhash::fast::RandomState,
    statements: Statements,
    table: NamedTable<QuerySeries>,
}

impl QueryTable {
    pub(super) fn new(recorder: DynRecorder, dropped: Counter, system: Arc<str>, limit: usize) -> Self {
        Self {
            recorder,
            system,
            hasher: foldhash::fast::RandomState::default(),
            statements: Statements::new(limit.saturating_mul(STATEMENTS_PER_FINGERPRINT)),
            table: NamedTable::new(limit, dropped),
        }
    }

    /// Returns the series of a statement; calls `shape` for its fingerprint if the statement is not remembered.
    pub(super) fn resolve(&self, statement: &str, shape: impl FnOnce(&str) -> SqlShape) -> Arc<QuerySeries> {
        let hash = self.hasher.hash_one(statement);
        if let Some(id) = self.statements.get(hash)
            && let Some(known) = self.table.by_id(id)
        {
            return known;
        }
        let shape = shape(statement);
        let series = self.table.resolve(&shape.summary, |id, summary| {
            let is_folded = summary != shape.summary;
            let operation = if is_folded { summary.clone() } else { shape.operation.clone() };
            let shape = SqlShape { summary, operation };
            QuerySeries { id, durations: self.durations(shape.clone()), shape }
        });
        self.statements.remember(hash, series.id);
        series
    }

    fn durations(&self, shape: SqlShape) -> OutcomeDurations {
        let (recorder, system) = (self.recorder.clone(), self.system.clone());
        OutcomeDurations::new(move |outcome| {
            let mut labels = vec![
                (names::DB_SYSTEM, system.clone()),
                (names::DB_OPERATION, shape.operation.clone()),
                (names::DB_SUMMARY, shape.summary.clone()),
            ];
            let error = match outcome {
                Outcome::Ok => None,
                Outcome::Error => Some(names::ERROR),
                Outcome::Cancelled => Some(names::CANCELLED),
                Outcome::Panicked => Some(names::PANIC),
            };
            labels.extend(error.map(|error| (names::ERROR_TYPE, error.into())));
            labelled::histogram(&recorder, &names::DB_DURATION, &labels)
        })
    }

    pub(super) fn shape(&self, id: u32) -> Option<SqlShape> {
        self.table.by_id(id).map(|series| series.shape.clone())
    }
}

/// Every task that was recorded, by name.
pub(super) struct TaskTable {
    recorder: DynRecorder,
    window_recorder: DynRecorder,
    table: NamedTable<TaskSeries>,
}

impl TaskTable {
    pub(super) fn new(recorder: DynRecorder, window_recorder: DynRecorder, dropped: Counter, limit: usize) -> Self {
        Self { recorder, window_recorder, table: NamedTable::new(limit, dropped) }
    }

    /// Returns the series of a task; makes it if the name is new.
    pub(super) fn resolve(&self, name: &str) -> Arc<TaskSeries> {
        self.table.resolve(name, |id, name| self.series(id, name))
    }

    fn series(&self, id: u32, name: Arc<str>) -> TaskSeries {
        let durations = OutcomeDurations::new({
            let (recorder, name) = (self.recorder.clone(), name.clone());
            move |outcome| {
                let outcome = match outcome {
                    Outcome::Ok => names::OK,
                    Outcome::Error => names::ERROR,
                    Outcome::Cancelled => names::CANCELLED,
                    Outcome::Panicked => names::PANIC,
                };
                let labels = [(names::TASK_NAME, name.clone()), (names::OUTCOME, outcome.into())];
                labelled::histogram(&recorder, &names::TASK_DURATION, &labels)
            }
        });
        let labels = [(names::TASK_NAME, name.clone())];
        TaskSeries {
            id,
            active: labelled::gauge(&self.recorder, &names::TASK_ACTIVE, &labels),
            busy: labelled::counter(&self.window_recorder, &names::TASK_BUSY_NANOS, &labels),
            in_requests: labelled::counter(&self.window_recorder, &names::TASK_REQUEST_NANOS, &labels),
            runs: Runs::new(Instant::now()),
            oldest: labelled::gauge(&self.recorder, &names::TASK_OLDEST_ACTIVE, &labels),
            durations,
            name,
        }
    }

    /// Returns the series of a task that was recorded.
    pub(super) fn known(&self, name: &str) -> Option<Arc<TaskSeries>> {
        self.table.get(name)
    }

    /// Writes the age of each task's oldest run.
    pub(super) fn show_running(&self, now: Instant) {
        let entries = self.table.entries.load();
        let age = |began| now.saturating_duration_since(began).as_secs_f64();
        let mut ages: Vec<(f64, &TaskSeries)> =
            entries.by_id.iter().map(|series| (series.runs.oldest().map_or(0.0, age), &**series)).collect();
        // Past `max_series` several tasks share one gauge. The oldest run of all is written last, so it is what stays.
        ages.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (age, series) in ages {
            series.oldest.set(age);
        }
    }

    pub(super) fn name(&self, id: u32) -> Option<Arc<str>> {
        self.table.by_id(id).map(|series| series.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// Runs `work`, and fails where it waits for `mutex`.
    fn without<T: Send>(mutex: &Mutex<()>, work: impl FnOnce() -> T + Send) -> T {
        let held = lock(mutex);
        std::thread::scope(|scope| {
            let (done, result) = std::sync::mpsc::channel();
            scope.spawn(move || done.send(work()));
            let result = result.recv_timeout(Duration::from_secs(60));
            drop(held);
            result.expect("it waits for the lock")
        })
    }

    fn dropped(recorder: &DebuggingRecorder) -> (Counter, impl Fn() -> u64 + use<>) {
        let counter = labelled::counter(recorder, &names::SERIES_DROPPED, &[]);
        let snapshotter = recorder.snapshotter();
        let count = move || match snapshotter.snapshot().into_vec().into_iter().next().expect("the counter").3 {
            DebugValue::Counter(value) => value,
            other => panic!("not a counter: {other:?}"),
        };
        (counter, count)
    }

    #[test]
    fn a_task_past_the_limit_takes_no_lock() {
        let (counter, count) = dropped(&DebuggingRecorder::new());
        let recorder: DynRecorder = Arc::new(DebuggingRecorder::new());
        let tasks = TaskTable::new(recorder.clone(), recorder, counter, 2);
        for name in ["a", "b", "c"] {
            tasks.resolve(name);
        }
        assert_eq!(count(), 1);
        without(&tasks.table.writing, || {
            assert_eq!(&*tasks.resolve("d").name, names::OTHER);
            assert_eq!(&*tasks.resolve("a").name, "a");
        });
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_known_fingerprint_takes_no_lock_whatever_its_literals() {
        let (counter, count) = dropped(&DebuggingRecorder::new());
        let queries = QueryTable::new(Arc::new(DebuggingRecorder::new()), counter, "sqlite".into(), 2);
        let shape = |summary: &str| SqlShape { summary: summary.into(), operation: "SELECT".into() };
        for summary in ["a", "b", "c"] {
            queries.resolve(summary, shape);
        }
        assert_eq!(count(), 1);
        without(&queries.table.writing, || {
            for statement in 0..100 {
                assert_eq!(queries.resolve(&format!("a = {statement}"), |_| shape("a")).id, 0);
            }
            assert_eq!(&*queries.resolve("d", shape).shape.summary, names::OTHER);
        });
        assert_eq!(count(), 1);
    }
}
