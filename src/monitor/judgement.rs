//! [`Judgement`]: what the last evaluation of the rules found.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{alert::Transition, analysis::LeakVerdict, rules::Bottleneck};

/// What one evaluation of the rules found. Immutable: whoever reads it sees one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    /// `None` before the first evaluation.
    pub(crate) at: Option<Instant>,
    /// How long the tick took.
    pub(crate) took: Option<Duration>,
    /// Worst first.
    pub(crate) firing: Vec<Arc<Bottleneck>>,
    /// What will fire if it lasts, worst first.
    pub(crate) pending: Vec<Arc<Bottleneck>>,
    /// What changed with this evaluation.
    pub(crate) transitions: Vec<Transition>,
    /// What the memory of this life of the process says; `None` before the first evaluation.
    pub(crate) leak: Option<LeakVerdict>,
}
