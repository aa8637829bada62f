//! What is sent to whom, and when: findings become messages.
//!
//! Owns the state of every receiver: what it was sent, what waits, when it is tried again. Decides only: it takes `now`, the
//! firing findings and what came back, and returns what to send; the monitor's task sends it. Invariants: everything kept has a
//! bound, and what a bound drops is counted.
//!
//! ```text
//! notice    a finding as an alert: labels, annotations, fingerprint
//! board     which alerts fire, and which ended lately
//! state     what came back, and what is shown of a receiver
//! retry     when a receiver that failed is tried again
//! peer      an Alertmanager: gets the state, again and again
//! message   what changed in one look, or a part of it, for receivers that get each change once
//! template  a message as JSON of any shape
//! bucket    how often a channel is sent a message
//! channel   a webhook or a command: a queue of messages
//! delivery  all receivers
//! ```

mod board;
mod bucket;
mod channel;
mod delivery;
mod message;
mod notice;
mod peer;
mod retry;
mod state;
mod template;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use board::StoredAlert;
pub(crate) use channel::ChannelOptions;
pub(crate) use delivery::{Delivery, Job, Options, Target};
pub(crate) use notice::{Identity, Notice, OWN_LABELS, is_label_name};
pub(crate) use state::{Counted, Outcome, ReceiverState, Reply, State};
pub(crate) use template::{Format, INSTANCE, JOB, MessageTemplate};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// For schedules.
    pub(crate) now: Instant,
    /// For timestamps: the time since the Unix epoch.
    pub(crate) wall: Duration,
}

/// Returns a time since the Unix epoch as RFC 3339.
pub(crate) fn rfc3339(since_epoch: Duration) -> String {
    let time = std::time::SystemTime::UNIX_EPOCH.checked_add(since_epoch);
    let timestamp = time.and_then(|time| jiff::Timestamp::try_from(time).ok()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}
