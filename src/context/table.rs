//! [`QueryTable`] and [`TaskTable`]: the queries and tasks that were recorded, each with its metric handles.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use super::{
    ByDatabase, Database, DynRecorder, Part, RequestTime,
    holds::TaskHolds,
    labelled,
    named::NamedTable,
    nanos::nanos,
    outcome::{Outcome, OutcomeDurations},
    overlap::Overlap,
    polls::Polls,
    query_durations::QueryDurations,
    query_id::query_id,
    running::Runs,
    statements::Statements,
    watch::{self, PollWatch},
};
use crate::names;

/// Statements remembered for each fingerprint that is allowed. A fingerprint has several statements, such as one for
/// each length of an `IN` list.
const STATEMENTS_PER_FINGERPRINT: usize = 4;

/// A statement without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlShape {
    /// The fingerprint.
    pub(crate) text: Arc<str>,
    /// What it does, and to what.
    pub(crate) summary: Arc<str>,
    /// First keyword.
    pub(crate) operation: Arc<str>,
}

impl SqlShape {
    /// Returns the shape of all statements that have no place of their own.
    fn other() -> Self {
        let other: Arc<str> = names::OTHER.into();
        Self { text: other.clone(), summary: other.clone(), operation: other }
    }
}

/// A query fingerprint and its series.
pub(crate) struct QuerySeries {
    /// Its number in this process.
    pub(crate) id: u32,
    /// Its [`query_id`](super::query_id).
    pub(crate) query_id: Arc<str>,
    pub(crate) shape: SqlShape,
    pub(crate) durations: ByDatabase<QueryDurations>,
    /// Shows its text for as long as it has its place.
    _info: Gauge,
    overlap: Overlap,
    at_once: OnceLock<Histogram>,
    window_recorder: DynRecorder,
}

impl fmt::Debug for QuerySeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerySeries").field("id", &self.id).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl QuerySeries {
    /// Records how many calls ran at once when this one did.
    pub(crate) fn record_overlap(&self, began: Instant, duration: Duration) {
        if let Some(calls) = self.overlap.add(began, duration) {
            let labels = || [(names::DB_QUERY_ID, self.query_id.clone())];
            let at_once = || labelled::histogram(&self.window_recorder, &names::QUERY_AT_ONCE, &labels());
            self.at_once.get_or_init(at_once).record(calls as f64);
        }
    }
}

/// The time of a task's runs by part. On the monitor's own page alone.
pub(crate) struct TaskParts {
    recorder: DynRecorder,
    name: Arc<str>,
    nanos: [OnceLock<Counter>; Part::COUNT],
    overlap: OnceLock<Counter>,
}

impl fmt::Debug for TaskParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskParts").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TaskParts {
    /// Records the time of a run that took `duration`, `busy` of it inside poll.
    pub(crate) fn record(&self, time: &RequestTime, duration: Duration, busy: Duration) {
        for part in Part::ALL.into_iter().filter(|part| !time.of(*part).is_zero()) {
            let counter = || {
                let labels = [(names::TASK_NAME, self.name.clone()), (names::PART, part.label().into())];
                labelled::counter(&self.recorder, &names::TASK_PART_NANOS, &labels)
            };
            self.nanos[part as usize].get_or_init(counter).increment(nanos(time.of(part)));
        }
        let overlap = busy.saturating_sub(duration.saturating_sub(time.covered()));
        if !overlap.is_zero() {
            let labels = || [(names::TASK_NAME, self.name.clone())];
            let counter = || labelled::counter(&self.recorder, &names::TASK_OVERLAP_NANOS, &labels());
            self.overlap.get_or_init(counter).increment(nanos(overlap));
        }
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
    pub(crate) parts: TaskParts,
    pub(crate) holds: Arc<TaskHolds>,
    oldest: Gauge,
    pub(crate) durations: OutcomeDurations,
    pub(crate) watch: PollWatch,
    blocking_polls: OnceLock<Histogram>,
}

impl TaskSeries {
    /// Returns the histogram of the polls that blocked a worker.
    pub(crate) fn blocking_polls(&self) -> &Histogram {
        self.blocking_polls.get_or_init(|| self.watch.histogram(&names::TASK_BLOCKING_POLLS))
    }
}

/// Every query that was recorded, by fingerprint.
pub(super) struct QueryTable {
    recorder: DynRecorder,
    window_recorder: DynRecorder,
    database: Database,
    hasher: foldhash::fast::RandomState,
    statements: Statements,
    table: NamedTable<QuerySeries>,
    make_id: fn(&str, u64) -> Arc<str>,
}

