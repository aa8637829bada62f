//! Tables of the queries and tasks that were seen, with their metric handles resolved once.
//!
//! A lookup reads an immutable map behind an atomic pointer. Making a new entry copies the map under a lock, which is
//! dear and rare: both tables are bounded, and what is past the bound goes to one entry named `other`, without the lock.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use super::{DynRecorder, labelled, running::Runs, statements::Statements};
use crate::names;

/// Raw statements remembered per fingerprint allowed: one fingerprint has several, such as one for each length of an
/// `IN`, and those with their literals inside pass through.
const STATEMENTS_PER_FINGERPRINT: usize = 4;

/// What a statement is, with nothing of its values.
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
    pub(crate) durations: Outcomes,
}

/// How a query or a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// Its future was dropped, by a client that went away or a timeout.
    Cancelled,
    /// Its poll unwound.
    Panicked,
}

/// Durations by outcome, each registered when it is first recorded: most never fail.
pub(crate) struct Outcomes {
    handles: [OnceLock<Histogram>; 4],
    make: Box<dyn Fn(Outcome) -> Histogram + Send + Sync>,
}

impl std::fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcomes").field("handles", &self.handles).finish_non_exhaustive()
    }
}

impl Outcomes {
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
    pub(crate) durations: Outcomes,
}

#[derive(Debug, Default)]
struct Queries {
    by_summary: HashMap<Arc<str>, Arc<QuerySeries>>,
    by_id: Vec<Arc<QuerySeries>>,
}

/// Every query that was seen.
pub(super) struct QueryTable {
    recorder: DynRecorder,
    dropped: Counter,
    system: Arc<str>,
    limit: usize,
    hasher: foldhash::fast::RandomState,
    statements: Statements,
    queries: ArcSwap<Queries>,
    writing: Mutex<()>,
}

impl QueryTable {
    pub(super) fn new(recorder: DynRecorder, dropped: Counter, system: Arc<str>, limit: usize) -> Self {
        Self {
            recorder,
            dropped,
            system,
            limit,
            hasher: foldhash::fast::RandomState::default(),
            statements: Statements::new(limit.saturating_mul(STATEMENTS_PER_FINGERPRINT)),
            queries: ArcSwap::default(),
            writing: Mutex::new(()),
        }
    }

    /// Returns the series of a statement; `shape` is asked for the fingerprint of one that is not remembered.
    pub(super) fn resolve(&self, statement: &str, shape: impl FnOnce(&str) -> SqlShape) -> Arc<QuerySeries> {
        let hash = self.hasher.hash_one(statement);
        if let Some(id) = self.statements.get(hash)
            && let Some(known) = self.queries.load().by_id.get(id as usize)
        {
            return known.clone();
        }
        let series = self.resolve_shape(shape(statement));
        self.statements.remember(hash, series.id);
        series
    }

    fn resolve_shape(&self, shape: SqlShape) -> Arc<QuerySeries> {
        if let Some(known) = self.known(&self.queries.load(), &shape) {
            return known;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let queries = self.queries.load();
        if let Some(known) = self.known(&queries, &shape) {
            return known;
        }
        let mut next = Queries { by_summary: queries.by_summary.clone(), by_id: queries.by_id.clone() };
        let series = self.add(&mut next, shape);
        self.queries.store(Arc::new(next));
        series
    }

    /// Returns the series of a shape: its own, or `other` where no more may be made.
    fn known(&self, queries: &Queries, shape: &SqlShape) -> Option<Arc<QuerySeries>> {
        let full = queries.by_id.len() >= self.limit;
        let other = || {
            let other = queries.by_summary.get(names::OTHER).filter(|_| full);
            other.inspect(|_| self.dropped.increment(1))
        };
        queries.by_summary.get(&shape.summary).or_else(other).cloned()
    }

    fn add(&self, queries: &mut Queries, shape: SqlShape) -> Arc<QuerySeries> {
        let shape = if queries.by_id.len() < self.limit {
            shape
        } else {
            self.dropped.increment(1);
            let other: Arc<str> = names::OTHER.into();
            SqlShape { summary: other.clone(), operation: other }
        };
        let durations = Outcomes::new({
            let (recorder, system, shape) = (self.recorder.clone(), self.system.clone(), shape.clone());
            move |outcome| {
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
            }
        });
        let series = Arc::new(QuerySeries {
            id: u32::try_from(queries.by_id.len()).expect("fingerprints are limited far below 2^32"),
            shape: shape.clone(),
            durations,
        });
        queries.by_id.push(series.clone());
        queries.by_summary.insert(shape.summary, series.clone());
        series
    }

    pub(super) fn shape(&self, id: u32) -> Option<SqlShape> {
        self.queries.load().by_id.get(id as usize).map(|series| series.shape.clone())
    }
}

impl std::fmt::Debug for QueryTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryTable").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Tasks {
    by_name: HashMap<Arc<str>, Arc<TaskSeries>, foldhash::fast::RandomState>,
    by_id: Vec<Arc<TaskSeries>>,
}

