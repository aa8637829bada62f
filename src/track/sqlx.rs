//! [`SqlxLayer`]: sqlx's own events become observations.
//!
//! sqlx emits an event of the target `sqlx::query` when a query is over, and one of `sqlx::pool::acquire` when a connection was
//! acquired. The layer enables these and no other, so
//! it neither slows other events down nor shows them to other layers. Refuses to keep the statement: it is read in the
//! event, and only its fingerprint remains. The invariant that a change could break: an event that is not sqlx's stays
//! as disabled as it was without this layer.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use tracing::{
    Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::Attributes,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{query::record_query, wait::record_wait};
use crate::context::{CARRIER, Carrier, Part, Payload, SubscriberOf, enter, sqlx_events, take_payload};

/// Target of the events. The fields are the same in sqlx 0.8 and 0.9.
const TARGET: &str = "sqlx::query";
/// Target of the events about connections that were acquired from a pool.
const ACQUIRE: &str = "sqlx::pool::acquire";
/// Field of the seconds that it took, in sqlx 0.9 and in 0.8.
const ACQUIRED_AFTER: [&str; 2] = ["acquired_after_secs", "aquired_after_secs"];
/// Path of the subscriber that keeps no filters of layers.
const SUBSCRIBER_WITHOUT_FILTERS: &str = "tracing_subscriber::fmt::Subscriber";
/// Field of the first words of the statement, or of all of a short one.
const SUMMARY: &str = "summary";
/// Field of the whole statement; empty if the summary is the whole.
const STATEMENT: &str = "db.statement";
/// Field of the seconds from sending the query to its last row.
const ELAPSED: &str = "elapsed_secs";

/// A `tracing` layer that tracks every query made through sqlx 0.8 or 0.9, and so through SeaORM, with no change to the
/// code that makes them.
///
/// Each query counts under its fingerprint, on the request that made it: also on SQLite, whose queries run on threads
/// of their own. A query inside [`track_db_query`](crate::track_db_query) is counted by that, once.
///
/// What sqlx's events contain and what they do not:
/// - There is one for every query that was given to a connection, also for those that failed or were dropped before
///   their end, **without the outcome**. They all count as done; wrap a query in `track_db_query` to have its errors
///   counted.
/// - The time runs from giving the query to a connection until its last row was taken or its stream was dropped. It
///   does not contain the wait for a connection of the pool; it does contain the caller's time between two rows of a
///   stream.
/// - The wait for a connection has an event of its own, which counts as a wait for the pool `sqlx`, and contains the time to
///   connect. sqlx emits it for waits of more than 2 s only, unless the pool is told to:
///   `PoolOptions::new().acquire_time_level(log::LevelFilter::Debug)`. All pools count together, and a wait that is given up or
///   that times out has no event; where that matters, wrap `acquire()` in [`track_wait`](crate::track_wait) with a name for each
///   pool.
/// - On SQLite the event of a failed query follows just after its error was returned. If the request ends with that
///   error at once, the query counts for the service only.
/// - On SQLite a query continues when its client disconnects. It still counts for its request, as wasted work.
/// - `COMMIT` and `ROLLBACK` are queries on PostgreSQL and MySQL, `BEGIN` on MySQL only; SQLite has no event for them.
/// - `COPY` has no event.
/// - A statement whose logging is turned off (`ConnectOptions::log_statements(LevelFilter::Off)`) has no event.
///
/// # Filters
/// The layer has its own filter and needs no other. A filter of the whole subscriber
/// (`registry().with(EnvFilter::new("info"))`) hides sqlx's events from every layer; give it to the layers that it is
/// meant for. These lines replace `fmt::init()`:
/// ```
/// use pinchpoint::SqlxLayer;
/// use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _};
///
/// let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
/// registry().with(fmt::layer().with_filter(filter)).with(SqlxLayer::new()).init();
/// ```
/// The layer may also be added to `fmt()…finish()`, where it sees what that subscriber's level and filter let pass: with
/// `with_max_level(Level::DEBUG)` all queries, with its default `INFO` none.
///
/// `/performance/status` and the report say whether the layer is installed, how many events it has seen and, where a
/// filter hides them or the crate `tracing` was compiled without them (`release_max_level_info`), what to do.
///
/// Spans of the target `pinchpoint::carrier`, at the level `TRACE`, are this layer's: they carry the request to
/// SQLite's threads. Where a filter of the whole subscriber hides them, queries of SQLite count for the service and not for
/// their request. A span that was made outside the request and entered inside it hides them there.
pub struct SqlxLayer {
    /// The subscriber that this layer is part of, to read spans that its own filter hides from it. Known from the first
    /// carrier on. `on_register_dispatch` would be the place to learn it, but tracing-subscriber 0.3.23 does not call
    /// it for layers inside an `Option` or a `Vec`.
    subscriber: Arc<SubscriberOf>,
}

