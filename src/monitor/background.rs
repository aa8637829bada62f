//! [`Background`]: what the loop has done on other threads, since it may never come back: reading the rule files and the machine.

use std::{io, sync::Arc};

use tokio::{runtime::Handle, time::Instant};

use super::{
    Core,
    errand::Errand,
    reload::{Reload, RulesWatch},
    samplers::Samplers,
    watchdog::Watchdog,
};
use crate::context::polls::Polls;

/// A kind of work on a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Reading the rule files.
    Rules,
    /// Reading the machine.
    Sampling,
    /// Writing the history file.
    #[cfg(feature = "archive")]
    History,
}

impl Work {
    /// The value of the label `work`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Sampling => "sampling",
            #[cfg(feature = "archive")]
            Self::History => "history",
        }
    }
}

/// The threads of one monitor.
pub(super) struct Background {
    rules: Option<Errand<Reload>>,
    /// Its results are how many samplers panicked.
    sampling: Errand<usize>,
    _watchdog: Watchdog,
}

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// Returns the error of the system where it refuses a thread.
    pub(super) fn start(
        watch: Option<RulesWatch>,
        mut samplers: Samplers,
        polls: Arc<Polls>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let look = |mut watch: RulesWatch| Errand::new("pinchpoint-rules", runtime, move || watch.look());
        Ok(Self {
            rules: watch.map(look).transpose()?,
            sampling: Errand::new("pinchpoint-sampling", runtime, move || samplers.sample())?,
            _watchdog: Watchdog::start(polls)?,
        })
    }

    /// Returns whether the rules come from files.
    pub(super) fn watches_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// Has the rule files read, unless they are being read.
    pub(super) fn look(&mut self, core: &Core, now: Instant) {
        let Some(rules) = &mut self.rules else { return };
        rules.begin(now);
        core.under_way(Work::Rules, rules.since(), now);
    }

    /// Has the machine read, unless it is being read.
    pub(super) fn sample(&mut self, core: &Core, now: Instant) {
        self.sampling.begin(now);
        core.under_way(Work::Sampling, self.sampling.since(), now);
    }

    /// Waits for the next result, and hands it over to `core`.
    pub(super) async fn next(&mut self, core: &Core) {
        let rules = async {
            match &mut self.rules {
                Some(rules) => rules.result().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order, so that the loop is the same each time.
            biased;
            panics = self.sampling.result() => sampled(core, panics),
            look = rules => looked(core, look),
        }
    }

    /// Waits for a moment for what is under way, so that an evaluation sees a sample and an edit that were due with it.
    pub(super) async fn settle(&mut self, core: &Core) {
        if let Some(panics) = self.sampling.settle().await {
            sampled(core, panics);
        }
        if let Some(rules) = &mut self.rules
            && let Some(look) = rules.settle().await
        {
            looked(core, look);
        }
    }
}

fn sampled(core: &Core, panics: usize) {
    core.under_way(Work::Sampling, None, Instant::now());
    core.sampled(panics);
}

fn looked(core: &Core, look: Reload) {
    let now = Instant::now();
    core.under_way(Work::Rules, None, now);
    core.reload(look, now);
}