impl QueryTable {
    pub(super) fn new(
        recorder: DynRecorder,
        window_recorder: DynRecorder,
        dropped: Counter,
        database: Database,
        limit: usize,
    ) -> Self {
        Self {
            recorder,
            window_recorder,
            database,
            hasher: foldhash::fast::RandomState::default(),
            statements: Statements::new(limit.saturating_mul(STATEMENTS_PER_FINGERPRINT)),
            table: NamedTable::new(limit, dropped),
            make_id: query_id,
        }
    }

    /// Returns the series of a statement, and the statement's own number; calls `shape` for its fingerprint if the statement is
    /// not remembered.
    pub(super) fn resolve(&self, statement: &str, shape: impl FnOnce(&str) -> SqlShape) -> (Arc<QuerySeries>, u64) {
        let hash = self.hasher.hash_one(statement);
        if let Some(id) = self.statements.get(hash)
            && let Some(known) = self.table.use_by_id(id)
        {
            return (known, hash);
        }
        let shape = shape(statement);
        let found = self.table.resolve(&shape.text, |id, text| {
            let is_folded = text != shape.text;
            let (query_id, shape) =
                if is_folded { (text, SqlShape::other()) } else { (self.free_id(&shape.text), shape.clone()) };
            let labels = [(names::DB_QUERY_ID, query_id.clone()), (names::DB_QUERY_TEXT, shape.text.clone())];
            let info = labelled::gauge(&self.recorder, &names::DB_QUERY_INFO, &labels);
            info.set(1.0);
            QuerySeries {
                id,
                durations: self.durations(shape.clone(), query_id.clone()),
                query_id,
                shape,
                _info: info,
                overlap: Overlap::new(Instant::now()),
                at_once: OnceLock::new(),
                window_recorder: self.window_recorder.clone(),
            }
        });
        if found.is_settled {
            self.statements.remember(hash, found.series.id);
        }
        (found.series, hash)
    }

    /// Takes the time of a tick; see [`NamedTable::give_back`].
    pub(super) fn give_back(&self, now: Instant, unused: Duration) -> bool {
        let has_room = self.table.give_back(now, unused);
        if has_room {
            // Statements that were folded get places of their own when they come next.
            self.statements.clear();
        }
        has_room
    }

    /// Returns the id of a statement that is to get a place; another than its hash if a statement has that already.
    fn free_id(&self, text: &str) -> Arc<str> {
        let is_free = |id: &Arc<str>| {
            let mut is_taken = false;
            self.table.each(|known| is_taken |= known.query_id == *id);
            !is_taken
        };
        (0..).map(|seed| (self.make_id)(text, seed)).find(is_free).expect("there are more ids than places")
    }

    fn durations(&self, shape: SqlShape, query_id: Arc<str>) -> ByDatabase<QueryDurations> {
        let recorder = self.recorder.clone();
        ByDatabase::new(self.database.clone(), move |database| {
            let own = [
                (names::DB_OPERATION, shape.operation.clone()),
                (names::DB_SUMMARY, shape.summary.clone()),
                (names::DB_QUERY_ID, query_id.clone()),
            ];
            let labels: Vec<_> = database.labels().into_iter().chain(own).collect();
            let recorder = recorder.clone();
            let histogram = Arc::new(move |error: &[(&'static str, Arc<str>)]| {
                labelled::histogram(&recorder, &names::DB_DURATION, &[&labels, error].concat())
            });
            let outcomes = OutcomeDurations::new({
                let histogram = histogram.clone();
                move |outcome| match outcome {
                    Outcome::Ok => histogram(&[]),
                    Outcome::Error => histogram(&[(names::ERROR_TYPE, names::ERROR.into())]),
                    Outcome::Cancelled => histogram(&[(names::ERROR_TYPE, names::CANCELLED.into())]),
                    Outcome::Panicked => histogram(&[(names::ERROR_TYPE, names::PANIC.into())]),
                }
            });
            QueryDurations::new(outcomes, move |code| {
                histogram(&[(names::ERROR_TYPE, code.clone()), (names::DB_STATUS, code.clone())])
            })
        })
    }

    /// Returns the fingerprint of the statement with a number.
    pub(super) fn text(&self, id: u32) -> Option<Arc<str>> {
        self.table.by_id(id).map(|series| series.shape.text.clone())
    }

    /// Returns the id, in labels, of the statement with a number.
    pub(super) fn query_id(&self, id: u32) -> Option<Arc<str>> {
        self.table.by_id(id).map(|series| series.query_id.clone())
    }
}

/// Every task that was recorded, by name.
pub(super) struct TaskTable {
    recorder: DynRecorder,
    window_recorder: DynRecorder,
    polls: Arc<Polls>,
    table: NamedTable<TaskSeries>,
}

impl TaskTable {
    pub(super) fn new(
        recorder: DynRecorder,
        window_recorder: DynRecorder,
        polls: Arc<Polls>,
        dropped: Counter,
        limit: usize,
    ) -> Self {
        Self { recorder, window_recorder, polls, table: NamedTable::new(limit, dropped) }
    }

