//! Sends what `alert::deliver` decides: to Alertmanagers, webhooks and commands.
//!
//! One task does it, beside the loop that ticks: it listens to the judgements as a stream of events does, so that neither a
//! tick nor a request ever waits for a receiver. Invariant: a secret leaves this room in a request only. No error, no
//! `Debug`, no log line and no answer of the API has one.
//!
//! ```text
//! builder   the methods of the builder
//! secret    a secret, and where it comes from
//! receiver  what a receiver is, before its secrets are read
//! config    the setting `deliver`
//! section   its text in a settings file
//! identity  the labels of this service
//! prepared  the receivers with their secrets read
//! command   runs a command
//! sender    sends one body to one receiver
//! stored    what a restart must know
//! task      the task
//! trial     one test notification to each receiver
//! ```

mod builder;
mod command;
mod config;
mod identity;
mod prepared;
mod receiver;
mod secret;
mod section;
mod sender;
mod stored;
mod task;
mod trial;

pub use receiver::AlertReceiver;
pub use secret::Secret;
pub use trial::TestedReceiver;

pub(super) use config::DeliverConfig;
pub(super) use prepared::Prepared;
pub(super) use section::read;
pub(crate) use task::Notifications;
pub(super) use task::Task;
