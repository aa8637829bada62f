//! [`SqlxView`]: whether the queries of sqlx are seen.

use serde::Serialize;

/// Whether the events of sqlx reach [`SqlxLayer`](crate::SqlxLayer), in the whole process.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(in crate::api) struct SqlxView {
    /// Whether a `tracing` subscriber has the layer.
    pub(in crate::api) layer_installed: bool,
    /// How many events of queries the layer has seen.
    pub(in crate::api) query_events: u64,
    /// What keeps the events away, and what to do; null where nothing does as far as can be seen.
    pub(in crate::api) problem: Option<String>,
}

impl SqlxView {
    /// Returns the state now, `None` without the feature `sqlx`. `requests` is how many were measured, 0 if any made a query.
    #[cfg(feature = "sqlx")]
    pub(in crate::api) fn of(requests: u64) -> Option<Self> {
        use crate::context::sqlx_events;

        Some(Self {
            layer_installed: sqlx_events::is_installed(),
            query_events: sqlx_events::seen(),
            problem: sqlx_events::problem(requests),
        })
    }

    #[cfg(not(feature = "sqlx"))]
    pub(in crate::api) fn of(_requests: u64) -> Option<Self> {
        None
    }

    /// Returns the state in words, without the problem.
    #[cfg(feature = "report")]
    pub(in crate::api) fn words(&self) -> String {
        match (self.layer_installed, self.query_events) {
            (true, 1) => "SqlxLayer is installed, 1 query event seen".to_owned(),
            (true, events) => format!("SqlxLayer is installed, {events} query events seen"),
            (false, _) => "SqlxLayer is not installed".to_owned(),
        }
    }
}
