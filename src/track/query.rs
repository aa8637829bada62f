//! [`track_db_query`]: a database query becomes an observation.

use std::{
    borrow::Cow,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{destination::Destination, fingerprint};
use crate::context::{Carrier, Database, Did, Outcome, Part, Place, QuerySeries};

impl Destination<QuerySeries> {
    /// Returns the destination of a statement, and its [`Did::exact`].
    fn of_query(sql: &str) -> Option<(Self, u64)> {
        let mut exact = 0;
        let destination = Self::find(|instruments, _| {
            let (series, number) = instruments.query(sql, fingerprint::shape);
            exact = if is_whole(sql) { number.max(1) } else { 0 };
            series
        });
        Some((destination?, exact))
    }

    fn record(
        &self,
        database: Option<&Database>,
        began: Instant,
        duration: Duration,
        outcome: Outcome,
        code: Option<&str>,
        (place, exact): (Place, u64),
    ) {
        // What passed between its wake-up and its poll is the runtime's, not the database's.
        let late = self.request.as_ref().map_or(Duration::ZERO, |request| request.late_within(began, duration));
        self.series.durations.visit(database, |durations| durations.record(outcome, code, duration - late));
        self.series.record_overlap(began, duration);
        if let Some(request) = &self.request {
            let failed = matches!(outcome, Outcome::Error | Outcome::Panicked);
            request.record(Part::Db, &Did { id: self.series.id, began, duration, failed, place, exact });
        }
    }
}

/// Returns whether the text of a statement is all of it: parameters would be somewhere else. May take a text for less than it
/// is, as one with a cast or a time of day.
fn is_whole(sql: &str) -> bool {
    !sql.bytes().any(|byte| matches!(byte, b'?' | b'$' | b':' | b'@' | b'%'))
}

/// Records a query that has ended, as done: sqlx's events do not contain the outcome.
#[cfg(feature = "sqlx")]
pub(crate) fn record_query(sql: &str, elapsed: Duration) {
    // Read before the fingerprint of a new statement is made, which takes time.
    let now = Instant::now();
    if let Some((destination, exact)) = Destination::of_query(sql) {
        let began = now.checked_sub(elapsed).unwrap_or(now);
        destination.record(None, began, elapsed, Outcome::Ok, None, (Place::NONE, exact));
    }
}

/// Records a query that has ended, for drivers that block and those that call back: diesel, rusqlite.
///
/// To be called when the query is over, on the thread that made it: it counts for the request that this thread polls, or whose work
/// it runs inside [`spawn_blocking`](crate::spawn_blocking), and in the service's numbers, as with
/// [`track_db_query`](crate::track_db_query).
///
/// ```
/// use std::time::Instant;
///
/// let began = Instant::now();
/// let found: Result<u64, std::io::Error> = Ok(7);
/// pinchpoint::record_db_query("SELECT count(*) FROM users", began.elapsed(), &found);
/// ```
#[track_caller]
pub fn record_db_query<T, E>(sql: &str, duration: Duration, result: &Result<T, E>) {
    record_on(None, sql, duration, result.is_ok(), Location::caller());
}

fn record_on(
    database: Option<&Database>,
    sql: &str,
    duration: Duration,
    is_ok: bool,
    location: &'static Location<'static>,
) {
    // Read before the fingerprint of a new statement is made, which takes time.
    let now = Instant::now();
    if let Some((destination, exact)) = Destination::of_query(sql) {
        let outcome = if is_ok { Outcome::Ok } else { Outcome::Error };
        let began = now.checked_sub(duration).unwrap_or(now);
        destination.record(database, began, duration, outcome, None, (Place::of(location), exact));
    }
}

impl Database {
    /// Records a query on this database that has ended, as [`record_db_query`](crate::record_db_query) does.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let replica = pinchpoint::Database::new("postgresql").namespace("shop").server("replica.internal");
    /// let began = Instant::now();
    /// let found: Result<u64, std::io::Error> = Ok(7);
    /// replica.record_query("SELECT count(*) FROM users", began.elapsed(), &found);
    /// ```
    #[track_caller]
    pub fn record_query<T, E>(&self, sql: &str, duration: Duration, result: &Result<T, E>) {
        record_on(Some(self), sql, duration, result.is_ok(), Location::caller());
    }
}

/// A query in progress. Dropped before its end, it is recorded as cancelled, or as panicked if its poll unwound.
struct RunningQuery {
    /// `None` after its end, and if there is no monitor.
    destination: Option<Destination<QuerySeries>>,
    database: Option<Database>,
    /// Keeps the driver's own events of this query from counting it again.
    counted: Carrier,
    began: Instant,
    /// Where it was called, and its [`Did::exact`].
    place: (Place, u64),
    polling: bool,
}

impl RunningQuery {
    fn begin(sql: &str, database: Option<Database>, location: &'static Location<'static>) -> Self {
        let (destination, exact) = Destination::of_query(sql).map_or((None, 0), |(found, exact)| (Some(found), exact));
        let counted = destination.as_ref().map(|_| Carrier::counted()).unwrap_or_default();
        let place = if destination.is_some() { Place::of(location) } else { Place::NONE };
        Self { destination, database, counted, began: Instant::now(), place: (place, exact), polling: false }
    }

    fn end(&mut self, outcome: Outcome, code: Option<&str>) {
        if let Some(destination) = self.destination.take() {
            destination.record(self.database.as_ref(), self.began, self.began.elapsed(), outcome, code, self.place);
        }
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        self.end(if self.polling { Outcome::Panicked } else { Outcome::Cancelled }, None);
    }
}

/// The errors of a query have no code; see [`TrackDbQuery::error_code`].
#[derive(Clone, Copy, Debug)]
pub struct NoCode(());

/// Reads the code of a query's errors; see [`TrackDbQuery::error_code`].
#[derive(Clone, Copy)]
pub struct CodeOf<C>(C);

impl<C> std::fmt::Debug for CodeOf<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeOf").finish_non_exhaustive()
    }
}