/// Every task name that was seen.
pub(super) struct TaskTable {
    recorder: DynRecorder,
    window_recorder: DynRecorder,
    dropped: Counter,
    limit: usize,
    tasks: ArcSwap<Tasks>,
    writing: Mutex<()>,
}

impl TaskTable {
    pub(super) fn new(recorder: DynRecorder, window_recorder: DynRecorder, dropped: Counter, limit: usize) -> Self {
        Self { recorder, window_recorder, dropped, limit, tasks: ArcSwap::default(), writing: Mutex::new(()) }
    }

    /// Returns the series of a task that was seen.
    pub(super) fn known(&self, name: &str) -> Option<Arc<TaskSeries>> {
        self.tasks.load().by_name.get(name).cloned()
    }

    pub(super) fn show_running(&self, now: Instant) {
        let tasks = self.tasks.load();
        let age = |began| now.saturating_duration_since(began).as_secs_f64();
        let mut ages: Vec<(f64, &TaskSeries)> =
            tasks.by_id.iter().map(|series| (series.runs.oldest().map_or(0.0, age), &**series)).collect();
        // Past the limit of series several tasks share one gauge: the oldest of all is written last, and stays.
        ages.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (age, series) in ages {
            series.oldest.set(age);
        }
    }

    pub(super) fn resolve(&self, name: &str) -> Arc<TaskSeries> {
        if let Some(known) = self.known_or_other(&self.tasks.load(), name) {
            return known;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = self.tasks.load();
        if let Some(known) = self.known_or_other(&tasks, name) {
            return known;
        }
        let name: Arc<str> = if tasks.by_id.len() < self.limit {
            name.into()
        } else {
            self.dropped.increment(1);
            names::OTHER.into()
        };
        let durations = Outcomes::new({
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
        let series = Arc::new(TaskSeries {
            id: u32::try_from(tasks.by_id.len()).expect("task names are limited far below 2^32"),
            name: name.clone(),
            active: labelled::gauge(&self.recorder, &names::TASK_ACTIVE, &labels),
            busy: labelled::counter(&self.window_recorder, &names::TASK_BUSY_NANOS, &labels),
            in_requests: labelled::counter(&self.window_recorder, &names::TASK_REQUEST_NANOS, &labels),
            runs: Runs::new(Instant::now()),
            oldest: labelled::gauge(&self.recorder, &names::TASK_OLDEST_ACTIVE, &labels),
            durations,
        });
        let mut next = Tasks { by_name: tasks.by_name.clone(), by_id: tasks.by_id.clone() };
        next.by_id.push(series.clone());
        next.by_name.insert(name, series.clone());
        self.tasks.store(Arc::new(next));
        series
    }

    /// Returns the series of a name: its own, or `other` where no more may be made.
    fn known_or_other(&self, tasks: &Tasks, name: &str) -> Option<Arc<TaskSeries>> {
        let full = tasks.by_id.len() >= self.limit;
        let other = || {
            let other = tasks.by_name.get(names::OTHER).filter(|_| full);
            other.inspect(|_| self.dropped.increment(1))
        };
        tasks.by_name.get(name).or_else(other).cloned()
    }

    pub(super) fn name(&self, id: u32) -> Option<Arc<str>> {
        self.tasks.load().by_id.get(id as usize).map(|series| series.name.clone())
    }
}

impl std::fmt::Debug for TaskTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskTable").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// Runs `work`, and fails where it waits for `lock`.
    fn without<T: Send>(lock: &Mutex<()>, work: impl FnOnce() -> T + Send) -> T {
        let held = lock.lock().expect("not poisoned");
        std::thread::scope(|scope| {
            let (done, result) = std::sync::mpsc::channel();
            scope.spawn(move || done.send(work()));
            let result = result.recv_timeout(Duration::from_secs(10));
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
    fn past_the_limit_no_task_waits_for_another() {
        let (counter, count) = dropped(&DebuggingRecorder::new());
        let recorder: DynRecorder = Arc::new(DebuggingRecorder::new());
        let tasks = TaskTable::new(recorder.clone(), recorder, counter, 2);
        for name in ["a", "b", "c"] {
            tasks.resolve(name);
        }
        assert_eq!(count(), 1);
        without(&tasks.writing, || {
            assert_eq!(&*tasks.resolve("d").name, names::OTHER);
            assert_eq!(&*tasks.resolve("a").name, "a");
        });
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_fingerprint_that_was_seen_waits_for_no_other_whatever_its_literals() {
        let (counter, count) = dropped(&DebuggingRecorder::new());
        let queries = QueryTable::new(Arc::new(DebuggingRecorder::new()), counter, "sqlite".into(), 2);
        let shape = |summary: &str| SqlShape { summary: summary.into(), operation: "SELECT".into() };
        for summary in ["a", "b", "c"] {
            queries.resolve(summary, shape);
        }
        assert_eq!(count(), 1);
        without(&queries.writing, || {
            for statement in 0..100 {
                assert_eq!(queries.resolve(&format!("a = {statement}"), |_| shape("a")).id, 0);
            }
            assert_eq!(&*queries.resolve("d", shape).shape.summary, names::OTHER);
        });
        assert_eq!(count(), 1);
    }
}
