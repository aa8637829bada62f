//! [`Judgement`]: what one evaluation of the rules found, and [`Judgements`]: the latest, and what they changed.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
#[cfg(feature = "deliver")]
use tokio::sync::broadcast;
use tokio::{sync::watch, time::Instant};

use super::happenings::Happenings;
use crate::{
    alert::Transition,
    rules::{Bottleneck, BudgetReadings, MemoryVerdict},
};

/// Judgements that the task which delivers may lag behind before it misses the oldest: 80 s of them by default.
#[cfg(feature = "deliver")]
const LAG: usize = 16;

/// What one evaluation of the rules found. It never changes: every reader of one sees the same moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    /// `None` before the first evaluation.
    pub(crate) at: Option<Instant>,
    /// How long the tick took.
    pub(crate) took: Option<Duration>,
    /// Worst first.
    pub(crate) firing: Vec<Arc<Bottleneck>>,
    /// Those whose rule's `for` has not passed yet, worst first.
    pub(crate) pending: Vec<Arc<Bottleneck>>,
    /// What changed with this evaluation.
    pub(crate) transitions: Vec<Transition>,
    /// For how long no request has come, neither to the service nor to the API.
    pub(crate) quiet: Duration,
    /// Whether this process's memory leaks; `None` before the first evaluation.
    pub(crate) memory: Option<MemoryVerdict>,
    /// The error budget of each objective.
    pub(crate) budgets: Arc<BudgetReadings>,
}

/// The latest judgement, what they changed, and the listeners to those to come.
#[derive(Debug)]
pub(super) struct Judgements {
    latest: ArcSwap<Judgement>,
    #[cfg(feature = "deliver")]
    sender: broadcast::Sender<Arc<Judgement>>,
    happenings: Happenings,
    ended: watch::Sender<bool>,
}

impl Default for Judgements {
    fn default() -> Self {
        Self {
            latest: ArcSwap::default(),
            #[cfg(feature = "deliver")]
            sender: broadcast::Sender::new(LAG),
            happenings: Happenings::default(),
            ended: watch::Sender::new(false),
        }
    }
}

impl Judgements {
    /// Publishes a judgement; `at` is the time since the Unix epoch.
    pub(super) fn publish(&self, judgement: Judgement, at: Duration) {
        let judgement = Arc::new(judgement);
        // First the latest: a listener that reacts by reading it finds this one.
        self.latest.store(judgement.clone());
        self.happenings.add(&judgement, at);
        // An error means that nobody delivers.
        #[cfg(feature = "deliver")]
        let _ = self.sender.send(judgement);
    }

    pub(super) fn latest(&self) -> Arc<Judgement> {
        self.latest.load_full()
    }

    pub(super) fn happenings(&self) -> &Happenings {
        &self.happenings
    }

    /// Returns the judgements to come, for a listener of the monitor's own.
    #[cfg(feature = "deliver")]
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Judgement>> {
        self.sender.subscribe()
    }

    /// Ends every listener's stream, and lets no other begin.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Returns a channel that turns `true` at the end.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }
}