pin_project! {
    /// Future of [`track_db_query`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrackDbQuery<S, F, C = NoCode> {
        // `None` only while this is being dropped, as `query`.
        sql: Option<S>,
        code: C,
        database: Option<Database>,
        location: &'static Location<'static>,
        running: Option<RunningQuery>,
        // `None` only while this is being dropped.
        #[pin]
        query: Option<F>,
    }

    impl<S, F, C> PinnedDrop for TrackDbQuery<S, F, C> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running.as_ref().filter(|running| running.destination.is_some()) {
                // A driver may emit its event only when the query is dropped, and must find it counted then. `running`
                // is dropped after it and records the query as cancelled.
                let _entered = running.counted.enter();
                this.query.set(None);
            }
        }
    }
}

impl<S, F> TrackDbQuery<S, F, NoCode> {
    /// Tells errors apart by the database's own code, such as an SQLSTATE: it becomes the labels `error_type`, which is `error`
    /// otherwise, and `db_response_status_code`. A text that is longer than 32 characters or has a space is no code, and of a
    /// statement's codes the first 16 are told apart.
    ///
    /// With sqlx it is `.error_code(|error: &sqlx::Error| error.as_database_error()?.code())`, with tokio-postgres
    /// `.error_code(|error: &tokio_postgres::Error| Some(error.code()?.code().into()))`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use pinchpoint::track_db_query;
    ///
    /// # #[derive(Debug)]
    /// struct DbError {
    ///     state: String,
    /// }
    ///
    /// let insert = async { Err::<(), _>(DbError { state: "23505".to_owned() }) };
    /// let inserted = track_db_query("INSERT INTO users VALUES (?)", insert)
    ///     .error_code(|error: &DbError| Some(error.state.as_str().into()))
    ///     .await;
    /// assert!(inserted.is_err());
    /// # }
    /// ```
    pub fn error_code<C, T, E>(mut self, code: C) -> TrackDbQuery<S, F, CodeOf<C>>
    where
        F: Future<Output = Result<T, E>>,
        C: Fn(&E) -> Option<Cow<'_, str>>,
    {
        TrackDbQuery {
            sql: self.sql.take(),
            code: CodeOf(code),
            database: self.database.take(),
            location: self.location,
            running: None,
            query: self.query.take(),
        }
    }
}