    /// Returns the series of a task; makes it if the name is new.
    pub(super) fn resolve(&self, name: &str) -> Arc<TaskSeries> {
        self.table.resolve(name, |id, name| self.series(id, name)).series
    }

    /// Takes the time of a tick; see [`NamedTable::give_back`].
    pub(super) fn give_back(&self, now: Instant, unused: Duration) -> bool {
        self.table.give_back(now, unused)
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
            parts: TaskParts {
                recorder: self.window_recorder.clone(),
                name: name.clone(),
                nanos: Default::default(),
                overlap: OnceLock::new(),
            },
            holds: Arc::new(TaskHolds::new(self.window_recorder.clone(), name.clone())),
            oldest: labelled::gauge(&self.recorder, &names::TASK_OLDEST_ACTIVE, &labels),
            durations,
            watch: PollWatch::new(self.polls.clone(), self.window_recorder.clone(), watch::OF_TASK, &labels),
            blocking_polls: OnceLock::new(),
            name,
        }
    }

    /// Returns the series of a task that was recorded.
    pub(super) fn known(&self, name: &str) -> Option<Arc<TaskSeries>> {
        self.table.get(name)
    }

    /// Writes the age of each task's oldest run.
    pub(super) fn show_running(&self, now: Instant) {
        let age = |began| now.saturating_duration_since(began).as_secs_f64();
        let mut ages: Vec<(f64, Arc<TaskSeries>)> = Vec::new();
        self.table.each(|series| ages.push((series.runs.oldest().map_or(0.0, age), series.clone())));
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
    use std::sync::Mutex;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::{super::named::Writing, *};
    use crate::lock::lock;

    /// Runs `work`, and fails where it waits for `mutex`.
    fn without<T: Send>(mutex: &Mutex<Writing>, work: impl FnOnce() -> T + Send) -> T {
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
        let tasks = TaskTable::new(recorder.clone(), recorder, Arc::default(), counter, 2);
        for name in ["a", "b", "c"] {
            tasks.resolve(name);
        }
        assert_eq!(count(), 1);
        without(tasks.table.writing(), || {
            assert_eq!(&*tasks.resolve("d").name, names::OTHER);
            assert_eq!(&*tasks.resolve("a").name, "a");
        });
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_known_fingerprint_takes_no_lock_whatever_its_literals() {
        let (counter, count) = dropped(&DebuggingRecorder::new());
        let recorder: DynRecorder = Arc::new(DebuggingRecorder::new());
        let queries = QueryTable::new(recorder.clone(), recorder, counter, Database::new("sqlite"), 2);
        for text in ["a", "b", "c"] {
            queries.resolve(text, shape);
        }
        assert_eq!(count(), 1);
        without(queries.table.writing(), || {
            for statement in 0..100 {
                assert_eq!(queries.resolve(&format!("a = {statement}"), |_| shape("a")).0.id, 0);
            }
            assert_eq!(&*queries.resolve("d", shape).0.shape.text, names::OTHER);
        });
        assert_eq!(count(), 1);
    }

    fn shape(text: &str) -> SqlShape {
        SqlShape { text: text.into(), summary: "SELECT".into(), operation: "SELECT".into() }
    }

    #[test]
    fn statements_of_one_hash_have_two_ids_and_what_is_folded_is_other() {
        let recorder: DynRecorder = Arc::new(DebuggingRecorder::new());
        let mut queries = QueryTable::new(recorder.clone(), recorder, Counter::noop(), Database::new("sqlite"), 4);
        queries.make_id = |_, seed| format!("{seed}").into();
        let id = |text: &str| queries.resolve(text, shape).0.query_id.clone();
        assert_eq!([id("a"), id("b"), id("a"), id("c")].map(|id| id.to_string()), ["0", "1", "0", "2"]);
        assert_eq!([id("d"), id("d"), id("e"), id("e")].map(|id| id.to_string()), ["other", "3", "other", "other"]);
    }
}
