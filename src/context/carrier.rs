//! What makes a request known on threads that poll none of its futures.
//!
//! sqlx runs each SQLite connection on a thread of its own and tells of a query there. All it takes along from the task
//! that issued the query is the task's tracing span, so a request that may issue such queries has a span, and the span
//! knows the request. There is one only while a [`SqlxLayer`](crate::SqlxLayer) listens: without it a carrier is
//! nothing. The invariant: a request lets go of its span before its end, since a request that somebody else holds, such as
//! a query that goes on, is not reused.

pub(crate) use with_spans::Carrier;
pub(super) use with_spans::CarrierEntered;
#[cfg(feature = "sqlx")]
pub(crate) use with_spans::{CARRIER, Carried, SubscriberOf, handed_over, listen};

#[cfg(feature = "sqlx")]
mod with_spans {
    use std::{
        cell::Cell,
        sync::{
            Arc, Once, OnceLock,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
    };

    use tracing::{Span, dispatcher::WeakDispatch};

    use crate::context::RequestContext;

    /// Target of the carriers' spans.
    pub(crate) const CARRIER: &str = "pinchpoint::carrier";

    /// Whether anybody looks for carriers.
    static WANTED: AtomicBool = AtomicBool::new(false);

    thread_local! {
        /// What the span that is being made is to carry: a span's own fields hold only plain values.
        static HANDED_OVER: Cell<Option<Carried>> = const { Cell::new(None) };
        /// Where the layer that took it wants to know its subscriber, which a span knows and a layer is not told.
        static HANDED_BACK: Cell<Option<Arc<SubscriberOf>>> = const { Cell::new(None) };
    }

    /// The subscriber that a layer is part of, once it is known.
    pub(crate) type SubscriberOf = OnceLock<WeakDispatch>;

    /// What a span carries.
    #[derive(Clone, Debug)]
    pub(crate) enum Carried {
        /// The request that issues what happens inside.
        Request(Arc<RequestContext>),
        /// What happens inside is counted already, by [`track_db_query`](crate::track_db_query).
        Counted,
    }

    /// A span around every poll, or nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Carrier(Option<Span>);

    /// Leaves the carrier's span when dropped.
    #[derive(Debug)]
    pub(crate) struct CarrierEntered<'a> {
        _span: Option<tracing::span::Entered<'a>>,
    }

    impl Carrier {
        /// Makes a carrier of `request`.
        pub(crate) fn of(request: &Arc<RequestContext>) -> Self {
            Self::new(|| Carried::Request(Arc::clone(request)))
        }

        /// Makes a carrier that says that the queries inside it are counted already.
        pub(crate) fn counted() -> Self {
            Self::new(|| Carried::Counted)
        }

        fn new(carried: impl FnOnce() -> Carried) -> Self {
            if !WANTED.load(Relaxed) {
                return Self(None);
            }
            HANDED_OVER.set(Some(carried()));
            let span = tracing::trace_span!(target: CARRIER, "pinchpoint");
            HANDED_OVER.set(None);
            if let Some(known) = HANDED_BACK.take() {
                span.with_subscriber(|(_, subscriber)| known.set(subscriber.downgrade()));
            }
            if span.is_disabled() {
                warn_of_a_global_filter();
                return Self(None);
            }
            Self(Some(span))
        }

        pub(crate) fn enter(&self) -> CarrierEntered<'_> {
            CarrierEntered { _span: self.0.as_ref().map(Span::enter) }
        }
    }

    /// Says that somebody looks for carriers from now on.
    pub(crate) fn listen() {
        WANTED.store(true, Relaxed);
    }

    /// Returns what the span that is being made on this thread is to carry; `subscriber` is told whose span it is as
    /// soon as it is made.
    pub(crate) fn handed_over(subscriber: &Arc<SubscriberOf>) -> Option<Carried> {
        if subscriber.get().is_none() {
            HANDED_BACK.set(Some(subscriber.clone()));
        }
        HANDED_OVER.take()
    }

    fn warn_of_a_global_filter() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::warn!(
                "a filter of the whole subscriber hides sqlx's events from SqlxLayer; \
                 give it to the layers that it is meant for, with `with_filter`"
            );
        });
    }
}

#[cfg(not(feature = "sqlx"))]
mod with_spans {
    use std::{marker::PhantomData, sync::Arc};

    use crate::context::RequestContext;

    /// Nothing: only the sqlx layer looks for carriers.
    #[derive(Debug, Default)]
    pub(crate) struct Carrier(());

    /// Nothing, for as long as a carrier is entered.
    #[derive(Debug)]
    pub(crate) struct CarrierEntered<'a>(PhantomData<&'a Carrier>);

    impl Carrier {
        pub(crate) fn of(_request: &Arc<RequestContext>) -> Self {
            Self(())
        }

        pub(crate) fn counted() -> Self {
            Self(())
        }

        pub(crate) fn enter(&self) -> CarrierEntered<'_> {
            CarrierEntered(PhantomData)
        }
    }
}