impl<S, F, C> TrackDbQuery<S, F, C> {
    /// Says which database the query goes to, where it is not the one that the monitor assumes.
    ///
    /// ```
    /// # async fn fetch(id: u64) -> Result<String, std::io::Error> { Ok(id.to_string()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
    /// use pinchpoint::{Database, track_db_query};
    ///
    /// let replica = Database::new("postgresql").namespace("shop").server("replica.internal");
    /// let user = track_db_query("SELECT * FROM users WHERE id = ?", fetch(7)).on(&replica).await?;
    /// # assert_eq!(user, "7"); Ok(()) }
    /// ```
    pub fn on(mut self, database: &Database) -> Self {
        self.database = Some(database.clone());
        self
    }
}

impl<S, F, C> std::fmt::Debug for TrackDbQuery<S, F, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackDbQuery").finish_non_exhaustive()
    }
}

/// Tracks a database query: its duration from the first poll to its end, and whether it failed.
///
/// The query counts for the request that awaits it and in the service's numbers, under the fingerprint of `sql`: the
/// statement without its literals, none of which is kept. A future that is dropped before its end counts as cancelled.
/// Without a monitor (none around this request, none installed) the future runs unchanged.
///
/// ```
/// # async fn fetch(id: u64) -> Result<String, std::io::Error> { Ok(id.to_string()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
/// use pinchpoint::track_db_query;
///
/// let user = track_db_query("SELECT * FROM users WHERE id = ?", fetch(7)).await?;
/// # assert_eq!(user, "7"); Ok(()) }
/// ```
#[track_caller]
pub fn track_db_query<S, F, T, E>(sql: S, query: F) -> TrackDbQuery<S, F>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    TrackDbQuery {
        sql: Some(sql),
        code: NoCode(()),
        database: None,
        location: Location::caller(),
        running: None,
        query: Some(query),
    }
}

impl<S: AsRef<str>, F, C> TrackDbQuery<S, F, C> {
    fn poll_query<T, E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        code_of: impl for<'e> FnOnce(&C, &'e E) -> Option<Cow<'e, str>>,
    ) -> Poll<Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let this = self.project();
        let running = this.running.get_or_insert_with(|| {
            let sql = this.sql.as_ref().expect("`sql` is taken only with `query`");
            RunningQuery::begin(sql.as_ref(), this.database.take(), this.location)
        });
        let query = this.query.as_pin_mut().expect("`query` is taken only in `drop`");
        running.polling = true;
        let polled = {
            let _entered = running.counted.enter();
            query.poll(cx)
        };
        running.polling = false;
        match &polled {
            Poll::Ready(Ok(_)) => running.end(Outcome::Ok, None),
            Poll::Ready(Err(error)) => running.end(Outcome::Error, code_of(this.code, error).as_deref()),
            Poll::Pending => {}
        }
        polled
    }
}

impl<S, F, T, E> Future for TrackDbQuery<S, F, NoCode>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_query(cx, |_, _| None)
    }
}

impl<S, F, C, T, E> Future for TrackDbQuery<S, F, CodeOf<C>>
where
    S: AsRef<str>,
    F: Future<Output = Result<T, E>>,
    C: Fn(&E) -> Option<Cow<'_, str>>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_query(cx, |code, error| (code.0)(error))
    }
}
