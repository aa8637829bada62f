//! sqlx's own events become observations.
//!
//! sqlx tells of every query when it is over, in an event of the target `sqlx::query`. [`SqlxLayer`] asks for that
//! event and for nothing else, so it neither slows other events down nor shows them to anybody. Refuses to keep the
//! statement: it is read where it stands in the event and only its fingerprint remains. The invariant that a change
//! could break: an event that is not sqlx's stays as disabled as it was without this layer.

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

use super::query::record_query;
use crate::context::{CARRIER, Carried, Carrier, SubscriberOf, enter, handed_over, listen};

/// Target of the events. The fields are the same in sqlx 0.8 and 0.9.
const TARGET: &str = "sqlx::query";
/// The first words of the statement, or all of it where it is no longer than that.
const SUMMARY: &str = "summary";
/// The statement where the summary is not all of it, else empty.
const STATEMENT: &str = "db.statement";
/// Seconds from sending the query to its last row.
const ELAPSED: &str = "elapsed_secs";

/// A `tracing` layer that tracks every query made through sqlx 0.8 or 0.9, and so through SeaORM, with no change to the
/// code that makes them.
///
/// Each query counts under its fingerprint, on the request that made it: also on SQLite, whose queries run on threads of
/// their own. A query inside [`track_db_query`](crate::track_db_query) is counted by that, once.
///
/// What sqlx tells and what it does not:
/// - It tells of every query that was given to a connection, also of those that failed or were dropped before their
///   end, **without saying which**. They all count as done; wrap a query in `track_db_query` to have its errors counted.
/// - The time runs from giving the query to a connection until its last row was taken or its stream was dropped. The
///   wait for a connection of the pool is not in it; the time that the caller takes between two rows of a stream is.
/// - On SQLite it tells of a failed query just after its error was returned: a request that ends with it at once may be
///   over by then. The query then counts for the service only.
/// - On SQLite a query goes on when its client goes away. It counts on its request all the same, as work for nobody.
/// - `COMMIT` and `ROLLBACK` are queries on PostgreSQL and MySQL, `BEGIN` on MySQL only; none of them is told on SQLite.
/// - A statement whose logging was turned off (`ConnectOptions::log_statements(LevelFilter::Off)`) is not told.
///
/// # Filters
/// The layer brings its own filter and needs none. A filter of the whole subscriber
/// (`registry().with(EnvFilter::new("info"))`) takes sqlx's events away from every layer; give it to the layers that it
/// is meant for:
/// ```
/// use pinchpoint::SqlxLayer;
/// use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry};
///
/// let subscriber = registry().with(fmt::layer().with_filter(EnvFilter::new("info"))).with(SqlxLayer::new());
/// # drop(subscriber);
/// ```
/// A build that compiles them away (`release_max_level_info` of the crate `tracing`) has none to be told.
///
/// Spans of the target `pinchpoint::carrier`, at the level `TRACE`, are this layer's: by them a request is known on
/// SQLite's threads. A span that was made outside the request and entered inside it hides them there.
pub struct SqlxLayer {
    /// The subscriber that this layer is part of, for spans that its own filter hides from it. Known from the first
    /// carrier on: `on_register_dispatch` would tell it, but is not told to layers inside an `Option` or a `Vec`
    /// (tracing-subscriber 0.3.23).
    subscriber: Arc<SubscriberOf>,
}

impl SqlxLayer {
    /// Returns the layer, to be added to a subscriber.
    #[expect(clippy::new_ret_no_self, reason = "only with its filter can a layer leave other events disabled")]
    pub fn new<S>() -> impl Layer<S> + Send + Sync
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        Self { subscriber: Arc::default() }.with_filter(OnlySqlx)
    }

    /// Returns what the spans around the current event carry.
    ///
    /// Through the registry: a layer's own context shows only the spans that its filter let pass, and a host's span
    /// between the request's and the query is none of them.
    fn carried(&self) -> Option<Carried> {
        let subscriber = self.subscriber.get()?.upgrade()?;
        let registry = subscriber.downcast_ref::<Registry>()?;
        let current = registry.current_span();
        registry.span(current.id()?)?.scope().find_map(|span| span.extensions().get::<Carried>().cloned())
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
        listen();
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() == CARRIER
            && let Some(carried) = handed_over(&self.subscriber)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().replace(carried);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut about = About { elapsed: None, field: SUMMARY };
        event.record(&mut about);
        let About { elapsed: Some(elapsed), field } = about else { return };
        let mut request = match self.carried() {
            Some(Carried::Counted) => return,
            Some(Carried::Request(request)) => Some(request),
            None => None,
        };
        let mut statement = Statement { field, elapsed };
        if request.is_none() {
            return event.record(&mut statement);
        }
        let carrier = Carrier::default();
        let _entered = enter(&mut request, &carrier);
        event.record(&mut statement);
    }
}

/// Lets sqlx's events and the carriers' spans pass, whatever their level.
#[derive(Debug)]
struct OnlySqlx;

impl OnlySqlx {
    fn passes(metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() { metadata.target() == CARRIER } else { metadata.target() == TARGET }
    }
}

impl<S> Filter<S> for OnlySqlx {
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

/// Reads how long a query took and which field has all of its statement.
struct About {
    elapsed: Option<Duration>,
    field: &'static str,
}

impl Visit for About {
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

/// Records the query under the statement in `field`, which can be borrowed only here.
struct Statement {
    field: &'static str,
    elapsed: Duration,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            record_query(value.trim(), self.elapsed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
