//! The receivers of alerts in `/performance/status`.

use serde::Serialize;

use super::timestamp;
use crate::alert::deliver::{ReceiverState, State};

/// A receiver of alerts, and whether they arrive. Shows no secret.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ReceiverStatus {
    /// `alertmanager/` with host and port, or the name in the settings.
    #[cfg_attr(feature = "openapi", schema(example = "alertmanager/127.0.0.1:9093"))]
    name: String,
    /// `alertmanager`, `webhook` or `command`.
    kind: &'static str,
    /// `untried`, `working` or `failing`.
    state: &'static str,
    /// Why the last notification did not arrive; null where it did.
    error: Option<String>,
    /// Since when none arrives.
    failing_since: Option<String>,
    /// Attempts since then.
    failed_attempts: u32,
    /// When it is tried again.
    next_attempt_at: Option<String>,
    /// When a notification last arrived.
    accepted_at: Option<String>,
    /// What waits: alerts for an Alertmanager, messages for others.
    waiting: usize,
    /// Notifications that arrived since the start.
    accepted: u64,
    /// Those that were refused for good.
    rejected: u64,
    /// Those that were never sent: they were too old, or too many waited.
    dropped: u64,
}

impl ReceiverStatus {
    /// Says what is wrong with it; nothing where alerts arrive.
    #[cfg(feature = "page")]
    pub(super) fn problem(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(format!("No alert arrives at {} after {} attempts: {error}", self.name, self.failed_attempts))
    }

    pub(super) fn of(receiver: &ReceiverState) -> Self {
        let (state, error, failing_since, failed_attempts, next) = match &receiver.state {
            State::Untried => ("untried", None, None, 0, None),
            State::Working => ("working", None, None, 0, None),
            State::Failing { error, since, attempts, next } => {
                ("failing", Some(error.clone()), Some(timestamp::of_wall(*since)), *attempts, *next)
            }
        };
        Self {
            name: receiver.name.to_string(),
            kind: receiver.kind,
            state,
            error,
            failing_since,
            failed_attempts,
            next_attempt_at: next.map(timestamp::of_instant),
            accepted_at: receiver.accepted_at.map(timestamp::of_wall),
            waiting: receiver.waiting,
            accepted: receiver.accepted,
            rejected: receiver.rejected,
            dropped: receiver.dropped,
        }
    }
}
