//! What came back from a receiver, and what is shown of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It arrived.
    Accepted,
    /// It did not arrive, or not surely; it is tried again.
    Failed {
        error: String,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It will not be accepted later either.
    Rejected { error: String },
}

/// How a notification ended, as the label `outcome` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    /// One attempt failed.
    Failed,
    Rejected,
    /// It was never sent: it was too old, or there was no place for it.
    Dropped,
}

/// Notifications to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) receiver: Arc<str>,
    pub(crate) outcome: Outcome,
    pub(crate) count: u64,
}

/// A receiver as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReceiverState {
    pub(crate) name: Arc<str>,
    /// `alertmanager`, `webhook` or `command`.
    pub(crate) kind: &'static str,
    pub(crate) state: State,
    /// Notifications that wait: alerts for an Alertmanager, messages for others.
    pub(crate) waiting: usize,
    /// Notifications that arrived, that were refused for good, and that were dropped.
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) dropped: u64,
    /// When one last arrived, since the Unix epoch.
    pub(crate) accepted_at: Option<Duration>,
}

/// Whether a receiver works.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Nothing was sent yet.
    Untried,
    Working,
    Failing {
        error: String,
        /// When it began, since the Unix epoch.
        since: Duration,
        attempts: u32,
        next: Option<Instant>,
    },
}
