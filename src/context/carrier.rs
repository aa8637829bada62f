//! [`Carrier`]: a tracing span that makes a request known on threads that poll none of its futures.
//!
//! sqlx runs each SQLite connection on a thread of its own and emits a query's event there. All that it takes along
//! from the task that issued the query is the task's tracing span, so a request that may issue such queries has a span,
//! and the span holds the request. A carrier has a span only while a [`SqlxLayer`](crate::SqlxLayer) listens, and is
//! empty without one. The invariant that a change could break: a request drops its span before its end, since a context
//! with another owner, such as a query that still runs, cannot be reused.

pub(crate) use with_spans::Carrier;
pub(super) use with_spans::CarrierGuard;
#[cfg(feature = "sqlx")]
pub(crate) use with_spans::{CARRIER, Payload, SubscriberOf, take_payload};

#[cfg(feature = "sqlx")]
mod with_spans {
    use std::{
        cell::Cell,
        sync::{Arc, OnceLock},
    };

    use tracing::{Span, dispatcher::WeakDispatch};

    use crate::context::{RequestContext, sqlx_events};

    /// Target of the carriers' spans.
    pub(crate) const CARRIER: &str = "pinchpoint::carrier";

    thread_local! {
        /// Payload of the span that is being made on this thread. The layer takes it from here, because a span's fields
        /// hold only plain values.
        static NEXT_PAYLOAD: Cell<Option<Payload>> = const { Cell::new(None) };
        /// Where the layer that took the payload wants its subscriber stored: a span knows it, a layer does not.
        static SUBSCRIBER_WANTED: Cell<Option<Arc<SubscriberOf>>> = const { Cell::new(None) };
    }

    /// The subscriber that a layer is part of, once it is known.
    pub(crate) type SubscriberOf = OnceLock<WeakDispatch>;

    /// What a carrier's span holds.
    #[derive(Clone, Debug)]
    pub(crate) enum Payload {
        /// The request that queries inside the span belong to.
        Request(Arc<RequestContext>),
        /// Queries inside the span are counted already, by [`track_db_query`](crate::track_db_query).
        Counted,
    }

    /// A span to be entered around every poll, or none.
    #[derive(Debug, Default)]
    pub(crate) struct Carrier(Option<Span>);

    /// Leaves the carrier's span when dropped.
    #[derive(Debug)]
    pub(crate) struct CarrierGuard<'a> {
        _span: Option<tracing::span::Entered<'a>>,
    }

    impl Carrier {
        /// Returns a carrier of `request`.
        pub(crate) fn of(request: &Arc<RequestContext>) -> Self {
            Self::new(|| Payload::Request(Arc::clone(request)))
        }

        /// Returns a carrier that marks the queries inside it as counted already.
        pub(crate) fn counted() -> Self {
            Self::new(|| Payload::Counted)
        }

        fn new(payload: impl FnOnce() -> Payload) -> Self {
            if !sqlx_events::is_installed() {
                return Self(None);
            }
            sqlx_events::warn_once();
            NEXT_PAYLOAD.set(Some(payload()));
            let span = tracing::trace_span!(target: CARRIER, "pinchpoint");
            NEXT_PAYLOAD.set(None);
            if let Some(known) = SUBSCRIBER_WANTED.take() {
                span.with_subscriber(|(_, subscriber)| known.set(subscriber.downgrade()));
            }
            // Disabled where a filter of the whole subscriber hides it: then only queries of SQLite lose their request.
            Self((!span.is_disabled()).then_some(span))
        }

        pub(crate) fn enter(&self) -> CarrierGuard<'_> {
            CarrierGuard { _span: self.0.as_ref().map(Span::enter) }
        }
    }

    /// Returns the payload of the span that is being made on this thread. `subscriber` is filled in as soon as the span
    /// exists.
    pub(crate) fn take_payload(subscriber: &Arc<SubscriberOf>) -> Option<Payload> {
        if subscriber.get().is_none() {
            SUBSCRIBER_WANTED.set(Some(subscriber.clone()));
        }
        NEXT_PAYLOAD.take()
    }
}

#[cfg(not(feature = "sqlx"))]
mod with_spans {
    use std::{marker::PhantomData, sync::Arc};

    use crate::context::RequestContext;

    /// Empty: only the sqlx layer looks for carriers.
    #[derive(Debug, Default)]
    pub(crate) struct Carrier(());

    /// Empty; held while a carrier is entered.
    #[derive(Debug)]
    pub(crate) struct CarrierGuard<'a>(PhantomData<&'a Carrier>);

    impl Carrier {
        pub(crate) fn of(_request: &Arc<RequestContext>) -> Self {
            Self(())
        }

        pub(crate) fn counted() -> Self {
            Self(())
        }

        pub(crate) fn enter(&self) -> CarrierGuard<'_> {
            CarrierGuard(PhantomData)
        }
    }
}