impl SqlxLayer {
    /// Returns the layer, to be added to a subscriber.
    #[expect(clippy::new_ret_no_self, reason = "only with its filter can a layer leave other events disabled")]
    pub fn new<S>() -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        let layer = Self { subscriber: Arc::default() };
        // tracing-subscriber 0.3 panics where a layer with a filter is added to `fmt()…finish()`, whose subscriber keeps no
        // filters, and offers no way to ask for that. Without a filter the layer sees what that subscriber lets pass.
        if std::any::type_name::<S>().contains(SUBSCRIBER_WITHOUT_FILTERS) {
            layer.boxed()
        } else {
            layer.with_filter(SqlxFilter).boxed()
        }
    }

    /// Returns the payload of the innermost carrier around the current event.
    ///
    /// Asks the registry, because a layer's own context only shows the spans that its filter lets pass: it ends at a
    /// host's span between the request's and the query.
    fn payload(&self) -> Option<Payload> {
        let subscriber = self.subscriber.get()?.upgrade()?;
        let registry = subscriber.downcast_ref::<Registry>()?;
        let current = registry.current_span();
        registry.span(current.id()?)?.scope().find_map(|span| span.extensions().get::<Payload>().cloned())
    }
}

impl fmt::Debug for SqlxLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SqlxLayer
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn on_layer(&mut self, _: &mut S) {
        sqlx_events::installed();
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() == CARRIER
            && let Some(payload) = take_payload(&self.subscriber)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().replace(payload);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Its filter asks the same, where it has one.
        if !SqlxFilter::passes(event.metadata()) {
            return;
        }
        if event.metadata().target() == ACQUIRE {
            return event.record(&mut AcquireRecorder);
        }
        let mut query = QueryFields { elapsed: None, field: SUMMARY };
        event.record(&mut query);
        let QueryFields { elapsed: Some(elapsed), field } = query else { return };
        sqlx_events::count();
        let mut request = match self.payload() {
            Some(Payload::Counted) => return,
            Some(Payload::Request(request)) => Some(request),
            None => None,
        };
        let mut statement = StatementRecorder { field, elapsed };
        if request.is_none() {
            return event.record(&mut statement);
        }
        let carrier = Carrier::default();
        let _entered = enter(&mut request, &carrier);
        event.record(&mut statement);
    }
}

/// Enables sqlx's events and the carriers' spans at any level, and nothing else.
#[derive(Debug)]
struct SqlxFilter;

impl SqlxFilter {
    fn passes(metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() { metadata.target() == CARRIER } else { [TARGET, ACQUIRE].contains(&metadata.target()) }
    }
}

impl<S> Filter<S> for SqlxFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// Records how long a connection was waited for. On the thread that waited, unlike some queries.
struct AcquireRecorder;

impl Visit for AcquireRecorder {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if ACQUIRED_AFTER.contains(&field.name())
            && let Ok(waited) = Duration::try_from_secs_f64(value)
        {
            record_wait(Part::Pool.label(), "sqlx", waited);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Reads how long a query took and which field has its whole statement.
struct QueryFields {
    elapsed: Option<Duration>,
    field: &'static str,
}

impl Visit for QueryFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == ELAPSED {
            self.elapsed = Duration::try_from_secs_f64(value).ok();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == STATEMENT && !value.is_empty() {
            self.field = STATEMENT;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Records the query under the statement in `field`: a visitor is the only way to borrow it.
struct StatementRecorder {
    field: &'static str,
    elapsed: Duration,
}

impl Visit for StatementRecorder {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            record_query(value.trim(), self.elapsed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
