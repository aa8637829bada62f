//! [`QueryUses`]: the series of each query that an endpoint makes.
//!
//! There are up to routes times queries of them. When they fill the budget of their series, each endpoint forgets its
//! handles: the series of a pair that is in use are found again at its next call, the others can give their places
//! back.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use metrics::Counter;

/// An endpoint's use of one query. Only windows read these series.
#[derive(Debug)]
pub(crate) struct QueryUseSeries {
    pub(crate) calls: Counter,
    pub(crate) nanos: Counter,
    pub(crate) requests: Counter,
}

/// An endpoint's use of every query, by the query's number.
#[derive(Debug, Default)]
pub(crate) struct QueryUses(ArcSwap<HashMap<u32, Arc<QueryUseSeries>>>);

impl QueryUses {
    /// Returns the series of a query; makes them if it is new. Two threads may make them at once: they register the same
    /// series, so it does not matter whose handles stay.
    pub(crate) fn get(&self, id: u32, make: impl FnOnce() -> QueryUseSeries) -> Arc<QueryUseSeries> {
        if let Some(known) = self.0.load().get(&id) {
            return known.clone();
        }
        let made = Arc::new(make());
        self.0.rcu(|uses| {
            let mut uses = HashMap::clone(uses);
            uses.insert(id, made.clone());
            uses
        });
        made
    }

    /// Forgets the series.
    pub(super) fn forget(&self) {
        self.0.store(Arc::default());
    }
}
